import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { ModelServer } from '../../serving/server.ts';
import { churnServed } from './serving-models.ts';

const ROW = { age: 30, city: 'Ulm', active: true, joined: 1_700_000_000 };
const ANSWER = { predictions: [{ label: 'yes', probability: expect.closeTo(0.88795, 5) }] };

let folder: string;
let store: ArtifactStore;
const servers: ModelServer[] = [];
const children: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-server-'));
  store = await ArtifactStore.create(join(folder, 'store'));
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
  for (const server of servers.splice(0)) await server.close();
  await rm(folder, { recursive: true, force: true });
});

async function startHere(): Promise<ModelServer> {
  const server = await ModelServer.create({
    serverId: 'here',
    store,
    routesFile: join(folder, 'routes.json'),
    logger: pino({ level: 'silent' }),
  });
  servers.push(server);
  return server;
}

/** Starts a server of its own process; gives its URL and a reader of what it prints. */
async function startChild(): Promise<{ child: ChildProcess; url: string; line: () => Promise<string> }> {
  const script = fileURLToPath(new URL('./serving-process.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async (): Promise<string> => String((await lines.next()).value);
  return { child, url: await line(), line };
}

async function invoke(url: string, rows = 1): Promise<unknown> {
  const answer = await fetch(`${url}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ instances: new Array(rows).fill(ROW) }),
  });
  return answer.json();
}

describe('ModelServer', () => {
  it('listens on loopback and answers over HTTP', async () => {
    const server = await startHere();
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    await server.applyRoutes({
      endpoint: 'churn',
      generation: 1,
      routes: [{ model: await churnServed(store, '1'), weight: 100 }],
    });
    expect(await invoke(server.url)).toEqual(ANSWER);
    const many = await Promise.all(Array.from({ length: 100 }, () => invoke(server.url)));
    for (const answer of many) expect(answer).toEqual(ANSWER);
  });

  it('serves candidates over HTTP before a route points at them', async () => {
    const server = await startHere();
    await server.loadCandidate('churn', await churnServed(store, '2'));
    const url = `${server.url}/v2/models/churn/versions/2/infer`;
    const ask = (): Promise<Response> =>
      fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"inputs":[{"name":"age","shape":[1],"datatype":"FP32","data":[30]}]}',
      });
    expect(await (await ask()).json()).toMatchObject({ model_name: 'churn', model_version: '2' });
    expect((await fetch(`${server.url}/v2/models/churn/ready`)).status).toBe(503);
    await server.unloadCandidate('churn', '2');
    expect((await ask()).status).toBe(404);
  });

  it('answers what is under way when it closes, and nothing new', async () => {
    const server = await startHere();
    await server.applyRoutes({
      endpoint: 'churn',
      generation: 1,
      routes: [{ model: await churnServed(store, '1'), weight: 100 }],
    });
    const port = Number(new URL(server.url).port);
    const body = JSON.stringify({ instances: [ROW] });
    const socket = connect(port, '127.0.0.1');
    let received = '';
    socket.setEncoding('utf8').on('data', (text: string) => {
      received += text;
    });
    const half = Math.floor(body.length / 2);
    socket.write(
      `POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, half)}`,
    );
    // A second request, answered, proves that the server has the first one's head by now.
    await invoke(server.url);
    const ended = once(socket, 'close');
    const closed = server.close();
    socket.write(body.slice(half));
    await closed;
    await ended;
    expect(received).toContain('200 OK');
    expect(received).toContain('"label":"yes"');
    await expect(fetch(`${server.url}/ping`)).rejects.toThrow();
    await server.close();
  });

  it('fails clearly where its port is taken', async () => {
    const { port } = new URL((await startHere()).url);
    const second = ModelServer.create({
      serverId: 'second',
      store,
      routesFile: join(folder, 'second.json'),
      logger: pino({ level: 'silent' }),
      port: Number(port),
    });
    await expect(second).rejects.toThrow('EADDRINUSE');
  });
});

describe('a server that is killed', () => {
  it('serves the same routes when it starts again, without Temporal or MLflow', async () => {
    const setUp = await startHere();
    await setUp.applyRoutes({
      endpoint: 'churn',
      generation: 4,
      routes: [{ model: await churnServed(store, '1'), weight: 100 }],
    });
    await setUp.close();
    const first = await startChild();
    expect(await invoke(first.url)).toEqual(ANSWER);
    const killed = once(first.child, 'exit');
    first.child.kill('SIGKILL');
    await killed;
    const second = await startChild();
    expect(await invoke(second.url)).toEqual(ANSWER);
    expect(await (await fetch(`${second.url}/v2/models/churn`)).json()).toMatchObject({
      parameters: { generation: 4 },
    });
    const ended = once(second.child, 'exit');
    second.child.kill('SIGTERM');
    expect(await second.line()).toBe('closed');
    // Nothing keeps the process alive after close(): no timer, no socket.
    expect(await ended).toEqual([0, null]);
  });
});
