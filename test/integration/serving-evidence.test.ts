import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { precheck } from '../../activities/precheck.ts';
import { type TrafficReport, trafficReport, type VersionTraffic } from '../../contracts/rollout-evidence.ts';
import type { RouteTableInput, ServedModel } from '../../contracts/serving.ts';
import { sketchCount, sketchQuantile } from '../../domain/rollout/sketch.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { type ServingSupervisor, startServing } from '../../serving/process/supervisor.ts';
import { ModelServer } from '../../serving/server.ts';
import { FAULT_ABOVE, failingModel, hangingModel, hungryModel, nanModel } from '../support/faulty-models.ts';
import { PATIENT } from '../support/patience.ts';
import { churnServed, plusModel } from './serving-models.ts';

const BAD = FAULT_ABOVE + 89_123;
const logger = pino({ level: 'silent' });

let folder: string;
let store: ArtifactStore;
let closing: (() => Promise<void>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'serving-evidence-'));
  store = await openStore({ dataDir: folder });
});
afterEach(async () => {
  for (const close of closing) await close();
  closing = [];
  await rm(folder, { recursive: true, force: true });
});

async function serverOf(): Promise<ModelServer> {
  const routesFile = join(folder, 'routes.json');
  const server = await ModelServer.create({ serverId: 's1', store, logger, routesFile });
  closing.push(() => server.close());
  return server;
}

const table = (
  champion: ServedModel,
  beside: { model: ServedModel; role: 'challenger' | 'shadow' },
  more: Partial<RouteTableInput> = {},
): RouteTableInput => ({
  endpoint: 'plus',
  generation: 1,
  routes: [
    { model: champion, weight: beside.role === 'shadow' ? 100 : 99 },
    { ...beside, weight: beside.role === 'shadow' ? 100 : 1 },
  ],
  headerRoutes: [
    { header: 'x-to', value: 'champion', version: champion.version },
    ...(beside.role === 'challenger'
      ? [{ header: 'x-to', value: 'challenger', version: beside.model.version }]
      : []),
  ],
  ...more,
});

/** @returns status */
async function ask(
  url: string,
  x: number | number[],
  headers: Record<string, string> = {},
  version?: string,
): Promise<number> {
  const data = [x].flat();
  const path = version === undefined ? '' : `/versions/${version}`;
  const response = await fetch(`${url}/v2/models/plus${path}/infer`, {
    method: 'POST',
    // Connections of their own: with several processes any may accept them.
    headers: { 'content-type': 'application/json', connection: 'close', ...headers },
    body: JSON.stringify({ inputs: [{ name: 'x', shape: [data.length], datatype: 'FP32', data }] }),
  });
  await response.text();
  return response.status;
}

const toChallenger = { 'x-to': 'challenger' };
const toChampion = { 'x-to': 'champion' };

async function seen(
  server: Pick<ModelServer | ServingSupervisor, 'observeTraffic'>,
  version: string,
): Promise<VersionTraffic> {
  const report = trafficReport.parse(await server.observeTraffic('plus'));
  const traffic = report.versions.find((one) => one.version === version);
  if (!traffic) throw new Error(`nothing is known of version ${version}`);
  return traffic;
}

describe('the evidence of a server', () => {
  it('counts requests, rows, latency and answers of champion and challenger', async () => {
    const server = await serverOf();
    const challenger = await plusModel(store, '2', 20);
    await server.applyRoutes(
      table(await plusModel(store, '1', 10), { model: challenger, role: 'challenger' }),
    );
    const nothing = await server.observeTraffic('plus');
    expect(nothing).toMatchObject({
      serverId: 's1',
      generation: 1,
      versions: [
        { version: '1', role: 'champion', requests: 0 },
        { version: '2', role: 'challenger', requests: 0, rows: 0, failures: {}, numbers: {} },
      ],
    });
    for (let i = 0; i < 10; i++) await ask(server.url, [1, 2, 3], toChampion);
    for (let i = 0; i < 4; i++) await ask(server.url, 5, toChallenger);
    const champion = await seen(server, '1');
    expect(champion).toMatchObject({ requests: 10, rows: 30, failures: {}, labels: {} });
    expect(sketchCount(champion.latency)).toBe(10);
    expect(sketchQuantile(champion.latency, 0.5)).toBeGreaterThan(0.02);
    expect(sketchQuantile(champion.latency, 0.5)).toBeLessThan(1_000);
    expect(Object.keys(champion.numbers)).toEqual(['prediction']);
    const answers = champion.numbers.prediction;
    expect(answers && sketchCount(answers)).toBe(30);
    expect(answers && sketchQuantile(answers, 0.5)).toBeCloseTo(12, 0);
    const second = await seen(server, '2');
    expect(second).toMatchObject({ requests: 4, rows: 4, role: 'challenger' });
    expect(second.numbers.prediction && sketchQuantile(second.numbers.prediction, 1)).toBeGreaterThan(24);
  });

  it('begins anew with a generation, and not with the same one again', async () => {
    const server = await serverOf();
    const [champion, challenger] = [await plusModel(store, '1', 10), await plusModel(store, '2', 20)];
    await server.applyRoutes(table(champion, { model: challenger, role: 'challenger' }));
    for (let i = 0; i < 3; i++) await ask(server.url, 1, toChampion);
    await server.applyRoutes(table(champion, { model: challenger, role: 'challenger' }));
    expect(await seen(server, '1')).toMatchObject({ requests: 3 });
    const first = await server.observeTraffic('plus');
    await server.applyRoutes(table(champion, { model: challenger, role: 'challenger' }, { generation: 2 }));
    const second = await server.observeTraffic('plus');
    expect(second).toMatchObject({ generation: 2, epoch: first.epoch });
    expect(second.versions.map(({ requests }) => requests)).toEqual([0, 0]);
    await ask(server.url, 1, toChampion);
    expect(await seen(server, '1')).toMatchObject({ requests: 1 });
  });

  it('counts a challenger that fails as its failure, and the answer in its place nowhere', async () => {
    const server = await serverOf();
    const challenger = await nanModel(store, '2', 20);
    await server.applyRoutes(
      table(await plusModel(store, '1', 10), { model: challenger, role: 'challenger' }),
    );
    for (let i = 0; i < 5; i++) expect(await ask(server.url, [BAD, 1], toChallenger)).toBe(200);
    for (let i = 0; i < 2; i++) await ask(server.url, 1, toChallenger);
    const failed = await seen(server, '2');
    expect(failed).toMatchObject({ requests: 7, rows: 12, failures: { 'invalid-output': 5 } });
    expect(sketchCount(failed.latency)).toBe(7);
    expect(failed.numbers.prediction && sketchCount(failed.numbers.prediction)).toBe(2);
    expect(await seen(server, '1')).toMatchObject({ requests: 0, rows: 0, failures: {}, numbers: {} });
    // A champion that answers so has failed likewise.
    await server.applyRoutes({
      endpoint: 'plus',
      generation: 2,
      routes: [{ model: challenger, weight: 100 }],
    });
    expect(await ask(server.url, BAD)).toBe(200);
    expect(await seen(server, '2')).toMatchObject({ role: 'champion', failures: { 'invalid-output': 1 } });
  });

  it('counts one that is silent or ends as such, with the time until that was known', {
    timeout: 300_000,
  }, async () => {
    const server = await serverOf();
    const [champion, hanging] = [await plusModel(store, '1', 10), await hangingModel(store, '2', 20)];
    const two = () => server.dataPlane.model('plus', '2');
    const isThere = () => vi.waitUntil(() => two().available, { timeout: 60_000 });
    let silent: VersionTraffic | undefined;
    // Where this process is held just when the time is over, nobody is blamed.
    for (let generation = 1; !silent?.requests; generation++) {
      const more = { generation, deadlineMs: 4_000 };
      await server.applyRoutes(table(champion, { model: hanging, role: 'challenger' }, more));
      await isThere();
      const { pid } = two();
      expect(await ask(server.url, BAD, toChallenger)).toBe(200);
      silent = await seen(server, '2');
      await vi.waitUntil(() => two().pid !== pid, { timeout: 60_000 });
    }
    expect(silent).toMatchObject({ requests: 1, rows: 1, failures: { deadline: 1 } });
    expect(sketchQuantile(silent.latency, 0.5)).toBeGreaterThan(1_500);
    expect(sketchQuantile(silent.latency, 0.5)).toBeLessThan(3_900);
    await isThere();
    // Who gives less time than the endpoint says nothing about the version.
    await ask(server.url, BAD, { ...toChallenger, 'perennial-timeout-ms': '60' });
    expect(await seen(server, '2')).toMatchObject({ requests: 1 });

    const hungry = await hungryModel(store, '3', 20);
    const next = { generation: 100, deadlineMs: 20_000 };
    await server.applyRoutes(table(champion, { model: hungry, role: 'challenger' }, next));
    expect(await ask(server.url, BAD, toChallenger)).toBe(200);
    expect(await seen(server, '3')).toMatchObject({ requests: 1, failures: { crash: 1 } });
    expect(await seen(server, '1')).toMatchObject({ requests: 0 });
  });

  it('counts the failures of a champion, and not those of its clients', async () => {
    const server = await serverOf();
    // Rows above the limit make a reshape impossible: the engine fails.
    const model = await failingModel(store, '1');
    await server.applyRoutes({ endpoint: 'plus', generation: 1, routes: [{ model, weight: 100 }] });
    expect(await ask(server.url, 1)).toBe(200);
    expect(await ask(server.url, BAD)).toBe(500);
    const response = await fetch(`${server.url}/v2/models/plus/infer`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect(response.status).toBe(400);
    expect(await seen(server, '1')).toMatchObject({ requests: 2, rows: 2, failures: { error: 1 } });
  });

  it('counts copies for a shadow, and its failures among them', async () => {
    const server = await serverOf();
    const shadow = await nanModel(store, '2', 20);
    await server.applyRoutes(table(await plusModel(store, '1', 10), { model: shadow, role: 'shadow' }));
    for (const x of [1, 2, BAD]) expect(await ask(server.url, x)).toBe(200);
    await vi.waitFor(async () => expect((await seen(server, '2')).requests).toBe(3), PATIENT);
    const copies = await seen(server, '2');
    expect(copies).toMatchObject({ role: 'shadow', rows: 3, failures: { 'invalid-output': 1 } });
    expect(sketchCount(copies.latency)).toBe(3);
    expect(copies.numbers.prediction && sketchCount(copies.numbers.prediction)).toBe(2);
    expect(await seen(server, '1')).toMatchObject({ requests: 3, rows: 3, failures: {} });
  });

  it('takes who asks for a version for no evidence', async () => {
    const server = await serverOf();
    const challenger = await nanModel(store, '2', 20);
    await server.applyRoutes(
      table(await plusModel(store, '1', 10), { model: challenger, role: 'challenger' }),
    );
    await server.loadCandidate('plus', await plusModel(store, '3', 30));
    for (const version of ['1', '2', '3']) expect(await ask(server.url, BAD, {}, version)).toBe(200);
    const { versions } = await server.observeTraffic('plus');
    expect(versions.map(({ version, requests }) => [version, requests])).toEqual([
      ['1', 0],
      ['2', 0],
    ]);
  });

  it('counts labels by their name, and draws from large requests', async () => {
    const server = await serverOf();
    const model = await churnServed(store, '1');
    await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
    const instances = Array.from({ length: 1_000 }, (_, i) => ({ age: i % 2 === 0 ? 0 : 100, city: 'Ulm' }));
    const response = await fetch(`${server.url}/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ instances }),
    });
    expect(response.status).toBe(200);
    const [traffic] = trafficReport.parse(await server.observeTraffic('churn')).versions;
    expect(traffic).toMatchObject({ requests: 1, rows: 1_000 });
    const { yes = 0, no = 0 } = traffic?.labels.label ?? {};
    expect(yes + no).toBe(64);
    expect(yes).toBeGreaterThan(10);
    expect(no).toBeGreaterThan(10);
  });

  it('is of another epoch after a restart', async () => {
    const first = await serverOf();
    const model = await plusModel(store, '1', 10);
    await first.applyRoutes({ endpoint: 'plus', generation: 4, routes: [{ model, weight: 100 }] });
    await ask(first.url, 1);
    const before = await first.observeTraffic('plus');
    await first.close();
    const second = await serverOf();
    const after = await second.observeTraffic('plus');
    expect(after).toMatchObject({ serverId: 's1', generation: 4, versions: [{ requests: 0 }] });
    expect(after.epoch).not.toBe(before.epoch);
  });
});

describe('two processes', () => {
  it('are one server: their counts add up, also after one of them ended', async () => {
    const options = {
      serverId: 'two',
      store: { dataDir: folder },
      routesFile: join(folder, 'routes.json'),
      logger,
      logLevel: 'silent',
      processes: 2,
      supervision: { restartMs: 50 },
    };
    const server = await startServing(options);
    closing.push(() => server.close());
    const challenger = await plusModel(store, '2', 20);
    await server.applyRoutes(
      table(await plusModel(store, '1', 10), { model: challenger, role: 'challenger' }),
    );
    const ask20 = (headers: Record<string, string>): Promise<number[]> =>
      Promise.all(Array.from({ length: 20 }, () => ask(server.url, [1, 2], headers)));
    for (let i = 0; i < 3; i++) await ask20(toChampion);
    await ask20(toChallenger);
    // A process that does not answer in time counts as it last did.
    const summed = () => expect.poll(() => server.observeTraffic('plus'), PATIENT);
    await summed().toMatchObject({
      serverId: 'two',
      generation: 1,
      versions: [
        { version: '1', role: 'champion', requests: 60, rows: 120 },
        { version: '2', role: 'challenger', requests: 20, rows: 40 },
      ],
    });
    const before = trafficReport.parse(await server.observeTraffic('plus'));
    const answers = before.versions[0]?.numbers.prediction;
    expect(answers && sketchCount(answers)).toBe(120);

    const [victim = 0] = server.pids;
    process.kill(victim, 'SIGKILL');
    while (server.pids.includes(victim) || server.pids.length < 2) await sleep(50);
    const after = await server.observeTraffic('plus');
    expect(after).toEqual(before);
    await ask20(toChampion);
    await summed().toMatchObject({
      versions: [
        { requests: 80, rows: 160 },
        { requests: 20, rows: 40 },
      ],
    });

    await server.applyRoutes({
      endpoint: 'plus',
      generation: 2,
      routes: [{ model: challenger, weight: 100 }],
    });
    const next: TrafficReport = await server.observeTraffic('plus');
    expect(next).toMatchObject({ generation: 2, epoch: before.epoch });
    expect(next.versions).toMatchObject([{ version: '2', role: 'champion', requests: 0 }]);
    await server.close();
    const again = await startServing(options);
    closing.push(() => again.close());
    expect((await again.observeTraffic('plus')).epoch).not.toBe(before.epoch);
  });

  it('pass the checks before a roll-out, of which no evidence is left', async () => {
    const server = await startServing({
      serverId: 'two',
      store: { dataDir: folder },
      routesFile: join(folder, 'routes.json'),
      logger,
      logLevel: 'silent',
      processes: 2,
      access: { tokenSha256: '0'.repeat(64) },
    });
    closing.push(() => server.close());
    await server.applyRoutes({
      endpoint: 'plus',
      generation: 1,
      routes: [{ model: await plusModel(store, '1', 10), weight: 100 }],
    });
    const xs = [1, 2, 3];
    const found = await precheck(
      { server, store, token: server.internalToken },
      {
        endpoint: 'plus',
        model: await plusModel(store, '2', 20),
        samples: await store.putJson({
          rows: xs.map((x) => ({ x })),
          expected: { prediction: xs.map((x) => x + 20) },
        }),
        rows: 3,
        tolerance: 1e-6,
        maxLatencyMs: 5_000,
        maxMemoryBytes: 2e9,
        requests: [],
        hostile: true,
      },
      new AbortController().signal,
    );
    expect(found).toMatchObject({ serverId: 'two', rows: 3, exact: true });
    expect(found.hostile).toBeGreaterThan(80);
    if (process.platform === 'linux') expect(found.memoryBytes).toBeGreaterThan(20e6);
    expect((await server.observeTraffic('plus')).versions).toMatchObject([{ version: '1', requests: 0 }]);
  });
});
