import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { addServerKey } from '../../client/server-keys.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { openStore } from '../../lib/store/open-store.ts';
import {
  type ServingOptions,
  type ServingSupervisor,
  startServing,
} from '../../serving/process/supervisor.ts';
import { PATIENT } from '../support/patience.ts';
import { churnServed } from './serving-models.ts';

const BODY = JSON.stringify({ instances: [{ age: 30, city: 'Ulm', active: true, joined: 1_700_000_000 }] });

interface Answer {
  status: number;
  version: string | undefined;
  retryAfter: string | undefined;
  text: string;
}

/** Asks over a connection of its own, which any of the processes may accept. */
function ask(
  url: string,
  path = '/invocations',
  { token, agent }: { token?: string; agent?: Agent } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const post = path.includes('inv') || path.includes('infer');
    const sent = request(
      url + path,
      {
        method: post ? 'POST' : 'GET',
        agent: agent ?? false,
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        answer.on('error', reject);
        answer.on('end', () => {
          const { 'perennial-model-version': version, 'retry-after': retryAfter } = answer.headers;
          resolve({ status: answer.statusCode ?? 0, version: String(version), retryAfter, text });
        });
      },
    );
    sent.on('error', reject);
    sent.end(post ? (path.includes('infer') ? TENSOR : BODY) : undefined);
  });
}

/** Asks until an answer has the status. What a stopped process has accepted waits; whoever runs accepts the next. */
const untilAnswered = (url: string, status: number): Promise<void> =>
  until(async () => (await Promise.race([ask(url), sleep(1_000)]))?.status === status);

const TENSOR = '{"inputs":[{"name":"age","shape":[1],"datatype":"FP32","data":[30]}]}';

/** Asks again until it is so; the test's own time-out ends it otherwise. */
async function until(so: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await so())) await sleep(50);
}

const metric = (text: string, line: string): number =>
  Number(
    text
      .split('\n')
      .find((each) => each.startsWith(line))
      ?.split(' ')
      .at(-1) ?? Number.NaN,
  );

const versions = async (url: string, count = 30): Promise<string[]> => {
  const answers = await Promise.all(Array.from({ length: count }, () => ask(url)));
  return [...new Set(answers.map(({ status, version }) => `${status} ${version}`))];
};

const isThere = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function folderWithModels(): Promise<{ folder: string; models: ServedModel[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'serving-processes-'));
  const store = await openStore({ dataDir: folder });
  const models: ServedModel[] = [];
  for (const version of ['1', '2', '3', '4', '5']) models.push(await churnServed(store, version));
  return { folder, models };
}

describe('two processes as one server', () => {
  const HANG_MS = 10_000;
  let folder: string;
  let models: ServedModel[];
  let server: ServingSupervisor;
  let logged = '';

  const apply = (generation: number): ReturnType<ServingSupervisor['applyRoutes']> => {
    const model = models[generation - 1];
    return server.applyRoutes({
      endpoint: 'churn',
      generation,
      routes: model ? [{ model, weight: 100 }] : [],
    });
  };

  beforeAll(async () => {
    ({ folder, models } = await folderWithModels());
    const write = (line: string): void => {
      logged += line;
    };
    server = await startServing({
      serverId: 'two',
      store: { dataDir: folder },
      routesFile: join(folder, 'routes.json'),
      logger: pino({ level: 'info' }, { write }),
      logLevel: 'silent',
      processes: 2,
      access: { keysFile: join(folder, 'server-keys.json') },
      supervision: { pingMs: 200, hangMs: HANG_MS, restartMs: 50 },
      maxRows: 200,
      batching: { maxWaitMs: 0, maxRows: 300 },
    });
  });
  afterAll(async () => {
    await server?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('change their routes together, and count together', async () => {
    expect(server.pids).toHaveLength(2);
    expect(await apply(1)).toEqual({ serverId: 'two', endpoint: 'churn', generation: 1, versions: ['1'] });
    expect(await versions(server.url)).toEqual(['200 1']);
    expect(await apply(2)).toMatchObject({ generation: 2, versions: ['2'] });
    expect(await versions(server.url)).toEqual(['200 2']);
    // Older ones change nothing, the same is acknowledged again, another under the same number is refused.
    expect(await apply(1)).toMatchObject({ generation: 2, versions: ['2'] });
    expect(await apply(2)).toMatchObject({ generation: 2, versions: ['2'] });
    await expect(server.applyRoutes({ endpoint: 'churn', generation: 2, routes: [] })).rejects.toMatchObject({
      code: 'RolloutFailed',
    });
    const counts = async (): Promise<number[]> => {
      const { text } = await ask(server.url, '/metrics');
      return [
        'perennial_requests_total{endpoint="churn",version="1",role="champion",code="200"}',
        'perennial_requests_total{endpoint="churn",version="2",role="champion",code="200"}',
        'perennial_routes_generation{endpoint="churn"}',
        'perennial_server_processes',
      ].map((line) => metric(text, line));
    };
    const expected = [30, 30, 2, 2];
    // A process that does not answer in time counts as it last did.
    await expect.poll(counts, PATIENT).toEqual(expected);
    for (let i = 0; i < 5; i++) expect(await counts()).toEqual(expected);
  });

  it('hold to the limits that they were started with', async () => {
    const rows = async (count: number): Promise<{ status: number; text: string }> => {
      const instances = new Array(count).fill({ age: 30 });
      const headers = { 'content-type': 'application/json' };
      const body = JSON.stringify({ instances });
      const answer = await fetch(`${server.url}/invocations`, { method: 'POST', headers, body });
      return { status: answer.status, text: await answer.text() };
    };
    expect(await rows(201)).toEqual({ status: 413, text: expect.stringContaining('more than the 200') });
    expect((await (await fetch(`${server.url}/openapi.json`)).text()).includes('"maxItems":200')).toBe(true);
    // Two of them do not fit where the model is waited for.
    await until(async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => rows(200)));
      return answers.some(({ status, text }) => status === 503 && text.includes('too many requests wait'));
    });
  });

  it('keep the old routes in all processes where one table cannot be loaded', async () => {
    const before = await readFile(join(folder, 'routes.json'), 'utf8');
    const sha256 = '0'.repeat(64);
    const [model] = models;
    if (!model) throw new Error('no model');
    const gone = { ...model, version: '9', onnx: { ...model.onnx, sha256, uri: `cas:${sha256}` } };
    await expect(
      server.applyRoutes({ endpoint: 'churn', generation: 9, routes: [{ model: gone, weight: 100 }] }),
    ).rejects.toMatchObject({ code: 'ArtifactMissing' });
    expect(await versions(server.url)).toEqual(['200 2']);
    expect(await readFile(join(folder, 'routes.json'), 'utf8')).toBe(before);
  });

  it('load and free candidates in all processes', async () => {
    const [, , , , model] = models;
    if (!model) throw new Error('no model');
    const asked = async (): Promise<number[]> => {
      const path = '/v2/models/churn/versions/5/infer';
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(server.url, path)));
      return [...new Set(answers.map(({ status }) => status))];
    };
    await server.loadCandidate('churn', model);
    expect(await asked()).toEqual([200]);
    await server.unloadCandidate('churn', '5');
    expect(await asked()).toEqual([404]);
  });

  it('replace one that is killed; it comes back with the routes that came meanwhile', async () => {
    const { text: before } = await ask(server.url, '/metrics');
    const line = 'perennial_requests_total{endpoint="churn",version="2",role="champion",code="200"}';
    const [victim = 0] = server.pids;
    process.kill(victim, 'SIGKILL');
    await until(() => !server.pids.includes(victim));
    // The other one serves, and takes part in changes.
    expect(await versions(server.url, 10)).toEqual(['200 2']);
    await apply(3);
    expect(await versions(server.url, 10)).toEqual(['200 3']);
    await until(() => server.pids.length === 2);
    expect(server.pids).not.toContain(victim);
    expect(await versions(server.url, 60)).toEqual(['200 3']);
    const { text: after } = await ask(server.url, '/metrics');
    expect(metric(after, line)).toBeGreaterThanOrEqual(metric(before, line));
    expect(metric(after, 'perennial_server_process_ends_total{reason="crash"}')).toBe(1);
    expect(logged).toContain('"how":"killed by SIGKILL"');
  });

  it('replace one whose event loop stands still; the other serves on', async () => {
    const [victim = 0] = server.pids;
    process.kill(victim, 'SIGSTOP');
    await untilAnswered(server.url, 200);
    await until(() => !server.pids.includes(victim));
    await until(() => server.pids.length === 2);
    expect(isThere(victim)).toBe(false);
    expect(await versions(server.url)).toEqual(['200 3']);
    const { text } = await ask(server.url, '/metrics');
    expect(metric(text, 'perennial_server_process_ends_total{reason="hang"}')).toBe(1);
    expect(logged).toContain(`did not answer for ${HANG_MS} ms`);
  });

  it('a process that ends in the middle of a change makes it fail or takes it up; all agree afterwards', async () => {
    const [victim = 0] = server.pids;
    const change = apply(4).then(
      () => 4,
      () => 3,
    );
    process.kill(victim, 'SIGKILL');
    const generation = await change;
    await until(() => !server.pids.includes(victim) && server.pids.length === 2);
    expect(await versions(server.url, 60)).toEqual([`200 ${generation}`]);
    const written: unknown = JSON.parse(await readFile(join(folder, 'routes.json'), 'utf8'));
    expect(written).toMatchObject({ tables: [{ generation }] });
  });

  it('bound the rate of a key over all processes, to a burst for each at most', async () => {
    const rate = { perSecond: 0.001, burst: 5 };
    const { token } = addServerKey(join(folder, 'server-keys.json'), { id: 'few', roles: ['predict'], rate });
    // Both processes take up the file by themselves: each is asked while the other one stands still.
    expect(server.pids).toHaveLength(2);
    for (const pid of server.pids) {
      process.kill(pid, 'SIGSTOP');
      await untilAnswered(server.url, 401).finally(() => process.kill(pid, 'SIGCONT'));
    }
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => ask(server.url, '/invocations', { token })),
    );
    const admitted = answers.filter(({ status }) => status === 200).length;
    expect(admitted).toBeGreaterThanOrEqual(5);
    expect(admitted).toBeLessThanOrEqual(10);
    for (const { status, retryAfter } of answers)
      if (status !== 200) expect([status, Number(retryAfter) > 1]).toEqual([429, true]);
    // The server's own token is bound by nothing.
    expect((await ask(server.internalUrl, '/invocations', { token: server.internalToken })).status).toBe(200);
  });
});

describe('the life of a server of two processes', () => {
  let folder: string;
  let models: ServedModel[];
  const running: ServingSupervisor[] = [];
  const children: ChildProcess[] = [];

  beforeAll(async () => {
    ({ folder, models } = await folderWithModels());
  });
  afterEach(async () => {
    for (const server of running.splice(0)) await server.close();
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  async function start(more: Partial<ServingOptions> = {}): Promise<ServingSupervisor> {
    const server = await startServing({
      serverId: 'two',
      store: { dataDir: folder },
      routesFile: join(folder, 'routes.json'),
      logger: pino({ level: 'silent' }),
      logLevel: 'silent',
      processes: 2,
      ...more,
    });
    running.push(server);
    return server;
  }

  it('loses no request when it drains under load', async () => {
    const server = await start();
    const { pids, url } = server;
    const [model] = models;
    if (!model) throw new Error('no model');
    await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
    let turnedAway = false;
    let answered = 0;
    const failures: string[] = [];
    const client = async (agent: Agent): Promise<void> => {
      while (!turnedAway) {
        const { status } = await ask(url, '/invocations', { agent }).catch((error: Error) => {
          failures.push(error.message);
          return { status: 0 };
        });
        if (status === 200) answered += 1;
        else failures.push(String(status));
      }
    };
    const agents = Array.from({ length: 8 }, () => new Agent({ keepAlive: true }));
    const clients = agents.map(client);
    // What a load balancer does: it looks at readiness, and sends no more where that is gone.
    const balancer = (async () => {
      while ((await ask(url, '/v2/health/ready')).status === 200) await sleep(20);
      turnedAway = true;
    })();
    await until(() => answered > 50);
    const closed = server.close({ delayMs: 10_000 });
    await balancer;
    await Promise.all(clients);
    await closed;
    for (const agent of agents) agent.destroy();
    expect(failures).toEqual([]);
    for (const pid of pids) expect(isThere(pid)).toBe(false);
    await expect(ask(url)).rejects.toThrow('ECONNREFUSED');
  });

  it('leaves no process behind when the supervisor is killed, and starts again on its last routes', async () => {
    const script = fileURLToPath(new URL('./serving-supervisor.ts', import.meta.url));
    const child = spawn(process.execPath, ['--import', 'tsx', script, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const { url, pids }: { url: string; pids: number[] } = JSON.parse(String(line));
    expect(pids).toHaveLength(2);
    expect(await versions(url, 10)).toEqual(['200 1']);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
    await until(() => !pids.some(isThere));
    const server = await start({ port: Number(new URL(url).port) });
    expect(await versions(server.url, 10)).toEqual(['200 1']);
  });

  it('says why it cannot start, and leaves nothing running', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    await expect(start({ port })).rejects.toThrow('EADDRINUSE');
    taken.close();
    await expect(start({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'InputInvalid' });
    await expect(
      start({ access: { keysFile: join(folder, 'none.json'), keysRequired: true } }),
    ).rejects.toMatchObject({ code: 'InputInvalid' });
  });
});
