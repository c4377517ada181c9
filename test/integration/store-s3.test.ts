import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { storeLocation } from '../../lib/store/store-location.ts';
import { freePort } from '../support/free-port.ts';
import { type StoreOnAMachine, storeOnAMachine, TestBucket } from '../support/stores.ts';

let s3: TestBucket;
let machines: StoreOnAMachine[] = [];
let counter = 0;
beforeAll(async () => {
  s3 = await TestBucket.start();
}, 900_000);
afterAll(() => s3?.close());
afterEach(async () => {
  for (const machine of machines) await machine.close();
  machines = [];
});

async function machineOn(location: Parameters<typeof storeOnAMachine>[0]): Promise<StoreOnAMachine> {
  const machine = await storeOnAMachine(location);
  machines.push(machine);
  return machine;
}
const copies = async ({ dataDir }: StoreOnAMachine): Promise<string[]> => {
  const folder = join(dataDir, 'cache', 'artifacts', 'sha256');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
};

describe('a store on S3', () => {
  it('takes a large file in parts and gives it back', async () => {
    const prefix = `large-${counter++}`;
    const artifactStore = s3.location(prefix);
    const [one, other] = [await machineOn({ artifactStore }), await machineOn({ artifactStore })];
    const path = join(one.dataDir, 'large');
    const bytes = randomBytes(40 << 20);
    await writeFile(path, bytes);
    const ref = await one.store.putFile(path, 'application/octet-stream');
    const Key = `${prefix}/sha256/${ref.sha256.slice(0, 2)}/${ref.sha256.slice(2)}`;
    const head = await s3.client.send(new HeadObjectCommand({ Bucket: s3.bucket, Key }));
    expect(head.ETag).toMatch(/-3"$/); // 3 parts of at most 16 MiB
    const local = await other.store.within(await other.scratch()).path(ref);
    expect(
      createHash('sha256')
        .update(await readFile(local))
        .digest('hex'),
    ).toBe(ref.sha256);
    expect(await one.store.touch(ref)).toBe(true);
  });

  it('keeps local copies within their room, the newest ones, and a path that was given out stays', async () => {
    const artifactStore = s3.location(`room-${counter++}`);
    const machine = await machineOn({ artifactStore, artifactCache: 250_000 });
    const view = machine.store.within(await machine.scratch());
    const refs: ArtifactRef[] = [];
    const paths: string[] = [];
    for (let i = 0; i < 5; i++) {
      const ref = await view.putBytes(randomBytes(100_000), 'application/octet-stream');
      refs.push(ref);
      paths.push(await view.path(ref));
    }
    const kept = await copies(machine);
    expect(kept).toHaveLength(2);
    for (const ref of refs.slice(3)) expect(kept.join()).toContain(ref.sha256.slice(2));
    for (const path of paths) expect((await stat(path)).size).toBe(100_000);
    for (const ref of refs) expect((await machine.store.bytes(ref)).length).toBe(100_000);
  });

  it('fetches a local copy anew that was damaged, plain or encrypted', async () => {
    const artifactStore = s3.location(`damaged-${counter++}`);
    const first = await machineOn({});
    await first.store.putJson('makes the keyring', { encrypt: true });
    const keyring = join(first.dataDir, 'keyring.json');
    const machine = await machineOn({ artifactStore, keyring });
    const refs = [
      await machine.store.putJson('plain'),
      await machine.store.putJson('sealed', { encrypt: true }),
    ];
    for (const path of await copies(machine)) {
      const content = await readFile(path);
      content[content.length - 1] = (content[content.length - 1] ?? 0) ^ 1;
      await writeFile(path, content);
    }
    expect(await Promise.all(refs.map((ref) => machine.store.json(ref)))).toEqual(['plain', 'sealed']);
  });

  it('refuses bytes that are others than their digest says', async () => {
    const prefix = `tampered-${counter++}`;
    const machine = await machineOn({ artifactStore: s3.location(prefix) });
    const ref = await machine.store.putJson('true');
    const other = await machineOn({ artifactStore: s3.location(prefix) });
    const path = join(
      s3.server.folder,
      s3.bucket,
      prefix,
      'sha256',
      ref.sha256.slice(0, 2),
      ref.sha256.slice(2),
    );
    await writeFile(path, '"fals"');
    const failed = await other.store.bytes(ref).catch((error: unknown) => error);
    // The server's own checksum finds it first: an answer that was damaged on the way is asked for again.
    expect(failed).toMatchObject({ code: expect.stringMatching(/^(ArtifactCorrupt|StoreUnavailable)$/) });
    expect(await copies(other)).toEqual([]);
  });

  it('reads its copies while the server is away, and says that it is', async () => {
    const port = await freePort();
    const machine = await machineOn({ artifactStore: s3.location(`away-${counter++}`) });
    const ref = await machine.store.putJson('kept');
    const none = storeLocation('s3://artifacts/x', { endpoint: `http://127.0.0.1:${port}` });
    const same = await openStore({ dataDir: machine.dataDir, artifactStore: none });
    expect(await same.json(ref)).toBe('kept');
    const away = await machineOn({ artifactStore: none });
    await expect(away.store.bytes(ref)).rejects.toMatchObject({
      code: 'StoreUnavailable',
      retryable: true,
      message: expect.stringContaining('s3://artifacts/x'),
    });
    await expect(away.store.putJson('x')).rejects.toMatchObject({ code: 'StoreUnavailable' });
    await expect(away.store.documents.read('x')).rejects.toMatchObject({ code: 'StoreUnavailable' });
  });

  it('tells an overloaded server from one that refuses', async () => {
    let status = 503;
    const server = createServer((_, answer) => answer.writeHead(status).end()).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || !address) throw new Error('no address');
    const endpoint = `http://127.0.0.1:${address.port}`;
    const { store } = await machineOn({ artifactStore: storeLocation('s3://some-bucket', { endpoint }) });
    await expect(store.putJson(1)).rejects.toMatchObject({ code: 'StoreUnavailable', retryable: true });
    status = 403;
    await expect(store.putJson(1)).rejects.toMatchObject({ code: 'StoreRejected', retryable: false });
    server.close();
  });

  it('names a bucket that is not there, and credentials that are wrong', async () => {
    const { endpoint } = s3.server;
    const missing = await machineOn({ artifactStore: storeLocation('s3://no-such-bucket', { endpoint }) });
    await expect(missing.store.putJson(1)).rejects.toMatchObject({
      code: 'StoreRejected',
      message: expect.stringMatching(/s3:\/\/no-such-bucket refused a request .*PERENNIAL_ARTIFACT_STORE/),
    });
    const secret = process.env.AWS_SECRET_ACCESS_KEY;
    process.env.AWS_SECRET_ACCESS_KEY = 'wrong';
    const stranger = await machineOn({ artifactStore: s3.location('x') });
    const failed = await stranger.store.putJson(1).catch((error: unknown) => error);
    process.env.AWS_SECRET_ACCESS_KEY = secret;
    expect(failed).toMatchObject({ code: 'StoreRejected' });
    expect(failed).not.toMatchObject({ message: expect.stringContaining('wrong') });
  });

  it('asks for a keyring before it encrypts', async () => {
    const { store } = await machineOn({ artifactStore: s3.location(`keys-${counter++}`) });
    await expect(store.putJson(1, { encrypt: true })).rejects.toMatchObject({
      code: 'KeyringInvalid',
      message: expect.stringContaining('PERENNIAL_KEYRING'),
    });
    expect(await store.blobs()).toEqual([]);
  });
});
