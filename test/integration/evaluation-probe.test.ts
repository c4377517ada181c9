import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Gate, gate } from '../../contracts/spec/gates.ts';
import { judgeGates } from '../../domain/gates.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { probedTest } from '../../lib/evaluation/test-probe.ts';
import { linearCongruential } from '../support/integration-random.ts';
import { CHURN_SIGNATURE, churnModel, churnProbability } from './serving-models.ts';

const ROWS = 4_000;
const chances = linearCongruential(ROWS, 3);
const rowAt = (i: number) => ({
  age: 20 + (i % 60),
  city: i % 3 === 0 ? 'Ulm' : i % 3 === 1 ? 'Bonn' : 'Aachen',
  active: i % 2,
});
const labels = Int32Array.from(chances, (chance, i) =>
  chance < churnProbability({ ...rowAt(i), bias: 2 }) ? 1 : 0,
);

let folder: string;
let database: Database;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-probe-'));
  database = await Database.create({ tempDir: join(folder, 'spill') });
  await writeFile(join(folder, 'model.onnx'), churnModel(2));
  await database.copyToParquet(
    `SELECT 20 + i % 60 AS age, ['Ulm', 'Bonn', 'Aachen'][1 + i % 3] AS city, i % 2 = 1 AS active,
      TIMESTAMP '1970-01-01' AS joined FROM range(${ROWS}) AS rows(i) ORDER BY i`,
    join(folder, 'test.parquet'),
  );
});
afterAll(async () => {
  database.close();
  await rm(folder, { recursive: true, force: true });
});

const probed = (gates: object[], signature = CHURN_SIGNATURE) =>
  probedTest(database, {
    parquetPath: join(folder, 'test.parquet'),
    scratchDir: folder,
    modelPath: join(folder, 'model.onnx'),
    signature,
    labels,
    problem: {
      task: 'binary',
      classNames: ['no', 'yes'],
      positiveClass: 'yes',
      baseline: { classShares: [0.5, 0.5], mean: null },
    },
    gates: gates.map((one): Gate => gate.parse(one)),
    seed: 1,
    signal: new AbortController().signal,
  });

describe('a probe of a model', () => {
  it('tells what a missing feature costs, the worst first; what may not be missing is left alone', async () => {
    const gates = [{ robustness: 'missing', metric: 'roc_auc', maxLoss: 0.05 }];
    const { robustness, latency } = await probed(gates);
    expect(latency).toBeNull();
    const [result] = robustness;
    expect(result).toMatchObject({ robustness: 'missing', metric: 'roc_auc', rows: ROWS, tried: 3 });
    // The city says most; everybody joined on the same day.
    expect(result?.features.map(({ feature }) => feature)).toEqual(['city', 'active', 'joined']);
    expect(result?.features[0]?.loss).toBeGreaterThan(0.05);
    expect(result?.features[2]?.loss).toBe(0);
    expect(
      judgeGates(
        gates.map((one) => gate.parse(one)),
        { test: {}, train: {}, baseline: {}, champion: null, robustness },
      ).results,
    ).toMatchObject([{ verdict: 'failed', feature: 'city' }]);
  });

  it('tells what a shift costs, in the worse direction', async () => {
    const shift = { robustness: 'shift', metric: 'log_loss', maxLoss: 1 };
    const { robustness } = await probed([
      { ...shift, by: 2 },
      { ...shift, by: 4, feature: 'age' },
    ]);
    expect(robustness.map(({ by, tried }) => [by, tried])).toEqual([
      [2, 4],
      [4, 1],
    ]);
    const lossOf = (index: number, name: string): number =>
      robustness[index]?.features.find(({ feature }) => feature === name)?.loss ?? Number.NaN;
    expect(lossOf(0, 'age')).toBeGreaterThan(0);
    expect(lossOf(1, 'age')).toBeGreaterThan(lossOf(0, 'age'));
    expect(lossOf(0, 'active')).toBeGreaterThan(0);
  });

  it('times single rows', async () => {
    const { latency, robustness } = await probed([{ latency: 'p99_ms', max: 50 }]);
    expect(robustness).toEqual([]);
    expect(latency?.rows).toBe(1_000);
    const { p50_ms = 0, p95_ms = 0, p99_ms = 0 } = latency ?? {};
    expect(p50_ms).toBeGreaterThan(0);
    expect(p95_ms).toBeGreaterThanOrEqual(p50_ms);
    expect(p99_ms).toBeGreaterThanOrEqual(p95_ms);
  });

  it('starts nothing where no gate asks', async () => {
    expect(await probed([{ metric: 'roc_auc', min: 0 }])).toEqual({ robustness: [], latency: null });
  });

  it('refuses a feature that the model does not have', async () => {
    await expect(
      probed([{ robustness: 'missing', metric: 'roc_auc', maxLoss: 0.1, feature: 'ctiy' }]),
    ).rejects.toMatchObject({
      code: 'ColumnMissing',
      message: expect.stringContaining(
        'evaluation.gates[0].feature: the model has no input ctiy; did you mean city?',
      ),
    });
  });
});
