import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { addServerKey } from '../../client/server-keys.ts';
import { WholeApp } from './serving-whole-app.ts';

const ROW = { age: 30, city: 'Ulm', active: true, joined: 1_700_000_000 };
/** Of the document itself and its page. */
const UNDESCRIBED = [
  '/openapi.json',
  '/docs',
  '/docs/start.js',
  '/docs/swagger-ui.css',
  '/docs/swagger-ui-bundle.js',
];

const document = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) });

let whole: WholeApp | undefined;
afterEach(async () => {
  await whole?.close();
  whole = undefined;
});

/** All routes of an app, out of the tree that Fastify prints. */
function routesOf({ app }: WholeApp): { method: string; path: string }[] {
  const parents: string[] = [];
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', part = '', methods = ''] =
        /^([│ ]*)[├└]── (\S+)(?: \(([^)]*)\))?$/.exec(line) ?? [];
      const depth = indent.length / 4;
      const path = (parents[depth - 1] ?? '') + part;
      parents[depth] = path;
      return methods
        .split(', ')
        .filter((method) => method !== '' && method !== 'HEAD')
        .map((method) => ({ method, path }));
    });
}

async function documented(app: WholeApp, token?: string): Promise<{ method: string; path: string }[]> {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await app.app.inject({ url: '/openapi.json', headers });
  return Object.entries(document.parse(answer.json()).paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path })),
  );
}

it('every route is in the OpenAPI document, and nothing else', async () => {
  whole = await WholeApp.create();
  await whole.serve();
  const described = await documented(whole);
  const routes = routesOf(whole).filter(({ path }) => !UNDESCRIBED.includes(path));
  expect(routes.length).toBeGreaterThan(20);
  const shapes = routes.map(({ method, path }) => ({
    method,
    path,
    shape: new RegExp(`^${method} ${path.replaceAll(/:\w+/g, '[^/]+')}$`),
  }));
  const undescribed = shapes.filter(
    ({ shape }) => !described.some(({ method, path }) => shape.test(`${method} ${path}`)),
  );
  expect(undescribed).toEqual([]);
  const invented = described.filter(
    ({ method, path }) => !shapes.some(({ shape }) => shape.test(`${method} ${path}`)),
  );
  expect(invented).toEqual([]);
});

it('every route with a body is among the requests under way', async () => {
  whole = await WholeApp.create({ requests: { underWay: 1 } });
  await whole.serve();
  const url = await whole.listen();
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(
    'POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{',
  );
  const ask = async (path: string): Promise<number> =>
    (await fetch(url + path, { method: 'POST', body: '{}' })).status;
  while ((await ask('/invocations')) !== 503) await sleep(10);
  const posts = routesOf(whole).filter(({ method }) => method === 'POST');
  expect(posts.length).toBeGreaterThan(10);
  for (const { path } of posts)
    expect([path, await ask(path.replace(/:\w+/, 'churn').replace(/:\w+/, '3'))]).toEqual([path, 503]);
  socket.destroy();
});

it('no answer to a key of one endpoint tells of another one', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'serving-keys-'));
  try {
    const keysFile = join(folder, 'keys.json');
    const all = ['predict', 'feedback', 'operate'] as const;
    const bound = addServerKey(keysFile, {
      id: 'bound',
      roles: [...all],
      endpoints: ['mine', 'later'],
    }).token;
    const free = addServerKey(keysFile, { id: 'free', roles: [...all] }).token;
    whole = await WholeApp.create({ access: { keysFile } });
    const other = `o${randomBytes(8).toString('hex')}`;
    for (const endpoint of ['mine', other]) await whole.serve(endpoint);
    const { app } = whole;
    const ask = async (method: 'GET' | 'POST', url: string, payload: unknown, token = bound) => {
      const { statusCode, headers, body } = await app.inject({
        method,
        url,
        headers: {
          authorization: `Bearer ${token}`,
          ...(method === 'POST' && { 'content-type': 'application/json' }),
        },
        ...(method === 'POST' && { payload: JSON.stringify(payload) }),
      });
      return { status: statusCode, text: `${JSON.stringify(headers)} ${body}` };
    };
    // Something that is counted for both.
    for (const endpoint of ['mine', other])
      expect(
        (await ask('POST', `/endpoints/${endpoint}/invocations`, { instances: [ROW] }, free)).status,
      ).toBe(200);

    const theirs = await documented(whole, free);
    expect(theirs.some(({ path }) => path.includes(other))).toBe(true);
    const urls = [
      ...theirs,
      ...routesOf(whole).map(({ method, path }) => ({
        method,
        path: path.replace(/:\w+/, 'later').replace(/:\w+/, '3'),
      })),
    ];
    for (const { method, path } of urls) {
      if (method !== 'GET' && method !== 'POST') throw new Error(`a method that is not tried: ${method}`);
      const { status, text } = await ask(method, path, { instances: [ROW], ready: false });
      const named = path.includes(other);
      // Readiness is told to whoever knows the name.
      if (named && path.endsWith('/ready')) continue;
      expect([path, text.includes(other)]).toEqual([path, false]);
      if (named) expect([path, status]).toEqual([path, 403]);
    }
    // It sees one endpoint, and so need not name it.
    expect(await ask('POST', '/invocations', { instances: [ROW] })).toMatchObject({ status: 200 });
    expect((await ask('GET', '/metrics', undefined)).text).toContain('endpoint="mine"');
    expect((await ask('GET', '/metrics', undefined, free)).text).toContain(other);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
