import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { ModelServer, type ModelServerOptions } from '../../serving/server.ts';
import { churnServed } from './serving-models.ts';

const ROW = { age: 30, city: 'Ulm', active: true, joined: 1_700_000_000 };
const BODY = JSON.stringify({ instances: [ROW] });

let folder: string;
let store: ArtifactStore;
let server: ModelServer | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-overload-'));
  store = await ArtifactStore.create(join(folder, 'store'));
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function serve(requests: ModelServerOptions['requests'] = {}): Promise<string> {
  server = await ModelServer.create({
    serverId: 's',
    store,
    routesFile: join(folder, 'routes.json'),
    logger: pino({ level: 'silent' }),
    requests,
  });
  const model = await churnServed(store, '1');
  await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
  return server.url;
}

const post = (
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(`${url}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });

/** A raw connection and all that came over it. */
async function open(
  url: string,
): Promise<{ socket: Socket; received: () => string; closed: Promise<unknown> }> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  socket.on('error', () => undefined);
  const closed = once(socket, 'close').catch(() => undefined);
  await once(socket, 'connect');
  return { socket, received: () => text, closed };
}

const HEAD = (length: number): string =>
  `POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;

/** Sends one character after the other for as long as the connection is there. */
async function dribble(socket: Socket, text: string): Promise<void> {
  for (const character of text) {
    if (socket.destroyed || !socket.writable) return;
    socket.write(character);
    await sleep(40);
  }
}

/** Waits until the other side has closed; who does not read hears of that only by writing. */
async function cutOff(socket: Socket): Promise<void> {
  while (!socket.destroyed) {
    socket.write('\r\n');
    await sleep(50);
  }
}

describe('slow clients', () => {
  it('who dribble their headers are cut off', async () => {
    const url = await serve({ headersMs: 400 });
    const { socket, received, closed } = await open(url);
    void dribble(socket, `POST /invocations HTTP/1.1\r\nx-long: ${'a'.repeat(10_000)}`);
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 408 .*"error":"the request took too long to arrive"/s);
    expect((await post(url, BODY)).status).toBe(200);
  });

  it('who dribble their body are cut off', async () => {
    const url = await serve({ headersMs: 400, bodyMs: 400 });
    const { socket, received, closed } = await open(url);
    socket.write(HEAD(10_000));
    void dribble(socket, ' '.repeat(10_000));
    await closed;
    expect(received()).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('who do not read a long answer are cut off', async () => {
    const url = await serve({ answerMs: 400 });
    const body = JSON.stringify({ instances: new Array(10_000).fill(ROW) });
    const { socket } = await open(url);
    socket.pause();
    // Many answers, so that no buffer on the way takes them all.
    for (let i = 0; i < 12; i++) socket.write(HEAD(body.length) + body);
    await cutOff(socket);
    expect((await post(url, BODY)).status).toBe(200);
  });

  it('nor a long page, for which nobody needs a key', async () => {
    const url = await serve({ answerMs: 300 });
    const { socket } = await open(url);
    socket.pause();
    // All twelve are 18 MB.
    for (let i = 0; i < 12; i++) socket.write('GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n');
    await cutOff(socket);
  });
});

describe('too much at once', () => {
  it('is refused with 503 and when to come again, in the words of both protocols', async () => {
    const url = await serve({ underWay: 1 });
    const { socket, received } = await open(url);
    socket.write(HEAD(BODY.length) + BODY.slice(0, 10));
    const refused = await until(
      () => post(url, BODY),
      ({ status }) => status === 503,
    );
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({ error_code: 'TEMPORARILY_UNAVAILABLE' });
    const tensors = await fetch(`${url}/v2/models/churn/infer`, { method: 'POST', body: '{}' });
    expect(tensors.status).toBe(503);
    expect(await tensors.json()).toEqual({ error: expect.stringContaining('come again later') });
    expect((await fetch(`${url}/v2/health/ready`)).status).toBe(200);
    socket.write(BODY.slice(10));
    await until(
      async () => received(),
      (text) => text.includes('200 OK'),
    );
    socket.destroy();
    await until(
      () => post(url, BODY),
      ({ status }) => status === 200,
    );
  });

  it('a client that goes away gives its place back', async () => {
    const url = await serve({ underWay: 1 });
    const { socket } = await open(url);
    socket.write(HEAD(BODY.length) + BODY.slice(0, 10));
    await until(
      () => post(url, BODY),
      ({ status }) => status === 503,
    );
    socket.destroy();
    await until(
      () => post(url, BODY),
      ({ status }) => status === 200,
    );
  });

  it('connections beyond the limit are closed', async () => {
    const url = await serve({ connections: 2 });
    const first = await open(url);
    const second = await open(url);
    const third = await open(url);
    await third.closed;
    expect(third.received()).toBe('');
    first.socket.destroy();
    second.socket.destroy();
    await until(
      () => post(url, BODY).catch(() => undefined),
      (answer) => answer?.status === 200,
    );
  });
});

describe('the bytes of bodies', () => {
  const BIG = JSON.stringify({ instances: [ROW] }).padEnd(300_000);

  it('are bounded all together, before they are read; small bodies pass', async () => {
    const url = await serve({ allBodyBytes: 400_000 });
    const { socket, received } = await open(url);
    socket.write(HEAD(BIG.length) + BIG.slice(0, -1));
    const refused = await until(
      () => post(url, BIG),
      ({ status }) => status === 503,
    );
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toMatchObject({
      error_code: 'TEMPORARILY_UNAVAILABLE',
      message: expect.stringContaining('bytes'),
    });
    // Of these nobody knows the length before they are there.
    const zipped = new Uint8Array(gzipSync(BIG));
    expect((await post(url, zipped, { 'content-encoding': 'gzip' })).status).toBe(503);
    const chunked = await fetch(`${url}/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob([BIG]).stream(),
      duplex: 'half',
    });
    expect(chunked.status).toBe(503);
    expect((await post(url, BODY)).status).toBe(200);
    expect((await post(url, new Uint8Array(gzipSync(BODY)), { 'content-encoding': 'gzip' })).status).toBe(
      200,
    );
    // Too large for the route is too large, also when the server is full.
    expect((await post(url, ' '.repeat(11_000_000))).status).toBe(413);
    socket.write(' ');
    await until(
      async () => received(),
      (text) => text.includes('200 OK'),
    );
    socket.destroy();
    // Each gives its bytes back, answered or refused.
    for (let i = 0; i < 3; i++)
      for (const [body, headers] of [
        [BIG, {}],
        [zipped, { 'content-encoding': 'gzip' }],
      ] as const)
        expect((await post(url, body, headers)).status).toBe(200);
  });

  it('one alone is taken whatever the bound', async () => {
    const url = await serve({ allBodyBytes: 1 });
    for (let i = 0; i < 3; i++) expect((await post(url, BIG)).status).toBe(200);
  });
});

describe('a path that there is not', () => {
  it('is answered before its body is read', async () => {
    const url = await serve();
    const { socket, received } = await open(url);
    const bomb = gzipSync(Buffer.alloc(10_000_000));
    const head = (length: number, type: string): string =>
      `POST /nope HTTP/1.1\r\nhost: x\r\ncontent-type: ${type}\r\ncontent-encoding: gzip\r\ncontent-length: ${length}\r\n\r\n`;
    // All of the body but its last byte: whoever reads it has it in memory, and waits.
    socket.write(head(bomb.length, 'application/json'));
    socket.write(bomb.subarray(0, -1));
    await until(
      async () => received(),
      (text) => text.includes('there is no POST on this path'),
    );
    expect(received()).toMatch(/^HTTP\/1\.1 404 .*\r\ncontent-type: application\/json/s);
    // Nor is its type looked at. What is left of the first body is passed over.
    socket.write(bomb.subarray(-1));
    socket.write(head(5, 'text/csv'));
    await until(
      async () => received(),
      (text) => text.split('HTTP/1.1 404').length === 3,
    );
    socket.destroy();
  });
});

describe('compressed bodies', () => {
  it('are read', async () => {
    const url = await serve();
    for (const [encoding, body] of [
      ['gzip', gzipSync(BODY)],
      ['deflate', deflateSync(BODY)],
      ['br', brotliCompressSync(BODY)],
      ['identity', Buffer.from(BODY)],
    ] as const) {
      const answer = await post(url, new Uint8Array(body), { 'content-encoding': encoding });
      expect([encoding, answer.status]).toEqual([encoding, 200]);
      expect(await answer.json()).toEqual({
        predictions: [{ label: 'yes', probability: expect.closeTo(0.88795, 5) }],
      });
    }
  });

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ] as const)('a %s bomb ends at the cap, and the connection with an answer', async (encoding, compress) => {
    const url = await serve({ bodyBytes: 1_000_000 });
    const bomb = compress(Buffer.alloc(50_000_000));
    expect(bomb.length).toBeLessThan(1_000_000);
    const before = process.memoryUsage().rss;
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => post(url, new Uint8Array(bomb), { 'content-encoding': encoding })),
    );
    for (const answer of answers) {
      expect(answer.status).toBe(413);
      expect(await answer.json()).toMatchObject({ error_code: 'REQUEST_LIMIT_EXCEEDED' });
    }
    // Eight bombs are 400 MB; what is held of them is a few chunks each.
    expect(process.memoryUsage().rss - before).toBeLessThan(200_000_000);
    expect((await post(url, BODY)).status).toBe(200);
  });

  it('that are broken, cut off or of an unknown kind are refused, never with a value of theirs', async () => {
    const url = await serve();
    const whole = new Uint8Array(gzipSync(BODY));
    const cut = await post(url, whole.slice(0, whole.length - 12), { 'content-encoding': 'gzip' });
    const garbage = await post(url, 'Erika Mustermann', { 'content-encoding': 'gzip' });
    const unknown = await post(url, BODY, { 'content-encoding': 'zstd' });
    const twice = await post(url, BODY, { 'content-encoding': 'gzip, gzip' });
    expect([cut.status, garbage.status, unknown.status, twice.status]).toEqual([400, 400, 415, 415]);
    expect(await garbage.text()).not.toContain('Erika');
    expect((await post(url, BODY)).status).toBe(200);
  });
});

/** Asks again until the answer is as expected; the test's own time-out ends it otherwise. */
async function until<T>(ask: () => Promise<T>, good: (answer: T) => boolean): Promise<T> {
  for (;;) {
    const answer = await ask();
    if (good(answer)) return answer;
    await sleep(20);
  }
}
