import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { tokenDigest } from '../../serving/security/caller.ts';
import { ModelServer } from '../../serving/server.ts';
import { makeCertificates } from '../support/certificates.ts';
import { churnServed } from './serving-models.ts';

const JSON_POST = 'POST /v2/models/churn/infer HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';

/** What no client should send, and the status that it gets. */
const ODD: readonly (readonly [name: string, status: number, request: string])[] = [
  ['no Host', 400, 'GET /v2 HTTP/1.1\r\n\r\n'],
  ['an unknown Expect', 417, 'GET /v2 HTTP/1.1\r\nHost: a\r\nExpect: foo\r\n\r\n'],
  ['an unknown Expect and a body', 417, `${JSON_POST}Expect: foo\r\nContent-Length: 9\r\n\r\n`],
  ['CONNECT', 405, 'CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['no HTTP', 400, 'hello\r\n\r\n'],
  ['HTTP/2', 400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['another version', 400, 'GET /v2 HTTP/9.9\r\nHost: a\r\n\r\n'],
  ['a broken path', 400, 'GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a broken name', 400, 'GET /v2/models/%C3%28 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a broken address', 400, 'GET http://[ HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['an unknown method', 404, 'PROPFIND /v2 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['no method', 400, 'FOO /v2 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['OPTIONS *', 404, 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['TRACE', 404, 'TRACE /v2 HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a long name', 414, `GET /v2/models/${'a'.repeat(1_300)} HTTP/1.1\r\nHost: a\r\n\r\n`],
  ['headers that are too large', 431, `GET /v2 HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`],
  ['two lengths', 400, `${JSON_POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nabcde`],
  ['a negative length', 400, `${JSON_POST}Content-Length: -1\r\n\r\n`],
  ['a broken chunk', 400, `${JSON_POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`],
  ['an unknown transfer encoding', 400, `${JSON_POST}Transfer-Encoding: gzip\r\n\r\n`],
  ['no body', 400, `${JSON_POST}Content-Length: 0\r\n\r\n`],
  ['trailers', 400, `${JSON_POST}Trailer: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx: y\r\n\r\n`],
  ['a version of the path', 400, `${JSON_POST}Accept-Version: 9\r\nContent-Length: 2\r\n\r\n{}`],
  [
    'a broken type',
    415,
    'POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: ;;;\r\nContent-Length: 2\r\n\r\n{}',
  ],
  ['a control character', 400, 'GET /v2 HTTP/1.1\r\nHost: a\r\nX: a\u0001b\r\n\r\n'],
  ['a folded header', 400, 'GET /v2 HTTP/1.1\r\nHost: a\r\nX: a\r\n b: c\r\n\r\n'],
];

interface RawAnswer {
  status: number;
  type: string;
  body: string;
  closed: boolean;
}

/** Sends bytes, and reads until the first answer is whole or the connection ends. */
async function send(port: number, request: string): Promise<RawAnswer> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  let closed = false;
  const answer = (): RawAnswer | undefined => {
    const text = Buffer.concat(chunks).toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) return undefined;
    const header = (name: string): string =>
      new RegExp(`\r\n${name}: *([^\r]*)`, 'i').exec(text.slice(0, end))?.[1] ?? '';
    const length = Number(header('content-length'));
    // What is broken behind an answered request gets an answer of its own.
    const body = text.slice(end + 4, end + 4 + length);
    if (!closed && body.length < length) return undefined;
    return { status: Number(text.split(' ')[1]), type: header('content-type'), body, closed };
  };
  const whole = new Promise<RawAnswer | undefined>((resolve) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      const found = answer();
      if (found) resolve(found);
    });
    socket.on('close', () => {
      closed = true;
      resolve(answer());
    });
  });
  await once(socket, 'connect');
  socket.write(request, 'latin1');
  const found = await whole;
  socket.destroy();
  return found ?? { status: 0, type: '', body: '', closed };
}

let folder: string;
let server: ModelServer;
/** The plain socket beside TLS is a server of its own. */
let internal: ModelServer;
const ports: Record<string, number> = {};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-raw-'));
  const store = await ArtifactStore.create(join(folder, 'store'));
  const model = await churnServed(store, '1');
  const logger = pino({ level: 'silent' });
  const { valid } = makeCertificates();
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  await writeFile(cert, valid.cert);
  await writeFile(key, valid.key);
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  const internalPort = typeof address === 'object' && address ? address.port : 0;
  probe.close();
  server = await ModelServer.create({ serverId: 'a', store, routesFile: join(folder, 'a.json'), logger });
  await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
  internal = await ModelServer.create({
    serverId: 'b',
    store,
    routesFile: join(folder, 'b.json'),
    logger,
    tls: { cert, key },
    internalPort,
    access: { internalSha256: tokenDigest('internal').toString('hex') },
  });
  ports['the server'] = Number(new URL(server.url).port);
  ports['the plain socket beside TLS'] = internalPort;
}, 60_000);
afterAll(async () => {
  await server.close();
  await internal.close();
  await rm(folder, { recursive: true, force: true });
});

describe('what is no sound HTTP', () => {
  it.each(ODD)('%s: an answer in JSON', async (_name, status, request) => {
    const answer = await send(ports['the server'] ?? 0, request);
    expect(answer).toMatchObject({ status, type: expect.stringMatching(/^application\/json/) });
    expect(typeof (JSON.parse(answer.body).error ?? JSON.parse(answer.body).message)).toBe('string');
  });

  it('is answered alike on the plain socket beside TLS', async () => {
    for (const [name, , request] of ODD) {
      const answer = await send(ports['the plain socket beside TLS'] ?? 0, request);
      expect([name, answer.status]).not.toEqual([name, 0]);
      expect([name, answer.type]).toEqual([name, expect.stringMatching(/^application\/json/)]);
      JSON.parse(answer.body);
    }
  });

  it('without a Host is sound in HTTP/1.0', async () => {
    expect(await send(ports['the server'] ?? 0, 'GET /v2 HTTP/1.0\r\n\r\n')).toMatchObject({ status: 200 });
  });

  it('asks for the body of a client that waits for that', async () => {
    const answer = await send(
      ports['the server'] ?? 0,
      `${JSON_POST}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n`,
    );
    expect(answer.status).toBe(100);
  });
});
