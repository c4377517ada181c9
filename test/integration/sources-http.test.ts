import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpSource } from '../../contracts/spec/sources.ts';
import { Secrets } from '../../lib/secrets.ts';
import { identifySource } from '../../lib/sources/acquire.ts';
import { HostRules } from '../../lib/sources/hosts.ts';
import type { SourceOptions } from '../../lib/sources/source.ts';
import { DataFixture } from '../support/integration-data.ts';
import { SourceServer } from '../support/source-server.ts';

const CSV = 'a,b\n1,x\n2,y\n';
let data: DataFixture;
let server: SourceServer;
let other: SourceServer;
beforeAll(async () => {
  data = await DataFixture.create();
  server = await SourceServer.start();
  other = await SourceServer.start();
});
afterAll(async () => {
  await Promise.all([server.close(), other.close()]);
  await data.close();
});

const take = async (path: string, options: object = {}, more: Partial<SourceOptions> = {}) =>
  data.take(httpSource.parse({ url: `${server.url}${path}`, ...options }), more);
const refusal = (path: string, options: object = {}, more: Partial<SourceOptions> = {}) =>
  take(path, options, more).then(
    () => undefined,
    (error: unknown) => error,
  );
/** A folder that remembers what addresses answered. */
const cacheIn = (name: string) => ({ folder: join(data.folder, name), keyring: data.store.keyring });
const failure = (code: string, words: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(words) });

describe('a web address', () => {
  it('is read, and says where it came from without its query', async () => {
    server.answer((_request, response) => response.setHeader('etag', '"1"').end(CSV));
    const { table, acquired } = await take('/a.csv?token=abc');
    expect(await data.rows(table)).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: 'y' },
    ]);
    expect(acquired).toMatchObject({ kind: 'http', origin: `${server.url}/a.csv?…`, identity: 'etag:"1"' });
    expect((await take('/a.csv')).table).toEqual(table);
  });

  it.each<[string, Uint8Array, Record<string, string>]>([
    ['gzip in transfer', gzipSync(CSV), { 'content-encoding': 'gzip' }],
    ['brotli in transfer', brotliCompressSync(CSV), { 'content-encoding': 'br' }],
    ['a packed file', gzipSync(CSV), {}],
    ['UTF-16', Buffer.from(`\uFEFF${CSV}`, 'utf16le'), {}],
  ])('in %s', async (_what, body, headers) => {
    server.answer((_request, response) => response.writeHead(200, headers).end(body));
    expect((await take('/a.csv')).table.rows).toBe(2);
  });

  it('whose name tells no format is read by its media type', async () => {
    server.answer((_request, response) =>
      response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end('{"a":1}\n'),
    );
    expect((await take('/export')).table.rows).toBe(1);
    server.answer((_request, response) => response.end(CSV));
    expect(await refusal('/export')).toEqual(failure('SourceUnreadable', /set format to csv/));
  });

  it('that did not change is not sent again, with an ETag or a date', async () => {
    for (const [name, value, asks] of [
      ['etag', '"v1"', 'if-none-match'],
      ['last-modified', 'Sat, 21 Nov 2026 10:00:00 GMT', 'if-modified-since'],
    ] as const) {
      const cache = cacheIn(`cache-${name}`);
      server.answer((request, response) => {
        response.setHeader(name, value);
        if (request.headers[asks] === value) response.writeHead(304).end();
        else response.end(CSV);
      });
      const first = await take('/a.csv', {}, { cache });
      const second = await take('/a.csv', {}, { cache });
      expect(server.asked.map(({ headers }) => headers[asks])).toEqual([undefined, value]);
      expect(second.table).toEqual(first.table);
      expect(second.acquired).toMatchObject({
        sha256: first.acquired.sha256,
        identity: first.acquired.identity,
      });
    }
  });

  it('that changed is sent, and the old body goes', async () => {
    const cache = cacheIn('cache-changed');
    for (const version of [1, 2]) {
      server.answer((_request, response) =>
        response.setHeader('etag', `"${version}"`).end(`a\n${version}\n`),
      );
      expect(await data.rows((await take('/a.csv', {}, { cache })).table)).toEqual([{ a: version }]);
    }
    const [folder = ''] = await readdir(cache.folder);
    expect(await readdir(join(cache.folder, folder))).toHaveLength(2);
  });

  it('whose remembered body was tampered with is sent again', async () => {
    const cache = cacheIn('cache-tampered');
    server.answer((request, response) => {
      response.setHeader('etag', '"v1"');
      if (request.headers['if-none-match']) response.writeHead(304).end();
      else response.end(CSV);
    });
    await take('/a.csv', {}, { cache });
    const [folder = ''] = await readdir(cache.folder);
    const body = (await readdir(join(cache.folder, folder))).find((name) => name.startsWith('body-')) ?? '';
    await writeFile(join(cache.folder, folder, body), 'a,b\n6,forged\n');
    expect((await take('/a.csv', {}, { cache })).table.rows).toBe(2);
  });

  it('says what it holds without sending it', async () => {
    server.answer((request, response) =>
      response.setHeader('etag', '"v7"').end(request.method === 'HEAD' ? '' : CSV),
    );
    const source = httpSource.parse({ url: `${server.url}/a.csv` });
    expect(await identifySource(data.database, 'people', source, await data.options())).toBe('etag:"v7"');
    expect(server.asked.map(({ method }) => method)).toEqual(['HEAD']);
    server.answer((_request, response) => response.end());
    expect(await identifySource(data.database, 'people', source, await data.options())).toBeNull();
  });
});

describe('a transfer that breaks', () => {
  const long = `a,b\n${Array.from({ length: 50_000 }, (_, i) => `${i},row ${i}`).join('\n')}\n`;

  it('goes on where it stopped', async () => {
    server.answer((request, response) => {
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.setHeader('etag', '"long"').setHeader('content-length', long.length - from);
      if (from > 0)
        response.writeHead(206, { 'content-range': `bytes ${from}-${long.length - 1}/${long.length}` });
      const end = Math.min(from + 200_000, long.length);
      response.write(long.slice(from, end), () => {
        if (end < long.length) response.destroy();
        else response.end();
      });
    });
    const { table } = await take('/long.csv');
    expect(table.rows).toBe(50_000);
    const [first, second] = server.asked;
    expect(first?.headers.range).toBeUndefined();
    expect(second?.headers).toMatchObject({
      'if-range': '"long"',
      range: expect.stringMatching(/^bytes=\d+-$/),
    });
  });

  it('begins anew where the content changed in between', async () => {
    const half = long.slice(0, 100_000);
    server.answer((_request, response) => {
      const isFirst = server.asked.length === 1;
      const body = isFirst ? long : CSV;
      response.setHeader('etag', isFirst ? '"old"' : '"new"').setHeader('content-length', body.length);
      if (isFirst) response.write(half, () => response.destroy());
      else response.end(body);
    });
    expect((await take('/long.csv')).table.rows).toBe(2);
  });

  it('begins anew where the server gives the rest of something else', async () => {
    const body = (version: string) =>
      `a,b\n${Array.from({ length: 50_000 }, (_, i) => `${10_000 + i},${version}`).join('\n')}\n`;
    server.answer((request, response) => {
      const whole = body(server.asked.length === 1 ? 'old' : 'new');
      const from = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
      response.setHeader('etag', server.asked.length === 1 ? '"old"' : '"new"');
      response.setHeader('content-length', whole.length - from);
      if (from > 0)
        response.writeHead(206, { 'content-range': `bytes ${from}-${whole.length - 1}/${whole.length}` });
      if (server.asked.length === 1) response.write(whole.slice(0, 100_000), () => response.destroy());
      else response.end(whole.slice(from));
    });
    const { table, acquired } = await take('/long.csv');
    expect(table.rows).toBe(50_000);
    expect(new Set((await data.rows(table)).map(({ b }) => b))).toEqual(new Set(['new']));
    expect(acquired.identity).toBe('etag:"new"');
  });

  it('is given up after some tries, to be tried again later', async () => {
    server.answer((_request, response) => response.destroy());
    expect(await refusal('/a.csv')).toMatchObject({ code: 'SourceUnavailable', retryable: true });
    expect(server.asked).toHaveLength(4);
  });

  it.each([429, 500, 503])('or is answered %i for a while', async (status) => {
    server.answer((_request, response) => {
      if (server.asked.length < 3) response.writeHead(status, { 'retry-after': '0' }).end();
      else response.end(CSV);
    });
    expect((await take('/a.csv')).table.rows).toBe(2);
  });

  it('or stops sending', async () => {
    server.answer((_request, response) => {
      response.setHeader('content-length', CSV.length).write('a,');
    });
    expect(await refusal('/a.csv', {}, { timeouts: { idle: 100 } })).toEqual(
      failure('SourceUnavailable', /it stopped sending/),
    );
  });

  it('or is cancelled', async () => {
    const abort = new AbortController();
    server.answer((_request, response) => {
      response.write('a,');
      abort.abort(new Error('enough'));
    });
    expect(await refusal('/a.csv', {}, { signal: abort.signal })).toMatchObject({ message: 'enough' });
  });
});

describe('refused', () => {
  it.each<[string, number, Record<string, string>, string, string, RegExp]>([
    [
      'a web page',
      200,
      { 'content-type': 'text/html; charset=utf-8' },
      '<p>',
      'SourceUnreadable',
      /HTML page/,
    ],
    [
      'a web page that calls itself CSV',
      200,
      { 'content-type': 'text/csv' },
      '<html>log in</html>',
      'SourceUnreadable',
      /HTML page/,
    ],
    ['what is not there', 404, {}, '', 'SourceNotFound', /answers 404/],
    ['what wants credentials', 401, {}, '', 'SourceDenied', /answers 401; give it credentials/],
    ['a strange status', 204, {}, '', 'SourceUnreadable', /answers 204/],
    [
      'an unknown encoding',
      200,
      { 'content-encoding': 'compress' },
      'x',
      'SourceUnreadable',
      /sent it as compress/,
    ],
    [
      'a damaged encoding',
      200,
      { 'content-encoding': 'gzip' },
      'no gzip',
      'SourceUnreadable',
      /damaged or cut off/,
    ],
  ])('%s', async (_what, status, headers, body, code, words) => {
    server.answer((_request, response) => response.writeHead(status, headers).end(body));
    expect(await refusal('/a.csv')).toEqual(failure(code, words));
  });

  it('what announces too much, before it is read; what sends too much; what unpacks to too much', async () => {
    server.answer((_request, response) => response.writeHead(200, { 'content-length': '5000' }).write('a'));
    expect(await refusal('/a.csv', { maxBytes: 4_000 })).toEqual(
      failure('SourceUnreadable', /more than 4000 bytes/),
    );
    server.answer((_request, response) => response.end(`a\n${'1\n'.repeat(9_000)}`));
    expect(await refusal('/a.csv', { maxBytes: 4_000 })).toEqual(
      failure('SourceUnreadable', /more than 4000 bytes/),
    );
    const bomb = gzipSync(`a\n${'1\n'.repeat(1_000_000)}`);
    server.answer((_request, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb));
    expect(await refusal('/a.csv', { maxBytes: 100_000 })).toEqual(
      failure('SourceUnreadable', /unpacked: more than 100000 bytes/),
    );
  });
});

describe('hosts', () => {
  const rules = (hosts: string[], privateHosts: string[]) => ({ hosts: new HostRules(hosts, privateHosts) });

  it('that the worker does not name are not asked', async () => {
    server.answer((_request, response) => response.end(CSV));
    expect(await refusal('/a.csv', {}, rules([], []))).toEqual(
      failure('SourceDenied', /PERENNIAL_SOURCE_HOSTS/),
    );
    expect(await refusal('/a.csv', {}, rules(['127.0.0.1:1'], ['127.0.0.1']))).toEqual(
      failure('SourceDenied', /PERENNIAL_SOURCE_HOSTS/),
    );
    expect(server.asked).toEqual([]);
  });

  it('with a private address are not connected to unless they are named as such, by address or by name', async () => {
    server.answer((_request, response) => response.end(CSV));
    expect(await refusal('/a.csv', {}, rules(['127.0.0.1'], []))).toEqual(
      failure('SourceDenied', /PERENNIAL_SOURCE_PRIVATE_HOSTS/),
    );
    for (const host of ['localhost', '127.1', '2130706433', '0x7f000001', '[::1]', '[::ffff:127.0.0.1]']) {
      const url = `http://${host}:${server.port}/a.csv`;
      const all = rules(['localhost', '127.0.0.1', '[::1]', '[::ffff:7f00:1]'], []);
      const error = await data.take(httpSource.parse({ url }), all).catch((thrown: unknown) => thrown);
      expect(error, host).toEqual(failure('SourceDenied', /PERENNIAL_SOURCE_PRIVATE_HOSTS/));
    }
    expect(server.asked).toEqual([]);
  });

  it('are checked again where a redirect leads', async () => {
    const target = `${other.url}/a.csv`;
    other.answer((_request, response) => response.end(CSV));
    server.answer((_request, response) => response.writeHead(302, { location: target }).end());
    const onlyFirst = rules([`127.0.0.1:${server.port}`], ['127.0.0.1']);
    expect(await refusal('/a.csv', {}, onlyFirst)).toEqual(failure('SourceDenied', /PERENNIAL_SOURCE_HOSTS/));
    expect(other.asked).toEqual([]);
    server.answer((_request, response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
    );
    expect(await refusal('/a.csv', {}, rules(['127.0.0.1', '169.254.169.254'], ['127.0.0.1']))).toEqual(
      failure('SourceDenied', /169\.254\.169\.254:80 has a loopback, private or link-local address/),
    );
  });

  it.each(['file:///etc/passwd', 'ftp://127.0.0.1/a.csv', 'http://', 'data:text/csv,a'])(
    'are no hosts at all: a redirect to %s',
    async (location) => {
      server.answer((_request, response) => response.writeHead(302, { location }).end());
      expect(await refusal('/a.csv')).toEqual(failure('SourceDenied', /no web address/));
    },
  );

  it('get secrets only where they are the same origin', async () => {
    const secrets = new Secrets({ PERENNIAL_SECRET_TOKEN: 'hush-hush' });
    const headers = { authorization: 'Bearer ${env:PERENNIAL_SECRET_TOKEN}', 'X-Key': 'k' };
    other.answer((_request, response) => response.end(CSV));
    server.answer((request, response) => {
      const location = request.url === '/a.csv' ? '/b.csv' : `${other.url}/c.csv`;
      response.writeHead(307, { location }).end();
    });
    await take('/a.csv', { headers }, { secrets });
    const sent = [...server.asked, ...other.asked].map(({ url, headers }) => [
      url,
      headers.authorization,
      headers['x-key'],
    ]);
    expect(sent).toEqual([
      ['/a.csv', 'Bearer hush-hush', 'k'],
      ['/b.csv', 'Bearer hush-hush', 'k'],
      ['/c.csv', undefined, undefined],
    ]);
  });

  it('that lead in a circle are left', async () => {
    server.answer((_request, response) => response.writeHead(301, { location: '/a.csv' }).end());
    expect(await refusal('/a.csv')).toEqual(failure('SourceUnreadable', /more than 5 redirects/));
    expect(server.asked).toHaveLength(6);
  });

  it('see no secret in errors', async () => {
    const secrets = new Secrets({ PERENNIAL_SECRET_PATH: 'hush' });
    server.answer((_request, response) => response.writeHead(404).end());
    const error = await refusal('/${env:PERENNIAL_SECRET_PATH}/a.csv', {}, { secrets });
    expect(error).toMatchObject({ code: 'SourceNotFound', message: expect.not.stringContaining('hush') });
  });
});
