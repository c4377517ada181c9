import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { backtest, policiesOf } from '../../client/backtest.ts';
import { type BacktestProgress, backtestReport } from '../../contracts/backtest.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { callsCsv, callsSpec, turningCalls } from '../support/turning-calls.ts';

const MINUTE = 60_000;
const NAMES = ['never', 'quarterly', 'on-degradation'];

let platform: TestPlatform;
beforeAll(async () => {
  platform = await TestPlatform.start();
}, 2 * MINUTE);
afterAll(() => platform?.close(), MINUTE);

const WATCHED = {
  monitoring: {
    window: 'month',
    groundTruthDelay: '7d',
    quality: [{ metric: 'brier_score', worseBy: 0.05 }],
  },
  retraining: {
    window: { kind: 'sliding', length: '60d', validation: '10d', test: '10d' },
    cooldown: '1d',
    debounce: '0s',
  },
};

it('trains, measures and compares, and nothing that it needs is garbage while it runs', {
  timeout: 5 * MINUTE,
}, async () => {
  const path = join(platform.folder, 'calls.csv');
  const rows = turningCalls({ from: '2025-01-01', to: '2025-11-01', turns: '2025-07-01' });
  await writeFile(path, callsCsv(rows));
  const spec = callsSpec(path, WATCHED);
  const { retraining } = pipelineSpec.parse(spec);
  const seen: BacktestProgress[] = [];
  const result = backtest(
    platform.client,
    platform.config.taskQueue,
    'turning-calls-backtest',
    {
      spec,
      policies: policiesOf(NAMES, retraining),
      from: '2025-04-01T00:00:00Z',
      to: '2025-11-01T00:00:00Z',
    },
    (progress) => seen.push(progress),
  );
  const collect = () =>
    platform.run('collectGarbage', { keepFailedRuns: '1ms', keepUnnamed: '1ms', keepCache: '1h' });
  const when = (is: (progress: BacktestProgress) => boolean) =>
    expect.poll(() => seen.some(is), { timeout: 2 * MINUTE, interval: 50 }).toBe(true);
  await when(({ stage }) => stage === 'replaying');
  expect(await collect()).toMatchObject({ deletedArtifacts: 0 });
  await when(({ policies }) => policies.some(({ retrainings }) => retrainings > 0));
  expect(await collect()).toMatchObject({ deletedArtifacts: 0 });
  const found = await result;
  expect(seen.at(-1)?.policies.map(({ policy }) => policy)).toEqual(NAMES);

  const store = await platform.deps.store();
  const report = backtestReport.parse(await store.json(found.report));
  const of = (name: string) => {
    const policy = report.policies.find((one) => one.policy === name);
    if (!policy) throw new Error(`there is no ${name}`);
    return policy;
  };
  const brier = (name: string, month: string): number =>
    of(name).steps.find(({ window }) => window.from.startsWith(month))?.quality.brier_score ?? Number.NaN;
  // Until it turns no policy has a reason of its own, and the first model is as good as can be.
  for (const name of ['never', 'on-degradation'])
    for (const month of ['2025-04', '2025-05', '2025-06']) expect(brier(name, month)).toBeLessThan(0.16);
  expect(brier('never', '2025-07')).toBeGreaterThan(0.3);
  expect(brier('never', '2025-10')).toBeGreaterThan(0.3);
  // July's truth is whole when August ends: what is trained then has seen the new world.
  expect(brier('on-degradation', '2025-10')).toBeLessThan(0.2);
  expect(of('on-degradation').runs).toMatchObject([
    { asOf: expect.stringMatching(/^2025-09-01/), outcome: 'deployed' },
  ]);
  expect(of('never')).toMatchObject({ deployed: 0, runs: [], falseAlerts: 0, missed: 0 });
  expect(of('never').badWindows).toBe(4);
  // On the first of July there is nothing of the new world to learn yet, on the first of October it is late.
  expect(of('quarterly').runs.map(({ asOf }) => asOf.slice(0, 7))).toEqual(['2025-07', '2025-10']);
  expect(found.advice).toMatch(/^on-degradation: mean brier_score/);
  expect(found.policies.at(-1)?.policy).toBe('never');

  const run = await new MlflowClient({ trackingUri: platform.config.mlflowTrackingUri }).runs.get({
    runId: found.runId,
  });
  expect(run.info.status).toBe('FINISHED');
  // It is of policies, not of any one model; what each of those is worth stands in the report.
  const metrics = run.data.metrics.map(({ key }) => key);
  expect(metrics).toContain('never.mean_brier_score');
  expect(metrics.filter((key) => !NAMES.some((name) => key.startsWith(`${name}.`)))).toEqual([]);
  expect((await readFile(await store.path(found.page), 'utf8')).slice(0, 15).toLowerCase()).toBe(
    '<!doctype html>',
  );

  // What it left is nobody's when it has ended: the page and the report are in MLflow.
  // Temporal's list of what runs may be some seconds behind.
  await expect
    .poll(async () => (await collect()).deletedArtifacts, { timeout: MINUTE, interval: 500 })
    .toBeGreaterThan(0);
});
