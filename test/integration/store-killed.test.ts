import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storeOnAMachine, TestBucket } from '../support/stores.ts';

const WRITER = fileURLToPath(new URL('./store-writer.ts', import.meta.url));
const MIB = 1 << 20;
const MARK = 'ada.lovelace@example.com';

let s3: TestBucket;
beforeAll(async () => {
  s3 = await TestBucket.start();
}, 900_000);
afterAll(() => s3?.close());

describe.each([
  ['file', 'plain', 0],
  ['file', 'plain', 40],
  ['file', 'encrypt', 0],
  ['file', 'encrypt', 80],
  ['s3', 'plain', 0],
  ['s3', 'plain', 200],
  ['s3', 'encrypt', 250],
] as const)('a writer to %s (%s) that is killed after %i ms', (kind, how, delayMs) => {
  it('leaves the whole blob or none, and what it began is swept', async () => {
    const folder = await storeOnAMachine();
    const keyring = join(folder.dataDir, 'keyring.json');
    await folder.store.putJson('makes the keyring', { encrypt: true });
    const settings = {
      dataDir: join(folder.dataDir, 'machine'),
      keyring,
      artifactStore:
        kind === 's3'
          ? s3.location(`killed-${how}-${delayMs}`)
          : ({ kind: 'file', root: join(folder.dataDir, 'store') } as const),
    };
    const path = join(folder.dataDir, 'large');
    const part = Buffer.concat([Buffer.from(MARK), randomBytes(MIB)]);
    await writeFile(path, Buffer.concat(Array.from({ length: 96 }, () => part)));

    const args = ['--import', 'tsx', WRITER, JSON.stringify(settings), path, how, String(delayMs)];
    await expect(promisify(execFile)(process.execPath, args)).rejects.toMatchObject({ signal: 'SIGKILL' });

    const machine = await storeOnAMachine(settings);
    const { store } = machine;
    const { size } = await stat(path);
    for (const { sha256 } of await store.blobs()) {
      const bytes = await store.bytes({ uri: `cas:${sha256}`, sha256, bytes: size, mediaType: 'x/y' });
      expect(bytes.equals(await readFile(path))).toBe(true);
    }
    const root = kind === 's3' ? join(settings.dataDir, 'cache', 'artifacts') : settings.artifactStore.root;
    const begun = await readdir(join(root, 'tmp'));
    if (how === 'encrypt')
      for (const name of begun) expect((await readFile(join(root, 'tmp', name))).includes(MARK)).toBe(false);
    await store.sweep(Date.now() + 60_000);
    const again = await store.putFile(path, 'application/octet-stream', { encrypt: how === 'encrypt' });
    expect(await store.has(again)).toBe(true);
    await machine.close();
    await folder.close();
  });
});

it('sweeps what is old enough, and nothing else', async () => {
  const { store, dataDir, close } = await storeOnAMachine();
  await writeFile(join(store.root, 'tmp', 'begun'), 'half');
  await store.sweep(Date.now() - 60_000);
  expect(await readdir(join(dataDir, 'artifacts', 'tmp'))).toEqual(['begun']);
  await store.sweep(Date.now() + 60_000);
  expect(await readdir(join(dataDir, 'artifacts', 'tmp'))).toEqual([]);
  await close();
});
