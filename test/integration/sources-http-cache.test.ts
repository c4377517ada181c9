import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { privacySpec } from '../../contracts/spec/privacy.ts';
import { httpSource } from '../../contracts/spec/sources.ts';
import { HttpCache } from '../../lib/sources/http/http-cache.ts';
import { remembering } from '../../lib/sources/options.ts';
import type { SourceOptions } from '../../lib/sources/source.ts';
import { Keyring } from '../../lib/store/keyring.ts';
import { DataFixture } from '../support/integration-data.ts';
import { SourceServer } from '../support/source-server.ts';

const CSV = 'a,b\n1,x\n2,y\n';
let data: DataFixture;
let server: SourceServer;
beforeAll(async () => {
  data = await DataFixture.create();
  server = await SourceServer.start();
});
afterAll(async () => {
  await server.close();
  await data.close();
});

const take = async (path: string, options: object = {}, more: Partial<SourceOptions> = {}) =>
  data.take(httpSource.parse({ url: `${server.url}${path}`, ...options }), more);
/** A folder that remembers what addresses answered. */
const cacheIn = (name: string) => ({ folder: join(data.folder, name), keyring: data.store.keyring });

describe('what is remembered of an address', () => {
  it('leaves the files of all who keep it at once as they are', async () => {
    const folder = await data.scratch();
    const cache = HttpCache.of({ folder: join(folder, 'cache'), keyring: data.store.keyring }, [
      'https://example.org',
    ]);
    const bodies = Array.from({ length: 20 }, (_, i) => join(folder, `body-${i}`));
    for (const [i, body] of bodies.entries()) await writeFile(body, `a\n${i}\n`);
    await mkdir(join(folder, 'cache'));
    const note = { etag: '"1"', lastModified: null, mediaType: 'text/csv' };
    await Promise.all(
      bodies.map((body, i) => cache.keep({ ...note, sha256: String(i).padStart(64, '0') }, body)),
    );
    for (const [i, body] of bodies.entries()) expect(await readFile(body, 'utf8')).toBe(`a\n${i}\n`);
    const [kept = ''] = await readdir(join(folder, 'cache'));
    expect((await readdir(join(folder, 'cache', kept))).filter((name) => name.startsWith('new-'))).toEqual(
      [],
    );
  });

  it('lies on disk encrypted: what is personal in it may be found only later', async () => {
    const cache = cacheIn('cache-sealed');
    server.answer((request, response) => {
      response.setHeader('etag', '"v1"');
      if (request.headers['if-none-match']) response.writeHead(304).end();
      else response.end('mail,b\nada.lovelace@example.com,1\n');
    });
    const first = await take('/people.csv', {}, { cache });
    const [folder = ''] = await readdir(cache.folder);
    const names = await readdir(join(cache.folder, folder));
    expect(names).toHaveLength(2);
    for (const name of names) {
      const content = await readFile(join(cache.folder, folder, name));
      expect(content.includes('lovelace'), name).toBe(false);
      expect(content.subarray(0, 7).toString() === 'PRNSEAL', name).toBe(name.startsWith('body-'));
    }
    expect((await take('/people.csv', {}, { cache })).table).toEqual(first.table);
    expect(server.asked.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, '"v1"']);
  });

  it('is nothing where there is no key, and where the key is gone', async () => {
    const without = (path: string) => new Keyring(path, { create: false, why: 'it is on another machine' });
    const cache = cacheIn('cache-without-keys');
    server.answer((request, response) => {
      response.setHeader('etag', '"v1"');
      if (request.headers['if-none-match']) response.writeHead(304).end();
      else response.end(CSV);
    });
    const none = { ...cache, keyring: without(join(data.folder, 'no-keyring.json')) };
    for (let n = 0; n < 2; n++) expect((await take('/a.csv', {}, { cache: none })).table.rows).toBe(2);
    await take('/a.csv', {}, { cache });
    expect((await take('/a.csv', {}, { cache: none })).table.rows).toBe(2);
    expect(server.asked.map(({ headers }) => headers['if-none-match'])).toEqual(
      Array.from({ length: 4 }, () => undefined),
    );
  });

  it('is not taken where somebody put the body of another address in its place', async () => {
    const cache = cacheIn('cache-swapped');
    server.answer((request, response) => {
      response.setHeader('etag', '"v1"');
      if (request.headers['if-none-match']) response.writeHead(304).end();
      else response.end(request.url === '/a.csv' ? CSV : 'a,b\n6,other\n');
    });
    for (const path of ['/a.csv', '/b.csv']) await take(path, {}, { cache });
    const bodies: string[] = [];
    for (const folder of await readdir(cache.folder))
      for (const name of await readdir(join(cache.folder, folder)))
        if (name.startsWith('body-')) bodies.push(join(cache.folder, folder, name));
    const [one = '', two = ''] = bodies;
    const sealed = await readFile(one);
    await copyFile(two, one);
    await writeFile(two, sealed);
    expect((await take('/a.csv', {}, { cache })).table.rows).toBe(2);
    expect((await take('/b.csv', {}, { cache })).table.rows).toBe(1);
  });

  it.each<[string, object, boolean]>([
    ['a spec without personal data', {}, true],
    ['one that says who is meant', { subject: 'customer' }, false],
    ['one with personal columns', { columns: { email: 'drop' } }, false],
  ])('is kept only where a spec names nothing personal: %s', (_which, privacy, kept) => {
    const { keyring } = data.store;
    const { cache } = remembering({ dataDir: '/data' }, keyring, privacySpec.parse(privacy));
    expect(cache).toEqual(kept ? { folder: '/data/sources/http', keyring } : undefined);
  });
});
