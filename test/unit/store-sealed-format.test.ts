import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Keyring } from '../../lib/store/keyring.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { sealBytes, sealFile, unsealBytes, unsealFile } from '../../lib/store/sealed-file.ts';
import { keyIdOf, SEALED, sealedSize } from '../../lib/store/sealed-format.ts';

const CHUNK = SEALED.chunk + SEALED.tag;

let folder: string;
let keyring: Keyring;
let counter = 0;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-sealed-'));
  keyring = new Keyring(join(folder, 'keyring.json'), { create: true });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = (): string => join(folder, `f${counter++}`);

async function sealed(plain: Uint8Array): Promise<Buffer> {
  const path = file();
  await sealBytes(plain, path, keyring);
  return readFile(path);
}

async function opened(bytes: Uint8Array): Promise<Buffer> {
  const path = file();
  await writeFile(path, bytes);
  return (await unsealBytes(path, keyring)).content;
}

const refused = (bytes: Uint8Array) =>
  expect(opened(bytes)).rejects.toMatchObject({ code: 'ArtifactCorrupt' });

describe('a sealed blob', () => {
  it('gives back any bytes', () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 5_000 }), async (plain) => {
        const blob = await sealed(plain);
        expect(blob.length).toBe(sealedSize(plain.length));
        expect(Buffer.compare(await opened(blob), plain)).toBe(0);
      }),
      { numRuns: 30 },
    ));

  it.each([0, 1, SEALED.chunk - 1, SEALED.chunk, SEALED.chunk + 1, 3 * SEALED.chunk, 3 * SEALED.chunk + 7])(
    'gives back %i bytes as a file, and its digest',
    async (size) => {
      const plain = randomBytes(size);
      const [source, target, back] = [file(), file(), file()];
      await writeFile(source, plain);
      const first = await sealFile(source, target, keyring);
      expect((await stat(target)).size).toBe(sealedSize(size));
      expect(await unsealFile(target, back, keyring)).toEqual(first);
      expect((await readFile(back)).equals(plain)).toBe(true);
      expect((await stat(back)).mode & 0o777).toBe(0o600);
    },
  );

  it('shows nothing of the plaintext, and is another one each time', async () => {
    const plain = Buffer.from('ada.lovelace@example.com '.repeat(100));
    const [one, two] = [await sealed(plain), await sealed(plain)];
    expect(one.includes('lovelace')).toBe(false);
    expect(one.subarray(SEALED.header).equals(two.subarray(SEALED.header))).toBe(false);
  });

  it('refuses any flipped bit', () =>
    fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 300 }),
        fc.nat(),
        fc.integer({ min: 0, max: 7 }),
        async (plain, at, bit) => {
          const blob = await sealed(plain);
          const place = at % blob.length;
          blob[place] = (blob[place] ?? 0) ^ (1 << bit);
          // A bit of the key's id names another key.
          await expect(opened(blob)).rejects.toMatchObject({
            code: expect.stringMatching(/^(ArtifactCorrupt|KeyringInvalid)$/),
          });
        },
      ),
      { numRuns: 60 },
    ));

  it('refuses to be cut off anywhere', () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.nat(), async (plain, at) => {
        const blob = await sealed(plain);
        await refused(blob.subarray(0, at % blob.length));
      }),
      { numRuns: 40 },
    ));

  it('refuses chunks that are missing, moved, doubled, added, or of another blob', async () => {
    const blob = await sealed(randomBytes(3 * SEALED.chunk + 7));
    const other = await sealed(randomBytes(3 * SEALED.chunk + 7));
    const header = blob.subarray(0, SEALED.header);
    const chunk = (i: number, of = blob) =>
      of.subarray(SEALED.header + i * CHUNK, SEALED.header + (i + 1) * CHUNK);
    const of = (...chunks: Buffer[]) => Buffer.concat([header, ...chunks]);
    expect((await opened(of(chunk(0), chunk(1), chunk(2), chunk(3)))).length).toBe(3 * SEALED.chunk + 7);
    await refused(of(chunk(0), chunk(1), chunk(2)));
    await refused(of(chunk(0), chunk(2), chunk(3)));
    await refused(of(chunk(1), chunk(0), chunk(2), chunk(3)));
    await refused(of(chunk(0), chunk(0), chunk(1), chunk(2), chunk(3)));
    await refused(of(chunk(0), chunk(1), chunk(2), chunk(3), Buffer.alloc(1)));
    await refused(of(chunk(0), chunk(1, other), chunk(2), chunk(3)));
    await refused(Buffer.concat([other.subarray(0, SEALED.header), blob.subarray(SEALED.header)]));
  });

  it('refuses what is none', async () => {
    await refused(Buffer.alloc(0));
    await refused(Buffer.from('PAR1 is a Parquet file'.repeat(10)));
  });
});

describe('the keyring', () => {
  const secret = (fill: number) => Buffer.alloc(32, fill).toString('base64');
  const write = (path: string, content: unknown, mode = 0o600) =>
    writeFile(path, JSON.stringify(content), { mode });

  it('is made when it is first needed, for its owner alone, and stays', async () => {
    const path = join(folder, 'keyring.json');
    await Promise.all([1, 2, 3].map(() => new Keyring(path, { create: true }).current()));
    const { id, secret: first } = await keyring.current();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await new Keyring(path, { create: true }).key(id)).secret.equals(first)).toBe(true);
  });

  it('seals with the newest key and opens with old ones, also when it changes meanwhile', async () => {
    const path = join(folder, 'two.json');
    keyring = new Keyring(path, { create: false, why: 'a test' });
    await write(path, { current: 'a', keys: { a: secret(1) } });
    const old = await sealed(Buffer.from('old'));
    await rm(path);
    await write(path, { current: 'b', keys: { a: secret(1), b: secret(2) } });
    const fresh = await sealed(Buffer.from('new'));
    expect([keyIdOf(old.subarray(0, 64)), keyIdOf(fresh.subarray(0, 64))]).toEqual(['a', 'b']);
    expect(String(await opened(old)) + String(await opened(fresh))).toBe('oldnew');
    await rm(path);
    await write(path, { current: 'b', keys: { b: secret(2) } });
    await expect(opened(old)).rejects.toMatchObject({
      code: 'KeyringInvalid',
      message: expect.stringContaining('does not hold the key "a"'),
    });
    // A key of the right name with other bytes opens nothing.
    await rm(path);
    await write(path, { current: 'b', keys: { b: secret(3) } });
    await refused(fresh);
  });

  it.each([
    ['open to others', { current: 'a', keys: { a: secret(1) } }, 0o640, 'chmod 600'],
    ['without its current key', { current: 'b', keys: { a: secret(1) } }, 0o600, 'does not hold the key "b"'],
    ['with a short key', { current: 'a', keys: { a: 'c2hvcnQ=' } }, 0o600, 'base64 of 32 bytes'],
    ['of another shape', [], 0o600, 'is not {'],
  ])('%s is refused, and no key is told', async (_, content, mode, words) => {
    const path = join(folder, 'bad.json');
    await write(path, content, mode);
    const error = await new Keyring(path, { create: true }).current().catch((cause: Error) => cause);
    expect(error).toMatchObject({ code: 'KeyringInvalid', message: expect.stringContaining(words) });
    expect(error).not.toMatchObject({ message: expect.stringMatching(/c2hvcnQ|AQEB/) });
  });

  it('is not made anew where the store needs the one that is gone', async () => {
    for (const needing of ['sealed', 'suppressed']) {
      const dataDir = join(folder, needing);
      const path = join(dataDir, 'keyring.json');
      const store = await openStore({ dataDir });
      await store.putJson({ personal: false });
      if (needing === 'sealed') await store.putJson({ personal: true }, { encrypt: true });
      else await store.documents.write('suppression/key', { keyId: 'k', salt: '' });
      await rm(path, { force: true });
      const reopened = await openStore({ dataDir });
      await expect(reopened.putJson({ more: true }, { encrypt: true })).rejects.toMatchObject({
        code: 'KeyringInvalid',
        message: expect.stringContaining('put it back'),
      });
      await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
    }
  });

  it('has ids that two of one day do not share', async () => {
    const made = ['x.json', 'y.json'].map((name) => new Keyring(join(folder, name), { create: true }));
    const [x, y] = await Promise.all(made.map((one) => one.current()));
    expect(x?.id).toMatch(/^k-\d{4}-\d\d-\d\d-[0-9a-f]{6}$/);
    expect(x?.id).not.toBe(y?.id);
  });

  it('is not made where others could not have it', async () => {
    const path = join(folder, 'none.json');
    const given = new Keyring(path, { create: false, why: 'the store is shared' });
    await expect(given.current()).rejects.toMatchObject({
      code: 'KeyringInvalid',
      message: expect.stringContaining('the store is shared'),
    });
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
