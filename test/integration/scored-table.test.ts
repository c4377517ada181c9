import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ServedModel } from '../../contracts/serving.ts';
import { scoreTable } from '../../lib/features/transform.ts';
import { type LabelledRows, scoreLabelled } from '../../lib/scoring/scored-table.ts';
import { BankModel } from '../support/bank-model.ts';
import { BatchGround } from '../support/batch-ground.ts';
import { viewModel, viewPrediction } from '../support/view-model.ts';
import { CHURN_SIGNATURE, churnModel, churnProbability } from './serving-models.ts';

let ground: BatchGround;
let model: ServedModel;
beforeAll(async () => {
  ground = await BatchGround.create();
  const { model: planned } = await ground.plan('SELECT 1 AS age', {
    onnx: churnModel(),
    signature: CHURN_SIGNATURE,
  });
  model = planned;
});
afterAll(() => ground.close());

let made = 0;
const labelled = async (sql: string, changes: Partial<LabelledRows> = {}) => {
  const parquetPath = join(ground.folder, `rows-${made}.parquet`);
  const outPath = join(ground.folder, `labelled-${made++}.parquet`);
  await ground.database.copyToParquet(sql, parquetPath);
  const scored = await scoreLabelled({
    parquetPath,
    model,
    modelPath: await ground.store.path(model.onnx),
    task: 'binary',
    target: 'churned',
    timestamp: 'at',
    outPath,
    scratchDir: join(ground.folder, 'scratch'),
    ...changes,
  });
  return {
    scored,
    file: `read_parquet('${outPath}')`,
    rows: () => ground.database.rows(`FROM read_parquet('${outPath}')`),
  };
};

/** Backwards in time, two rows of each moment. */
const ROWS = `SELECT i AS id, (20 + i % 60)::DOUBLE AS age, [NULL, 'Ulm', 'Bonn'][1 + i % 3] AS city, i % 2 = 0 AS active,
  TIMESTAMP '2020-01-01' + to_days(i::INT) AS joined, TIMESTAMP '2026-01-01' - to_minutes(i // 2) AS at, i % 7 = 0 AS churned
  FROM range(3000) r(i)`;

describe('rows with their truth', () => {
  it('have the columns of the view labelled, in the order of time', async () => {
    const { scored, file, rows } = await labelled(ROWS, { chunkRows: 700 });
    expect(scored).toEqual({ rows: 3_000, refused: 0, undated: 0 });
    const types = (await ground.database.columns(file)).map(({ name, type }) => `${name} ${type}`);
    expect(types).toEqual([
      'time TIMESTAMP',
      ...['input_age FLOAT', 'input_city VARCHAR', 'input_active FLOAT', 'input_joined DOUBLE'],
      ...['output_label VARCHAR', 'output_probability FLOAT'],
      ...['truth_label VARCHAR', 'truth_value DOUBLE', 'version VARCHAR'],
    ]);
    const found = await rows();
    expect(found.map(({ input_joined: joined }) => (Number(joined) - 1_577_836_800) / 86_400)).toEqual(
      Array.from({ length: 3_000 }, (_, i) => 2 * (1_499 - Math.floor(i / 2)) + (i % 2)),
    );
    expect(found.at(-1)).toMatchObject({ time: new Date('2026-01-01T00:00:00Z') });
    expect(found[2_998]).toEqual({
      time: new Date('2026-01-01T00:00:00Z'),
      input_age: 20,
      input_city: null,
      input_active: 1,
      input_joined: 1_577_836_800,
      output_label: expect.any(String),
      output_probability: expect.closeTo(churnProbability({ age: 20, active: 1, joined: 1_577_836_800 }), 6),
      truth_label: 'true',
      truth_value: null,
      version: '3',
    });
    expect(await readdir(join(ground.folder, 'scratch'))).toEqual([]);
  });

  it('do not hang on how they are cut into chunks', async () => {
    const one = await (await labelled(ROWS)).rows();
    expect(await (await labelled(ROWS, { chunkRows: 1 + 1_024 })).rows()).toEqual(one);
  });

  it('of a regression are numbers; moments with an offset, days and texts are moments in UTC', async () => {
    const regression = { task: 'regression', target: 'age' } as const;
    const { rows } = await labelled(`SELECT *, '2026-03-29T01:00:00+02:00' AS told FROM (${ROWS}) LIMIT 1`, {
      ...regression,
      timestamp: 'told',
    });
    expect(await rows()).toEqual([
      expect.objectContaining({ time: new Date('2026-03-28T23:00:00Z'), truth_value: 20, truth_label: null }),
    ]);
    const days = await labelled(`SELECT *, DATE '2026-03-29' AS day FROM (${ROWS}) LIMIT 1`, {
      ...regression,
      timestamp: 'day',
    });
    expect(await days.rows()).toEqual([
      expect.objectContaining({ time: new Date('2026-03-29T00:00:00Z'), truth_value: 20 }),
    ]);
    await expect(labelled(ROWS, { ...regression, target: 'city' })).rejects.toMatchObject({
      code: 'ColumnInvalid',
      message: 'columns.target: city of a regression is no number in 2000 of 3000 rows',
    });
  });

  it('that the server would refuse, or without a moment, are left out and counted; without truth they stay', async () => {
    const odd = `SELECT * REPLACE (CASE WHEN id = 3 THEN 1e300 ELSE age END AS age,
      CASE WHEN id IN (0, 1) THEN NULL WHEN id = 2 THEN 'infinity'::TIMESTAMP ELSE "at" END AS "at", CASE WHEN id <> 7 THEN churned END AS churned) FROM (${ROWS}) WHERE id < 10`;
    const { scored, rows } = await labelled(odd);
    expect(scored).toEqual({ rows: 6, refused: 1, undated: 3 });
    expect((await rows()).filter(({ truth_label: label }) => label === null)).toHaveLength(1);
  });

  it('none at all have their columns', async () => {
    const { scored, file } = await labelled(`SELECT * FROM (${ROWS}) LIMIT 0`);
    expect(scored).toEqual({ rows: 0, refused: 0, undated: 0 });
    expect((await ground.database.columns(file)).map(({ name }) => name)).toContain('output_probability');
  });

  it.each([
    [{ target: 'churnd' }, /columns\.target.*did you mean churned/],
    [{ timestamp: 'moment' }, /columns\.timestamp/],
  ])('need what %j names', async (changes, message) => {
    await expect(labelled(ROWS, changes)).rejects.toMatchObject({
      code: 'ColumnMissing',
      message: expect.stringMatching(message),
    });
  });

  it('are not scored further after an abort, and leave nothing', async () => {
    const stop = new AbortController();
    const scoring = labelled(`SELECT a.* FROM (${ROWS}) a, range(500)`, {
      signal: stop.signal,
      onRows: () => stop.abort(new Error('cancelled')),
    });
    await expect(scoring).rejects.toThrow('cancelled');
    expect(await readdir(join(ground.folder, 'scratch'))).toEqual([]);
  });
});

it('a model that was trained on the bank data answers all months as the evaluation would, and breaks where the data do', {
  timeout: 240_000,
}, async () => {
  const bank = await BankModel.train(ground.store, { before: '2009-05-01' });
  try {
    const outPath = join(ground.folder, 'bank.parquet');
    const { rows, refused } = await scoreLabelled({
      parquetPath: bank.parquetPath,
      model: bank.model,
      modelPath: await ground.store.path(bank.model.onnx),
      task: 'binary',
      target: 'subscribed',
      timestamp: 'called_on',
      outPath,
      scratchDir: join(ground.folder, 'scratch'),
    });
    expect([rows, refused]).toEqual([45_211, 0]);
    const { values } = await scoreTable({
      parquetPath: bank.parquetPath,
      modelPath: await ground.store.path(bank.model.onnx),
      signature: bank.model.signature,
      scratchDir: ground.folder,
    });
    const answers = await ground.database.rows(
      `SELECT output_probability AS p FROM read_parquet('${outPath}')`,
    );
    expect(Float64Array.from(answers, ({ p }) => Number(p))).toEqual(values);
    const months = await ground.database.rows(
      `SELECT strftime(time, '%Y-%m') AS month, avg((output_probability - (truth_label = 'true')::INT) ** 2) AS brier,
         avg((truth_label = 'true')::INT) AS rate FROM read_parquet('${outPath}') GROUP BY ALL ORDER BY ALL`,
    );
    const of = (month: string) => months.find((row) => row.month === month);
    // The model holds in May 2009 and breaks in June.
    expect(Number(of('2009-05')?.brier)).toBeLessThan(0.12);
    expect(Number(of('2009-06')?.rate)).toBeGreaterThan(0.35);
    expect(Number(of('2009-06')?.brier)).toBeGreaterThan(0.25);
  } finally {
    await bank.close();
  }
});

it('a row without the key of a view is answered, whatever training saw: a server answers it, too', async () => {
  const viewed = await viewModel(ground.store, '4');
  const asked = {
    ...{ model: viewed, modelPath: await ground.store.path(viewed.onnx) },
    ...{ task: 'regression' as const, target: 'truth' },
  };
  const sql = `SELECT TIMESTAMP '2026-01-01' + to_days(i::INT) AS at, i::DOUBLE AS amount, 1.0 AS truth,
    CASE WHEN i > 0 THEN 2.0::DOUBLE END AS spending_count_1h, NULL::DOUBLE AS spending_total_1d FROM range(2) r(i)`;
  const { scored, rows } = await labelled(sql, asked);
  expect(scored).toEqual({ rows: 2, refused: 0, undated: 0 });
  expect((await rows()).map(({ output_prediction }) => output_prediction)).toEqual([
    viewPrediction(0, undefined, undefined),
    viewPrediction(1, 2, undefined),
  ]);
  const { views: _views, ...other } = viewed;
  expect((await labelled(sql, { ...asked, model: other })).scored).toMatchObject({ rows: 1, refused: 1 });
});
