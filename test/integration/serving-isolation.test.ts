import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ChallengerIncident, RouteTableInput, ServedModel } from '../../contracts/serving.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import { ownScript } from '../../lib/processes/own-script.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { createApp } from '../../serving/app.ts';
import { DataPlane } from '../../serving/data-plane.ts';
import { ModelHost } from '../../serving/model-host.ts';
import type { Prediction } from '../../serving/prediction.ts';
import { FAULT_ABOVE, hangingModel, hungryModel, nanModel } from '../support/faulty-models.ts';
import { PATIENT } from '../support/patience.ts';
import { plusModel } from './serving-models.ts';

const BAD = FAULT_ABOVE + 89_123;
const HEADERS = {
  headerRoutes: [
    { header: 'x-to', value: 'challenger', version: '2' },
    { header: 'x-to', value: 'champion', version: '1' },
  ],
};

let folder: string;
let store: ArtifactStore;
let servers: Server[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-isolation-'));
  store = await ArtifactStore.create(join(folder, 'store'));
});
afterEach(async () => {
  for (const server of servers) await server.close();
  servers = [];
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  status: number;
  prediction: unknown;
  headers: Headers;
  text: string;
}

/** A server over real HTTP, with a log of the incidents and of what listeners heard. */
class Server {
  readonly shadowed: Prediction[] = [];
  readonly failed: Omit<ChallengerIncident, 'serverId'>[] = [];
  readonly answered: Prediction[] = [];

  private constructor(
    readonly host: ModelHost,
    readonly url: string,
    readonly incidents: readonly ChallengerIncident[],
    private readonly app: ReturnType<typeof createApp>,
  ) {}

  static async start(own: { isolatedMemoryBytes?: number; routesFile?: string } = {}): Promise<Server> {
    const logger = pino({ level: 'silent' });
    const incidents: ChallengerIncident[] = [];
    const host = await ModelHost.create({
      serverId: 's1',
      store,
      logger,
      onIncident: (incident) => incidents.push(incident),
      ...own,
    });
    const dataPlane = new DataPlane(host);
    const app = createApp({ dataPlane, logger, version: '9.9.9' });
    const server = new Server(host, await app.listen({ host: '127.0.0.1', port: 0 }), incidents, app);
    dataPlane.listen({
      answered: (prediction) => server.answered.push(prediction),
      shadowed: (prediction) => server.shadowed.push(prediction),
      failed: (incident) => server.failed.push(incident),
    });
    servers.push(server);
    return server;
  }

  async ask(x: number | number[], headers: Record<string, string> = {}, version?: string): Promise<Answer> {
    const data = [x].flat();
    const path = version === undefined ? '' : `/versions/${version}`;
    const response = await fetch(`${this.url}/v2/models/plus${path}/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ inputs: [{ name: 'x', shape: [data.length], datatype: 'FP32', data }] }),
    });
    const text = await response.text();
    const body: unknown = JSON.parse(text);
    return {
      status: response.status,
      prediction: (body as { outputs?: { data: unknown[] }[] }).outputs?.[0]?.data[0],
      headers: response.headers,
      text,
    };
  }

  toChallenger = (x: number | number[], more: Record<string, string> = {}): Promise<Answer> =>
    this.ask(x, { 'x-to': 'challenger', ...more });
  toChampion = (x: number): Promise<Answer> => this.ask(x, { 'x-to': 'champion' });

  pid(version: string): number {
    const { pid } = this.host.version('plus', version);
    if (pid === undefined) throw new Error(`version ${version} has no process of its own now`);
    return pid;
  }

  async close(): Promise<void> {
    await this.app.close();
    await this.host.close();
  }
}

const tableOf = (
  champion: ServedModel,
  challenger: ServedModel,
  more: Partial<RouteTableInput> = {},
): RouteTableInput => ({
  endpoint: 'plus',
  generation: 1,
  routes: [
    { model: champion, weight: 90 },
    { model: challenger, weight: 10, role: 'challenger' },
  ],
  ...HEADERS,
  ...more,
});

const until = (what: () => boolean): Promise<void> =>
  vi.waitFor(() => expect(what()).toBe(true), { timeout: 60_000, interval: 20 });

const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('a challenger', () => {
  it('answers its share from a process of its own, without the environment of ours', async () => {
    vi.stubEnv('PERENNIAL_SECRET_SERVER_TOKEN', 'hush');
    const server = await Server.start();
    await server.host.applyRoutes(tableOf(await plusModel(store, '1', 10), await plusModel(store, '2', 20)));
    const answer = await server.toChallenger(5);
    expect(answer).toMatchObject({ status: 200, prediction: 25 });
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'perennial-model-version': '2',
      'perennial-model-digest': server.host.version('plus', '2').served.onnx.sha256,
      'perennial-generation': '1',
      'perennial-route': 'challenger',
      'perennial-reason': 'header',
    });
    const pid = server.pid('2');
    expect(pid).not.toBe(process.pid);
    const environment = await readFile(`/proc/${pid}/environ`, 'utf8');
    expect(environment).not.toContain('PERENNIAL_SECRET');
    expect(environment).not.toContain('HOME=');
    expect((await readFile(`/proc/${pid}/oom_score_adj`, 'utf8')).trim()).toBe('1000');
    await server.close();
    expect(alive(pid)).toBe(false);
  });

  it('gives exactly the rows that were asked for, many at a time', async () => {
    const server = await Server.start();
    await server.host.applyRoutes(tableOf(await plusModel(store, '1', 10), await plusModel(store, '2', 20)));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) => server.toChallenger([i, ...new Array<number>(i % 40).fill(0)])),
    );
    expect(answers.map(({ prediction }) => prediction)).toEqual(answers.map((_, i) => i + 20));
    expect(server.failed).toEqual([]);
  });

  it('that dies is stood in for, and started again', async () => {
    const server = await Server.start();
    await server.host.applyRoutes(tableOf(await plusModel(store, '1', 10), await plusModel(store, '2', 20)));
    const pid = server.pid('2');
    let going = true;
    const load = [1, 2, 3, 4].map(async (x) => {
      const answers: Answer[] = [];
      while (going) answers.push(await (x % 2 ? server.toChallenger(x) : server.toChampion(x)));
      return answers;
    });
    process.kill(pid, 'SIGSEGV');
    await until(() => server.failed.length > 0);
    await until(() => server.host.version('plus', '2').available);
    going = false;
    const answers = (await Promise.all(load)).flat();
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    expect(server.pid('2')).not.toBe(pid);
    expect(await server.toChallenger(5)).toMatchObject({ prediction: 25 });
    expect(new Set(server.failed.map(({ kind }) => kind))).toEqual(new Set(['crash']));
    const stoodIn = server.answered.filter(({ reason }) => reason === 'fallback');
    expect(stoodIn.length).toBe(server.failed.length);
    for (const { role, model, insteadOf } of stoodIn)
      expect([role, model.served.version, insteadOf]).toEqual(['champion', '1', '2']);
    await until(() => server.incidents.length > 0);
    expect(server.incidents[0]).toMatchObject({
      serverId: 's1',
      endpoint: 'plus',
      generation: 1,
      version: '2',
      role: 'challenger',
      kind: 'crash',
      reason: expect.stringContaining('SIGSEGV'),
    });
  });

  it('that never returns is killed, while the champion answers as ever', async () => {
    const server = await Server.start();
    const [one, two] = [await plusModel(store, '1', 10), await hangingModel(store, '2', 20)];
    await server.host.applyRoutes(tableOf(one, two));
    expect(await server.toChallenger(5)).toMatchObject({ prediction: 25 });
    const pid = server.pid('2');
    const hanging = server.toChallenger(BAD);
    let over = false;
    void hanging.then(() => {
      over = true;
    });
    // The champion's answers arrive while the challenger hangs.
    let meanwhile = 0;
    while (!over) {
      expect(await server.toChampion(1)).toMatchObject({ status: 200, prediction: 11 });
      if (!over) meanwhile += 1;
    }
    expect(meanwhile).toBeGreaterThan(10);
    expect(await hanging).toMatchObject({ status: 200, prediction: BAD + 10 });
    expect((await hanging).headers.get('perennial-reason')).toBe('fallback');
    await until(() => !alive(pid));
    await until(() => server.host.version('plus', '2').available);
    expect(await server.toChallenger(6)).toMatchObject({ prediction: 26 });
    expect(server.failed.map(({ kind }) => kind)).toEqual(server.failed.map(() => 'deadline'));
  });

  it('that answers NaN is stood in for; a champion that does is answered as null, and counted', async () => {
    const server = await Server.start();
    await server.host.applyRoutes(tableOf(await nanModel(store, '1', 10), await nanModel(store, '2', 20)));
    expect(await server.toChallenger(5)).toMatchObject({ prediction: 25 });
    const answer = await server.toChallenger([5, BAD]);
    expect(answer).toMatchObject({ status: 200, prediction: 15 });
    expect(answer.text).toContain('[15,null]');
    expect(server.failed).toMatchObject([{ kind: 'invalid-output', version: '2', count: 1 }]);
    expect(server.answered.at(-1)).toMatchObject({ insteadOf: '2', invalidRows: 1 });
    await server.toChampion(1);
    expect(server.answered.at(-1)?.invalidRows).toBeUndefined();
  });

  it('that takes too much memory is ended', async () => {
    const server = await Server.start({ isolatedMemoryBytes: 500e6 });
    const [one, two] = [await plusModel(store, '1', 10), await hungryModel(store, '2', 20)];
    await server.host.applyRoutes(tableOf(one, two, { deadlineMs: 200_000 }));
    const pid = server.pid('2');
    expect(await server.toChallenger(BAD)).toMatchObject({ status: 200, prediction: BAD + 10 });
    await until(() => !alive(pid));
    expect(server.failed[0]?.reason).toContain('more than 500 MB of memory');
    await until(() => server.host.version('plus', '2').available);
  });

  it('that refuses rows which the champion takes is stood in for; rows that both refuse are the fault of the client', async () => {
    const server = await Server.start();
    const wider = await plusModel(store, '2', 20);
    const graph = { ...wider, signature: CHALLENGER_SIGNATURE, onnx: await twoInputs(store) };
    await server.host.applyRoutes(tableOf(await plusModel(store, '1', 10), graph));
    expect(await server.toChallenger(5)).toMatchObject({ status: 200, prediction: 15 });
    expect(server.failed).toMatchObject([{ kind: 'refused-input', role: 'challenger', version: '2' }]);
    const both = await fetch(`${server.url}/v2/models/plus/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-to': 'challenger' },
      body: '{"inputs":[{"name":"nobody","shape":[1],"datatype":"FP32","data":[1]}]}',
    });
    expect(both.status).toBe(400);
    expect(server.failed).toHaveLength(1);
  });

  it('that is asked by its version is not stood in for: 503 in time, with the moment to try again', async () => {
    const server = await Server.start();
    const [one, two] = [await plusModel(store, '1', 10), await hangingModel(store, '2', 20)];
    await server.host.applyRoutes(tableOf(one, two));
    const answer = await server.ask(BAD, {}, '2');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(answer.text).toContain('this version cannot answer now');
    expect(answer.text).not.toContain(String(BAD));
    expect(server.failed).toMatchObject([{ version: '2', role: 'challenger', kind: 'deadline' }]);
    await server.host.loadCandidate('plus', await hangingModel(store, '3', 30));
    expect(await server.ask(1, {}, '3')).toMatchObject({ status: 200, prediction: 31 });
    expect(await server.ask(BAD, { 'perennial-timeout-ms': '100' }, '3')).toMatchObject({ status: 503 });
    // A candidate has no part in the table that could be taken from it.
    expect(server.failed).toHaveLength(1);
  });

  it('is not to blame for a thread that is held while its answer lies in the pipe', async () => {
    const server = await Server.start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await server.host.applyRoutes(tableOf(one, two, { deadlineMs: 2_000 }));
    const pid = server.pid('2');
    const batch = { rows: 1, columns: new Map([['x', new Float32Array([5])]]) };
    const run = server.host.version('plus', '2').run(batch, performance.now() + 1_000);
    // Longer than the deadline, and than the watchdog's patience.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5_000);
    expect((await run).columns[0]?.data[0]).toBe(25);
    expect([server.pid('2'), server.failed]).toEqual([pid, []]);
    await vi.waitFor(
      async () => expect(await server.toChallenger(5)).toMatchObject({ status: 200, prediction: 25 }),
      PATIENT,
    );
  });

  it('is not to blame for a client that gives it no time', async () => {
    const server = await Server.start();
    const [one, two] = [await plusModel(store, '1', 10), await hangingModel(store, '2', 20)];
    await server.host.applyRoutes(tableOf(one, two));
    // Less than the endpoint gives; half of it is the champion's.
    const hurried = await server.toChallenger(BAD, { 'perennial-timeout-ms': '6000' });
    expect(hurried).toMatchObject({ status: 200, prediction: BAD + 10 });
    expect(server.failed).toEqual([]);
  });

  it('gets 503 together with the champion where neither can answer', async () => {
    const server = await Server.start();
    const [one, two] = [await plusModel(store, '1', 10), await hangingModel(store, '2', 20)];
    await server.host.applyRoutes(tableOf(one, two, { deadlineMs: 1_000 }));
    const { champion } = server.host.state('plus') ?? {};
    // What nothing else would do to a model of this process.
    await champion?.close();
    const answer = await server.toChallenger(BAD);
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(answer.text).toContain('its champion cannot stand in');
  });

  it('that cannot be started again is given up, until the next table tries anew', async () => {
    const server = await Server.start();
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await server.host.applyRoutes(tableOf(one, two));
    const before = server.host.version('plus', '2');
    for (let ends = 1; ends <= 5; ends++) {
      await until(() => before.available);
      process.kill(server.pid('2'), 'SIGABRT');
      await until(() => !before.available);
    }
    await until(() => !before.usable);
    expect(await server.toChallenger(5)).toMatchObject({ status: 200, prediction: 15 });
    expect(server.failed.at(-1)?.reason).toContain('not started again before the next change of routes');
    await server.host.applyRoutes(tableOf(one, two, { generation: 2 }));
    expect(await server.toChallenger(5)).toMatchObject({ prediction: 25 });
  });

  it('that cannot be restored leaves the champion serving after a restart', async () => {
    const routesFile = join(folder, 'routes.json');
    const first = await Server.start({ routesFile });
    const [one, two] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await first.host.applyRoutes(tableOf(one, two));
    await first.close();
    const path = join(store.root, 'sha256', two.onnx.sha256.slice(0, 2), two.onnx.sha256.slice(2));
    await rm(path);
    const again = await Server.start({ routesFile });
    expect(new DataPlane(again.host).ready()).toBe(true);
    await until(() => again.failed.length > 0 || again.host.version('plus', '2').usable);
    expect(await again.toChallenger(5)).toMatchObject({ status: 200, prediction: 15 });
    expect(new DataPlane(again.host).modelReady('plus', '2')).toBe(false);
  });
});

describe('the process of a version', () => {
  it('ends with the one that serves, even while it hangs and even when that one is killed', async () => {
    const routesFile = join(folder, 'routes.json');
    const first = await Server.start({ routesFile });
    const [one, two] = [await plusModel(store, '1', 10), await hangingModel(store, '2', 20)];
    await first.host.applyRoutes(tableOf(one, two));
    await first.close();
    const { path, execArgv } = ownScript(import.meta.url, './serving-process.ts');
    const serving = spawn(process.execPath, [...execArgv, path, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = await once(serving.stdout, 'data');
      const url = String(line).trim();
      const ready = (): Promise<Response> => fetch(`${url}/v2/models/plus/versions/2/ready`);
      await vi.waitFor(async () => expect((await ready()).status).toBe(200), { timeout: 60_000 });
      const { pid = 0 } = serving;
      const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
      const child = Number(children.trim().split(' ').at(-1));
      expect(await readFile(`/proc/${child}/cmdline`, 'utf8')).toContain('model-process');
      const hanging = fetch(`${url}/v2/models/plus/infer`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-to': 'challenger' },
        body: `{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[${BAD}]}]}`,
      }).catch(() => undefined);
      await until(() => busy(child));
      serving.kill('SIGKILL');
      await hanging;
      await until(() => !alive(child));
    } finally {
      serving.kill('SIGKILL');
    }
  });
});

/** Whether a process computes: state R in proc(5). */
const busy = (pid: number): boolean => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('R');
};

describe('a shadow', () => {
  const shadowed = async (server: Server, model: ServedModel, weight: number): Promise<void> => {
    await server.host.applyRoutes({
      endpoint: 'plus',
      generation: 1,
      deadlineMs: 20_000,
      routes: [
        { model: await plusModel(store, '1', 10), weight: 100 },
        { model, weight, role: 'shadow' },
      ],
    });
  };

  it('gets its share of the requests, also of those of one id, and answers nobody', async () => {
    const server = await Server.start();
    await shadowed(server, await plusModel(store, '2', 20), 40);
    for (let i = 0; i < 200; i++)
      expect(await server.ask(1, { 'x-request-id': 'always' })).toMatchObject({ prediction: 11 });
    // 80 in the mean; the bounds are four standard deviations away.
    await until(() => server.shadowed.length > 52);
    expect(server.shadowed.length).toBeLessThan(108);
    for (const { role, reason, model, outputs } of server.shadowed)
      expect([role, reason, model.served.version, outputs.columns[0]?.data[0]]).toEqual([
        'shadow',
        'shadow',
        '2',
        21,
      ]);
    expect(server.answered.every(({ role }) => role === 'champion')).toBe(true);
  });

  it('that never returns delays no answer; what it cannot take is dropped and counted', async () => {
    const server = await Server.start();
    await shadowed(server, await hangingModel(store, '2', 20), 100);
    for (let i = 0; i < 150; i++)
      expect(await server.ask(BAD)).toMatchObject({ status: 200, prediction: BAD + 10 });
    await until(() => server.failed.some(({ kind }) => kind === 'deadline'));
    expect(server.failed.every(({ role }) => role === 'shadow')).toBe(true);
    expect(server.failed.length + server.shadowed.length).toBeLessThanOrEqual(150);
    await until(() => server.failed.length === 150);
    expect(server.answered).toHaveLength(150);
  });
});

const CHALLENGER_SIGNATURE: ServedModel['signature'] = {
  inputs: [
    { name: 'x', kind: 'numeric', optional: false },
    { name: 'z', kind: 'numeric', optional: false },
  ],
  outputs: [{ name: 'prediction', kind: 'float' }],
};

async function twoInputs(artifacts: ArtifactStore): Promise<ServedModel['onnx']> {
  const graph = new OnnxGraphBuilder('two');
  const [x, z] = [graph.input('x', 'float', ['batch']), graph.input('z', 'float', ['batch'])];
  graph.op('Add', [x, z], { output: 'prediction' });
  graph.output('prediction', 'float', ['batch']);
  return artifacts.putBytes(graph.build(), 'application/onnx');
}
