import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { precheck } from '../../activities/precheck.ts';
import type { PrecheckQuestion } from '../../contracts/activities.ts';
import type { SampleSet } from '../../contracts/samples.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { createPredictionLog, type PredictionLog } from '../../serving/log/prediction-log.ts';
import { ModelServer } from '../../serving/server.ts';
import { alteredModel, type ComposedModel, composedModel, served } from '../support/composed-model.ts';
import { FAULT_ABOVE, hungryModel, nanModel } from '../support/faulty-models.ts';
import { churnProbability, churnServed } from './serving-models.ts';

const ENDPOINT = 'checked';
const MEGABYTE = 1e6;

let folder: string;
let store: ArtifactStore;
let server: ModelServer;
let log: PredictionLog;
let composed: ComposedModel;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'precheck-'));
  store = await openStore({ dataDir: folder });
  const logger = pino({ level: 'silent' });
  server = await ModelServer.create({
    serverId: 's1',
    store,
    logger,
    token: 'secret',
    isolatedMemoryBytes: 700 * MEGABYTE,
    predictionLog: async (policy) => {
      log = await createPredictionLog({ config: { dataDir: folder }, serverId: 's1', store, logger, policy });
      return log;
    },
  });
  composed = await composedModel(folder);
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const AGES = [20, 35, 50, 80];
const CHURN: SampleSet = {
  rows: AGES.map((age) => ({ age, city: 'Ulm', active: null, joined: null })),
  expected: {},
};
const plusSamples = (xs: readonly number[], add: number): SampleSet => ({
  rows: xs.map((x) => ({ x })),
  expected: { prediction: xs.map((x) => x + add) },
});

async function check(model: ServedModel, samples: SampleSet, more: Partial<PrecheckQuestion> = {}) {
  return precheck(
    { server, store, token: 'secret' },
    {
      endpoint: ENDPOINT,
      model,
      samples: await store.putJson(samples),
      rows: 200,
      tolerance: 1e-6,
      maxLatencyMs: 5_000,
      maxMemoryBytes: 2_000 * MEGABYTE,
      requests: [],
      hostile: false,
      ...more,
    },
    new AbortController().signal,
  );
}

const refusal = async (checked: Promise<unknown>): Promise<string> => {
  const error: unknown = await checked.then(
    () => new Error('it passed'),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'PrecheckFailed' });
  return error instanceof Error ? error.message : '';
};

describe('a model with its preprocessing', () => {
  it('answers as the evaluation did, bit by bit, and bears hostile inputs', async () => {
    const found = await check(await served(store, '1', composed), composed.samples, { hostile: true });
    expect(found).toMatchObject({ serverId: 's1', rows: 200, maxDifference: 0, exact: true, requests: 0 });
    expect(found.hostile).toBeGreaterThan(150);
    expect(found.p95Ms).toBeGreaterThan(0);
    if (process.platform === 'linux') {
      expect(found.memoryBytes).toBeGreaterThan(50 * MEGABYTE);
      expect(found.memoryBytes).toBeLessThan(700 * MEGABYTE);
    }
  });

  it('leaves nothing behind: neither the candidate nor a record of what it was asked', async () => {
    expect(await server.candidateMemory(ENDPOINT, '1')).toBeNull();
    expect(log.stats()).toMatchObject({ recorded: 0, rows: 0 });
    expect(await server.observeTraffic(ENDPOINT)).toMatchObject({ generation: 0, versions: [] });
  });

  it('is refused where a constant of the preprocessing was changed after the evaluation', async () => {
    const onnx = alteredModel(composed.onnx, 20);
    const altered = await served(store, '2', { ...composed, onnx });
    const words = await refusal(check(altered, composed.samples));
    expect(words).toMatch(
      /^version 2 of checked on server s1: it answers otherwise than the evaluation: largest difference 0\.00\d+ in 200 rows of the test split, allowed 0\.000001 \(deployment\.precheck\.tolerance\)/,
    );
    const tolerated = await check(altered, composed.samples, { tolerance: 0.5 });
    expect(tolerated.exact).toBe(false);
    expect(tolerated.maxDifference).toBeGreaterThan(1e-3);
  });

  it('is compared in requests that a server takes, however many rows there are', async () => {
    const xs = Array.from({ length: 1_234 }, (_, i) => i / 4);
    const { version, ...plus } = await nanModel(store, '3', 1);
    const found = await check({ version, ...plus }, plusSamples(xs, 1), { rows: 10_000 });
    expect(found).toMatchObject({ rows: 1_234, exact: true });
  });

  it('is refused where it gives no number, or not the outputs of the evaluation', async () => {
    const bad = FAULT_ABOVE + 1;
    const nan = await nanModel(store, '4', 1);
    expect(await refusal(check(nan, plusSamples([1, bad], 1)))).toContain('largest difference Infinity');
    const other = { ...plusSamples([1], 1), expected: { other: [2] } };
    expect(await refusal(check(nan, other))).toContain('does not give the output "other" for each row');
  });
});

describe('requests of the spec', () => {
  it('must be answered as they say, or refused', async () => {
    const model = await churnServed(store, '5');
    const requests: PrecheckQuestion['requests'] = [
      {
        row: { age: 60, city: 'Ulm' },
        expect: { label: 'yes', probability: churnProbability({ age: 60, city: 'Ulm' }) },
        refused: false,
      },
      { row: { age: 20, joined: '2024-01-01', active: true }, refused: false },
      { row: { age: 'old' }, refused: true },
      { row: { age: null }, refused: true },
      { row: { city: 'Ulm' }, refused: true },
      { row: { age: 20, unknown: 1 }, refused: true },
    ];
    expect(await check(model, CHURN, { requests })).toMatchObject({ requests: 6 });

    const one = (request: PrecheckQuestion['requests'][number]) =>
      refusal(check(model, CHURN, { requests: [...requests.slice(0, 1), request] }));
    const row = { age: 4_711, city: 'Ulm' };
    expect(await one({ row, expect: { label: 'no' }, refused: false })).toMatch(
      /deployment\.precheck\.requests\[1\] expects "no" as "label", and got "yes"/,
    );
    expect(await one({ row, expect: { probability: 0.5 }, refused: false })).toMatch(
      /expects 0\.5 as "probability", and got 1; allowed difference 0\.000001/,
    );
    expect(await one({ row, expect: { score: 1 }, refused: false })).toContain('it has label, probability');
    const taken = await one({ row, refused: true });
    expect(taken).toContain('requests[1] must be refused, and was answered with 200');
    const refused = await one({ row: { age: 'secret-4711' }, refused: false });
    expect(refused).toContain('answered 400 to deployment.precheck.requests[1]');
    for (const words of [taken, refused]) expect(words).not.toContain('4711');
  });
});

describe('hostile inputs', () => {
  it('refuse a model that answers them with no number', async () => {
    const words = await refusal(check(await nanModel(store, '6', 1), plusSamples([1], 1), { hostile: true }));
    expect(words).toContain('no finite number as "prediction" to a hostile input: the column "x" holds');
  });

  it('refuse a model that ends under them, and a sound one is checked after it', async () => {
    const words = await refusal(
      check(await hungryModel(store, '7', 1), plusSamples([1], 1), { hostile: true }),
    );
    expect(words).toMatch(/it answered 503 \(.*\) to a hostile input: the column "x" holds/);
    const found = await check(await churnServed(store, '8'), CHURN, { hostile: true });
    expect(found.hostile).toBeGreaterThan(100);
  });
});

describe('budgets', () => {
  it('refuse what is too slow or too large, with both numbers', async () => {
    const model = await served(store, '9', composed);
    expect(await refusal(check(model, composed.samples, { maxLatencyMs: 0.001 }))).toMatch(
      /too slow: the 95th percentile of 100 single rows is \d+\.\d ms, allowed 0\.001 ms \(deployment\.precheck\.maxLatency\)/,
    );
    if (process.platform !== 'linux') return;
    expect(await refusal(check(model, composed.samples, { maxMemoryBytes: 20 * MEGABYTE }))).toMatch(
      /its process had \d{2,3} MB resident, allowed 20 MB \(deployment\.precheck\.maxMemory\)/,
    );
  });

  it('cannot tell the memory of a version that serves already', async () => {
    const model = await churnServed(store, '10');
    await server.applyRoutes({ endpoint: ENDPOINT, generation: 1, routes: [{ model, weight: 100 }] });
    expect(await check(model, CHURN, { maxMemoryBytes: 1 })).toMatchObject({ memoryBytes: null });
    const { versions } = await server.observeTraffic(ENDPOINT);
    expect(versions).toMatchObject([{ version: '10', requests: 0 }]);
  });
});
