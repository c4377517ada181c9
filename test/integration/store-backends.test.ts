import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { documentsBelow, updateDocument } from '../../lib/store/documents.ts';
import { type StoreOnAMachine, storeOnAMachine, TestBucket } from '../support/stores.ts';

let s3: TestBucket;
beforeAll(async () => {
  s3 = await TestBucket.start();
}, 900_000);
afterAll(() => s3?.close());

const SECRET = 'ada.lovelace@example.com';
let counter = 0;

/** What both kinds of store must do; `other` is a second machine on the same store. */
describe.each(['file', 's3'] as const)('a store of kind %s', (kind) => {
  let one: StoreOnAMachine;
  let other: StoreOnAMachine;
  let store: ArtifactStore;

  beforeEach(async () => {
    const location = s3.location(`store-${counter++}/nested`);
    const first = await storeOnAMachine();
    // One machine makes the keys, the other is given them.
    await first.store.putJson('makes the keyring', { encrypt: true });
    const keyring = join(first.dataDir, 'keyring.json');
    const root = join(first.dataDir, 'shared');
    const artifactStore = kind === 'file' ? ({ kind, root } as const) : location;
    one = await storeOnAMachine({ artifactStore, keyring });
    other = await storeOnAMachine({ artifactStore, keyring });
    const closeOne = one.close;
    one.close = async () => {
      await closeOne();
      await first.close();
    };
    store = one.store;
  });
  afterEach(async () => {
    await one.close();
    await other.close();
  });

  /** Everything that a machine and the store hold, as bytes: to look for a person in. */
  async function allBytes(): Promise<string> {
    const texts: string[] = [];
    const folders = [one.dataDir, other.dataDir, kind === 'file' ? store.root : s3.server.folder];
    for (const folder of folders)
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
        if (entry.isFile()) texts.push(await readFile(join(entry.parentPath, entry.name), 'latin1'));
    return texts.join('\n');
  }

  it('gives back what was put, on every machine, whatever the way', async () => {
    const bytes = randomBytes(100_000);
    const path = join(one.dataDir, 'file');
    await writeFile(path, bytes);
    const ref = await store.putFile(path, 'application/octet-stream');
    expect(ref).toMatchObject({ uri: `cas:${ref.sha256}`, bytes: bytes.length });
    expect(await store.putBytes(bytes, 'application/octet-stream')).toEqual(ref);
    for (const { store: reader, scratch } of [one, other]) {
      expect(await reader.has(ref)).toBe(true);
      expect((await reader.bytes(ref)).equals(bytes)).toBe(true);
      const local = await reader.within(await scratch()).path(ref);
      expect((await readFile(local)).equals(bytes)).toBe(true);
      expect((await stat(local)).mode & 0o777).toBe(0o600);
    }
    expect(await other.store.blobs()).toMatchObject([{ sha256: ref.sha256, bytes: bytes.length }]);
  });

  it('knows what it does not have, and what has another size', async () => {
    const ref = await store.putJson([1]);
    const none = { ...ref, sha256: 'a'.repeat(64), uri: `cas:${'a'.repeat(64)}` };
    expect(await store.has(none)).toBe(false);
    expect(await store.touch(none)).toBe(false);
    expect(await store.has({ ...ref, bytes: 99 })).toBe(false);
    await expect(store.bytes(none)).rejects.toMatchObject({ code: 'ArtifactMissing' });
  });

  it('encrypts where asked, with the digest of the plain bytes', async () => {
    const plain = await store.putBytes(`not ${SECRET.toUpperCase()}`, 'text/plain');
    const ref = await store.putBytes(SECRET, 'text/plain', { encrypt: true });
    expect(await allBytes()).not.toContain(SECRET);
    expect(await store.isEncrypted(ref)).toBe(true);
    expect(await store.isEncrypted(plain)).toBe(false);
    expect(await other.store.has(ref)).toBe(true);
    expect(await other.store.touch(ref)).toBe(true);
    expect(String(await other.store.bytes(ref))).toBe(SECRET);
    await expect(other.store.path(ref)).rejects.toThrow('store.within');
    expect(await allBytes()).not.toContain(SECRET);
    const scratch = await other.scratch();
    const view = other.store.within(scratch);
    const [path, again] = await Promise.all([view.path(ref), view.path(ref)]);
    expect(path).toBe(again);
    expect(path.startsWith(scratch)).toBe(true);
    expect(await readFile(path, 'utf8')).toBe(SECRET);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(scratch, 'artifacts'))).toEqual([ref.sha256]);
  });

  it('puts the encrypted bytes in the place of plain ones, never the other way', async () => {
    const path = join(one.dataDir, 'shared-file');
    await writeFile(path, SECRET.repeat(3));
    const ref = await store.putFile(path, 'text/plain');
    await writeFile(path, '');
    expect(await allBytes()).toContain(SECRET);
    await store.within(one.dataDir, { encrypt: true }).putBytes(SECRET.repeat(3), 'text/plain');
    // A machine that read it before has a copy, which it may not use any more.
    expect(await store.putBytes(SECRET.repeat(3), 'text/plain')).toEqual(ref);
    expect(await store.isEncrypted(ref)).toBe(true);
    expect(await allBytes()).not.toContain(SECRET);
    expect(await store.blobs()).toHaveLength(1);
  });

  it('stores the same bytes once, however many put them at once, plain or not', async () => {
    const bytes = randomBytes(50_000);
    const refs = await Promise.all(
      [one, other, one, other, one, other].map(({ store: each }, i) =>
        each.putBytes(bytes, 'application/octet-stream', { encrypt: i === 2 }),
      ),
    );
    expect(new Set(refs.map(({ sha256 }) => sha256)).size).toBe(1);
    expect(await store.blobs()).toHaveLength(1);
    const [ref] = refs;
    if (!ref) throw new Error('no reference');
    expect(await store.isEncrypted(ref)).toBe(true);
    expect((await other.store.bytes(ref)).equals(bytes)).toBe(true);
  });

  it('deletes what nobody touched, and keeps what somebody asks for in between', async () => {
    const refs = await Promise.all([1, 2, 3].map((n) => store.putJson({ n }, { encrypt: n === 2 })));
    const [gone, sealed, wanted] = refs;
    if (!gone || !sealed || !wanted) throw new Error('no references');
    if (kind === 's3') await sleep(2_100);
    else
      for (const { sha256 } of refs)
        for (const name of [sha256, `${sha256}.sealed`])
          await utimes(join(store.root, 'sha256', name.slice(0, 2), name.slice(2)), 1, 1).catch(
            () => undefined,
          );
    const listed = new Map((await store.blobs()).map((blob) => [blob.sha256, blob]));
    expect(listed.size).toBe(3);
    await other.store.putJson({ n: 3 });
    for (const { sha256 } of refs) {
      const removed = await store.remove(sha256, { untouchedSince: listed.get(sha256)?.touchedAt ?? 0 });
      expect(removed).toBe(sha256 !== wanted.sha256);
    }
    expect(await Promise.all(refs.map((ref) => other.store.has(ref)))).toEqual([false, false, true]);
    await expect(store.bytes(gone)).rejects.toMatchObject({ code: 'ArtifactMissing' });
    expect((await store.blobs())[0]?.touchedAt).toBeGreaterThan(listed.get(wanted.sha256)?.touchedAt ?? 0);
    // It can be had again.
    expect(await store.json(await store.putJson({ n: 1 }))).toEqual({ n: 1 });
  });

  describe('an erased artifact', () => {
    it('leads to what took its place, and cannot come back', async () => {
      const old = await store.putBytes(`${SECRET}\ngrace`, 'text/csv');
      const oldSealed = await store.putBytes(`${SECRET}\nhopper`, 'text/csv', { encrypt: true });
      const next = await store.putBytes('grace', 'text/csv');
      const last = await store.putBytes('nobody', 'text/csv', { encrypt: true });
      expect(String(await other.store.bytes(old))).toContain(SECRET);
      await other.store.bytes(oldSealed);

      await store.replace(old.sha256, next, { certificate: 'e-1' });
      await store.replace(oldSealed.sha256, last, { certificate: 'e-1' });
      await store.replace(old.sha256, next, { certificate: 'e-2' }); // the same once more
      for (const { store: each, scratch } of [one, other]) {
        expect(await each.has(old)).toBe(true);
        expect(await each.touch(old)).toBe(false);
        expect(await each.resolve(old)).toEqual(next);
        expect(String(await each.bytes(old))).toBe('grace');
        expect(await readFile(await each.within(await scratch()).path(oldSealed), 'utf8')).toBe('nobody');
      }
      expect(await allBytes()).not.toContain(SECRET);
      // Runs that read the source again get what took the place.
      expect(await other.store.putBytes(`${SECRET}\ngrace`, 'text/csv')).toEqual(next);
      expect(await store.putBytes(`${SECRET}\ngrace`, 'text/csv', { encrypt: true })).toEqual(next);
      expect(await allBytes()).not.toContain(SECRET);
      // The next person is in what took the place.
      await store.replace(next.sha256, last, { certificate: 'e-3' });
      expect(await other.store.resolve(old)).toEqual(last);
      const all = [];
      for await (const erasure of store.erasures.all()) all.push(erasure.certificate);
      expect(all.sort()).toEqual(['e-1', 'e-1', 'e-3']);
    });

    it('is refused where nothing took its place', async () => {
      const old = await store.putBytes(SECRET, 'text/csv');
      await store.replace(old.sha256, null, { certificate: 'e-7' });
      expect(await other.store.has(old)).toBe(false);
      const refusal = { code: 'ArtifactErased', message: expect.stringContaining('certificate e-7') };
      await expect(other.store.bytes(old)).rejects.toMatchObject(refusal);
      await expect(store.putBytes(SECRET, 'text/csv')).rejects.toMatchObject(refusal);
      expect(await allBytes()).not.toContain(SECRET);
    });

    it('is not replaced by what is not there, by itself, or twice', async () => {
      const [a, b, c] = [await store.putJson('a'), await store.putJson('b'), await store.putJson('c')];
      const none = { ...a, sha256: 'e'.repeat(64), uri: `cas:${'e'.repeat(64)}` };
      const by = { certificate: 'e-1' };
      await expect(store.replace(a.sha256, none, by)).rejects.toMatchObject({ code: 'ArtifactMissing' });
      await expect(store.replace(a.sha256, a, by)).rejects.toMatchObject({ code: 'InputInvalid' });
      expect(await store.json(a)).toBe('a');
      await store.replace(a.sha256, b, by);
      await expect(store.replace(a.sha256, c, by)).rejects.toMatchObject({ code: 'InputInvalid' });
      expect(await store.json(a)).toBe('b');
    });

    it('leaves the local copies of other machines when they sweep', async () => {
      const old = await store.putBytes(SECRET, 'text/csv');
      await other.store.bytes(old);
      await store.replace(old.sha256, null, { certificate: 'e-8' });
      await other.store.sweep(0);
      expect(await allBytes()).not.toContain(SECRET);
    });
  });

  describe('documents', () => {
    it('are written, read, listed and removed by key', async () => {
      const { documents } = store;
      expect(await documents.read('a/b')).toBeUndefined();
      await documents.write('a/b', { n: 1 });
      await documents.write('a/c.d/e', { n: 2 });
      await documents.write('ab/x', { n: 3 });
      expect((await other.store.documents.read('a/b'))?.value).toEqual({ n: 1 });
      const keys = [];
      for await (const { key, value } of documentsBelow(other.store.documents, 'a/')) keys.push([key, value]);
      expect(keys.sort()).toEqual([
        ['a/b', { n: 1 }],
        ['a/c.d/e', { n: 2 }],
      ]);
      expect(await documents.remove('a/b')).toBe(true);
      expect(await documents.remove('a/b')).toBe(true);
      expect(await other.store.documents.read('a/b')).toBeUndefined();
    });

    it('change only from the version that was read', async () => {
      const { documents } = store;
      const first = await documents.write('head', { n: 1 }, { ifVersion: null });
      expect(first).toBeTypeOf('string');
      expect(await documents.write('head', { n: 9 }, { ifVersion: null })).toBeUndefined();
      expect((await documents.read('head'))?.version).toBe(first);
      const second = await documents.write('head', { n: 2 }, { ifVersion: first ?? '' });
      expect(await documents.write('head', { n: 9 }, { ifVersion: first ?? '' })).toBeUndefined();
      expect(await documents.remove('head', { ifVersion: first ?? '' })).toBe(false);
      expect((await documents.read('head'))?.value).toEqual({ n: 2 });
      expect(await documents.remove('head', { ifVersion: second ?? '' })).toBe(true);
      expect(await documents.write('head', { n: 9 }, { ifVersion: second ?? '' })).toBeUndefined();
    });

    it('lose no change of many at once', async () => {
      const times = kind === 'file' ? 20 : 12;
      await Promise.all(
        Array.from({ length: times }, (_, i) =>
          updateDocument((i % 2 ? one : other).store.documents, 'list', (value) => [
            ...(Array.isArray(value) ? value : []),
            i,
          ]),
        ),
      );
      const { value } = (await store.documents.read('list')) ?? {};
      expect(Array.isArray(value) && value.length).toBe(times);
    });

    it.each(['', '../x', 'a/../b', '/a', 'a//b', 'a/', 'sha256/ab', 'tmp/x', 'a b', 'ä', '.hidden'])(
      'have no key %j',
      async (key) => {
        await expect(store.documents.write(key, 1)).rejects.toMatchObject({ code: 'InputInvalid' });
        await expect(store.documents.read(key)).rejects.toMatchObject({ code: 'InputInvalid' });
      },
    );
  });
});
