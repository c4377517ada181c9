import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ModelSignature } from '../../contracts/serving.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { judgedParts } from '../../lib/evaluation/judge-aside.ts';
import { judgeParts } from '../../lib/evaluation/parts.ts';
import { checkSliceConditions, partsQuestion } from '../../lib/evaluation/test-parts.ts';
import type { Problem } from '../../lib/statistics/judge.ts';
import { linearCongruential } from '../support/integration-random.ts';
import { smallSpec } from '../support/samples.ts';

const ROWS = 6_000;
const uniform = linearCongruential(ROWS * 2, 5);
/** Sixths of the rows are each in one region; every fourth row of `north` and plan `pro` is answered the wrong way round. */
const regionOf = (row: number): string => ['north', 'south', 'east', 'west', 'mid', 'far'][row % 6] ?? '';
const isBad = (row: number): boolean => regionOf(row) === 'north' && Math.floor(row / 6) % 2 === 0;

const answers = Float64Array.from({ length: ROWS }, (_, row) => 0.05 + 0.9 * (uniform[row] ?? 0));
const labels = Int32Array.from({ length: ROWS }, (_, row) => {
  const p = answers[row] ?? 0;
  return (uniform[ROWS + row] ?? 0) < (isBad(row) ? 1 - p : p) ? 1 : 0;
});
const problem: Problem = {
  task: 'binary',
  classNames: ['no', 'yes'],
  positiveClass: 'yes',
  baseline: { classShares: [0.5, 0.5], mean: null },
};
const signature: ModelSignature = {
  inputs: [
    { name: 'region', kind: 'categorical', optional: true },
    { name: 'plan', kind: 'categorical', optional: true },
    { name: 'age', kind: 'numeric', optional: true },
    { name: 'since', kind: 'datetime', optional: true },
    { name: 'noise', kind: 'numeric', optional: true },
    { name: 'words', kind: 'text', optional: true },
  ],
  outputs: [{ name: 'probability', kind: 'float' }],
};

let folder: string;
let parquetPath: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-parts-'));
  parquetPath = join(folder, 'test.parquet');
  const database = await Database.create({ tempDir: join(folder, 'spill') });
  await database.copyToParquet(
    `SELECT ['north', 'south', 'east', 'west', 'mid', 'far'][1 + i % 6] AS region,
      CASE WHEN (i // 6) % 2 = 0 THEN 'pro' ELSE 'free' END AS plan,
      CASE WHEN i % 50 = 0 THEN NULL ELSE 18 + (i * 7919) % 60 END AS age,
      TIMESTAMP '2020-01-01' + INTERVAL ((i * 31) % 1000) DAY AS since,
      sin(i * 12.9898) AS noise,
      CASE WHEN i < 20 THEN 'secret ' || i ELSE 'common' END AS town,
      'text ' || i AS words, [i] AS list,
      i % 2 = 0 AS even
    FROM range(${ROWS}) AS rows(i) ORDER BY i`,
    parquetPath,
  );
  database.close();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const asked = (evaluation: object, own = signature) =>
  partsQuestion(
    {
      spec: pipelineSpec.parse({ ...smallSpec(), evaluation }),
      signature: own,
      parquetPath,
      scratchDir: folder,
      memoryLimit: undefined,
      signal: new AbortController().signal,
    },
    { problem, labels, answers, threshold: 0.5 },
  );
const parts = async (evaluation: object) => {
  const question = await asked(evaluation);
  if (!question) throw new Error('nothing was asked');
  return judgeParts(question);
};

describe('slices', () => {
  it('that do badly are found where nobody named them', async () => {
    const { slices } = await parts({});
    expect(slices.declared).toEqual([]);
    const [worst] = slices.worst;
    expect(worst).toMatchObject({ name: 'region = north and plan = pro', rows: 500 });
    expect(worst?.metrics.roc_auc).toBeLessThan(0.3);
    expect(worst?.intervals.roc_auc?.high).toBeLessThan(0.4);
    expect(worst?.found?.p).toBeLessThan(1e-6);
    expect(worst?.found?.loss).toBeGreaterThan(1.5 * (worst?.found?.lossOutside ?? 0));
    // Nothing else is significant, but for what contains it.
    for (const { name } of slices.worst) expect(name).toMatch(/region = north|plan = pro/);
    expect(slices.search).toMatchObject({ rows: ROWS, features: 5 });
    expect(slices.search?.tried).toBeGreaterThan(100);
  });

  it('are not found where the model is as good everywhere', async () => {
    const good = Int32Array.from(labels, (label, row) => (isBad(row) ? 1 - label : label));
    const question = await asked({});
    if (!question) throw new Error('nothing was asked');
    const { slices } = await judgeParts({ ...question, labels: good });
    expect(slices.worst).toEqual([]);
  });

  it('that are declared are judged by value, bin and condition', async () => {
    const { slices } = await parts({
      worstSlices: false,
      slices: [
        { columns: ['region', 'plan'] },
        { columns: ['age'], bins: [30, 50] },
        { columns: ['since'], bins: 2 },
        { name: 'old and even', where: 'age > 60 AND even', minRows: 50 },
        { columns: ['even'], minRows: 10 },
      ],
    });
    const named = new Map(slices.declared.map((slice) => [slice.name, slice]));
    expect(named.get('region = north and plan = pro')).toMatchObject({ rows: 500, share: 500 / ROWS });
    expect(named.get('region = north and plan = pro')?.metrics.roc_auc).toBeLessThan(0.3);
    expect(named.get('region = far and plan = free')?.metrics.roc_auc).toBeGreaterThan(0.7);
    expect([...named.keys()].filter((name) => name.startsWith('age'))).toEqual(
      expect.arrayContaining(['age < 30', 'age in [30, 50)', 'age >= 50', 'age is missing']),
    );
    expect([...named.keys()].filter((name) => /^since (<|>=) \d{4}-\d\d-\d\d$/.test(name))).toHaveLength(2);
    expect(named.get('old and even')?.rows).toBeGreaterThan(500);
    expect(named.get('even = true')?.rows).toBe(ROWS / 2);
    expect(slices).toMatchObject({ total: slices.declared.length, insufficient: 0, search: null });
    const whole = [...named.values()].filter(({ name }) => name.startsWith('region'));
    expect(whole.reduce((sum, { rows }) => sum + rows, 0)).toBe(ROWS);
  });

  it('with few rows are told without the values of those rows', async () => {
    const { slices } = await parts({ worstSlices: false, slices: [{ columns: ['town'], mandatory: true }] });
    expect(slices.declared).toMatchObject([
      { name: 'town = common', rows: ROWS - 20 },
      { name: 'town: 20 with fewer than 100 rows', rows: 20, insufficient: 'few_rows', mandatory: true },
    ]);
    expect(slices).toMatchObject({ total: 21, insufficient: 20 });
    expect(JSON.stringify(slices)).not.toContain('secret');
  });

  it('of one class are insufficient', async () => {
    const question = await asked({ worstSlices: false, slices: [{ columns: ['even'] }] });
    if (!question) throw new Error('nothing was asked');
    const one = Int32Array.from(labels, (label, row) => (row % 2 === 0 ? 1 : label));
    const { slices } = await judgeParts({ ...question, labels: one });
    expect(slices.declared.find(({ name }) => name === 'even = true')).toMatchObject({
      insufficient: 'one_class',
      metrics: {},
    });
  });

  it.each([
    [
      { slices: [{ columns: ['regoin'] }] },
      'ColumnMissing',
      'evaluation.slices[0].columns: there is no column regoin; did you mean region?',
    ],
    [{ slices: [{ columns: ['list'] }] }, 'ColumnInvalid', 'list is BIGINT[]'],
    [{ slices: [{ name: 'x', where: 'agee > 3' }] }, 'SqlInvalid', 'evaluation.slices[0].where'],
    [{ slices: [{ name: 'x', where: 'age + 3' }] }, 'SqlInvalid', 'true or false'],
    [{ slices: [{ name: 'x', where: "true); COPY (SELECT 1) TO '/tmp/x" }] }, 'SqlInvalid', 'where'],
    [
      { slices: [{ name: 'x', where: "(SELECT count(*) FROM read_csv('/etc/passwd')) > 0" }] },
      'SqlInvalid',
      'where',
    ],
    [
      { slices: [{ name: 'x', where: 'CAST(town AS INTEGER) > 3' }] },
      'SqlInvalid',
      'evaluation.slices[0].where',
    ],
    [
      { fairness: { columns: ['sex'] } },
      'ColumnMissing',
      'evaluation.fairness.columns: there is no column sex',
    ],
  ])('%j is refused in words that help, without values', async (evaluation, code, message) => {
    const refusal = await asked(evaluation).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code, message: expect.stringContaining(message) });
    expect(String(refusal)).not.toMatch(/secret \d|common/);
  });

  it.each([
    ['a column that is not there', 'agee > 3'],
    ['no condition', 'age + 3'],
    ['rows that it fails on', 'CAST(town AS INTEGER) > 3'],
  ])('with %s are refused before a model is there', async (_, where) => {
    const table = {
      parquetPath,
      scratchDir: folder,
      memoryLimit: undefined,
      signal: new AbortController().signal,
    };
    const slice = (condition: string) => ({ name: 'x', where: condition, minRows: 50, mandatory: false });
    await checkSliceConditions(table, [slice('age > 3')]);
    const refusal = await checkSliceConditions(table, [slice('age > 3'), slice(where)]).catch(
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({
      code: 'SqlInvalid',
      message: expect.stringContaining('evaluation.slices[1].where'),
    });
    expect(String(refusal)).not.toMatch(/secret \d|common/);
  });

  it('are judged in a process of their own as they are here, each time alike', async () => {
    const question = await asked({
      slices: [{ columns: ['region'] }],
      fairness: { columns: ['plan', 'age'] },
    });
    if (!question) throw new Error('nothing was asked');
    expect(await judgedParts(question)).toEqual(await judgeParts(question));
    expect(
      await asked({ slices: [{ columns: ['region'] }], fairness: { columns: ['plan', 'age'] } }),
    ).toEqual(question);
  });

  it('are not asked for where there are too few rows to look for any', async () => {
    expect(await asked({ worstSlices: { minRows: ROWS } })).toBeUndefined();
    expect(await asked({ worstSlices: false })).toBeUndefined();
  });
});

it('groups are compared, and those that are too small are counted', async () => {
  const { fairness } = await parts({ worstSlices: false, fairness: { columns: ['region', 'town'] } });
  expect(fairness.map(({ column, groups }) => [column, groups.length])).toEqual([
    ['region', 6],
    ['town', 1],
  ]);
  const [regions, towns] = fairness;
  const north = regions?.groups.find(({ name }) => name === 'region = north');
  expect(north?.accuracy).toBeLessThan(0.6);
  expect(regions?.measures.accuracy_difference).toBeGreaterThan(0.15);
  expect(regions?.extremes.accuracy_difference?.low).toBe('region = north');
  expect(towns?.measures).toEqual({});
  expect(towns?.insufficient).toEqual({ groups: 20, rows: 20 });
  expect(JSON.stringify(towns)).not.toContain('secret');
});
