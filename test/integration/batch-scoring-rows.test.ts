import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ModelSignature } from '../../contracts/serving.ts';
import { OnnxGraphBuilder } from '../../lib/onnx/graph.ts';
import { LOG_COLUMNS } from '../../lib/predictions/log-columns.ts';
import { BatchGround } from '../support/batch-ground.ts';
import { AppFixture } from './serving-fixture.ts';
import { CHURN_SIGNATURE, churnModel } from './serving-models.ts';

const CHURN = { onnx: churnModel(), signature: CHURN_SIGNATURE };

/** Rows with a value of every kind, some of them missing. */
const ROWS = `SELECT i AS id, 20 + i % 60 AS age, [NULL, 'Ulm', 'Bonn', 'Köln'][1 + i % 4] AS city,
  CASE WHEN i % 5 > 0 THEN i % 2 = 0 END AS active, TIMESTAMP '2020-01-01 12:00:00.5' + INTERVAL (i) HOUR AS joined,
  'x' || i AS row FROM range(5000) r(i)`;

let ground: BatchGround;
beforeAll(async () => {
  ground = await BatchGround.create();
});
afterAll(() => ground.close());

const answer = z.object({ predictions: z.array(z.object({ label: z.string(), probability: z.number() })) });

describe('the answers of a batch', () => {
  it('are those of the model server for the same rows, to the bit', async () => {
    const plan = await ground.plan(ROWS, CHURN);
    const { rows } = await ground.score(plan, [
      { from: 0, before: 4_999 },
      { from: 4_999, before: 5_000 },
    ]);
    const scored = await rows();
    const server = await AppFixture.create();
    try {
      await server.serve('3');
      const inputs = await ground.database.rows(
        `SELECT age, city, active, epoch(joined) AS joined FROM (${ROWS})`,
      );
      const { body } = await server.post('/endpoints/churn/invocations', { dataframe_records: inputs });
      const { predictions } = answer.parse(body);
      expect(scored.map((row) => [row.output_label, row.output_probability])).toEqual(
        predictions.map(({ label, probability }) => [label, probability]),
      );
    } finally {
      await server.close();
    }
  });

  it('have the columns of the prediction log, in the order of the rows, and what is passed through', async () => {
    const plan = await ground.plan(ROWS, CHURN, { entity: 'id', features: true });
    const { rows } = await ground.score(plan, [
      { from: 0, before: 2_000 },
      { from: 2_000, before: 5_000 },
    ]);
    const scored = await rows();
    expect(Object.keys(scored[0] ?? {})).toEqual([
      ...LOG_COLUMNS,
      ...['input_age', 'input_city', 'input_active', 'input_joined', 'output_label', 'output_probability'],
      ...['error', 'id', 'age', 'city', 'active', 'joined', 'source_row'],
    ]);
    expect(scored.map(({ row }) => row)).toEqual(Array.from({ length: 5_000 }, (_, row) => row));
    expect(scored[4_000]).toMatchObject({
      request_id: 'monday',
      time: new Date('2026-01-05T06:07:08.090Z'),
      endpoint: 'churn',
      version: '3',
      digest: plan.model.onnx.sha256,
      generation: null,
      role: 'batch',
      entity: '4000',
      input_city: null,
      input_active: null,
      error: null,
      id: 4_000,
      source_row: 'x4000',
    });
  });

  it('do not hang on how the rows are cut into chunks, nor on encryption', async () => {
    const whole = await (
      await ground.score(await ground.plan(ROWS, CHURN), [{ from: 0, before: 5_000 }])
    ).rows();
    const plan = await ground.plan(ROWS, CHURN, { encrypt: true });
    const cut = await ground.score(
      plan,
      Array.from({ length: 5 }, (_, i) => ({ from: 1_000 * i, before: 1_000 * (i + 1) })),
    );
    expect(await cut.rows()).toEqual(whole);
    for (const { artifact } of cut.chunks) expect(await ground.store.isEncrypted(artifact)).toBe(true);
  });

  it('are the same bytes when they are computed again', async () => {
    const plan = await ground.plan(ROWS, CHURN);
    const range = [{ from: 100, before: 4_000 }];
    const [first, second] = [await ground.score(plan, range), await ground.score(plan, range)];
    expect(second.chunks).toEqual(first.chunks);
  });

  it('of no rows are a table without rows', async () => {
    const plan = await ground.plan(`${ROWS} LIMIT 0`, CHURN);
    const { rows, query, chunks } = await ground.score(plan, [{ from: 0, before: 0 }]);
    expect([await rows(), chunks[0]?.invalid]).toEqual([[], 0]);
    const columns = await ground.database.columns(`(${query})`);
    expect(columns.find(({ name }) => name === 'output_label')?.type).toBe('VARCHAR');
  });
});

describe('a row that cannot be scored', () => {
  const BAD = `SELECT * FROM (VALUES ('41', 'Ulm', 'yes', '2024-02-30'), ('forty', 'Ulm', 'true', '2024-02-29'), ('', 'Bonn', NULL, NULL),
    ('1e300', 'Ulm', 'true', NULL), ('41', NULL, NULL, '2024-01-01T00:00:00+02:00')) t(age, city, active, joined)`;
  const WORDS = [
    'column "joined": the text is no ISO-8601 date',
    'column "age": the text is no number',
    'column "age": the value is missing; the model requires it',
    'column "age": the text is no number',
    null,
  ];

  it('ends the batch, with its row and column and without its value', async () => {
    const plan = await ground.plan(BAD, CHURN);
    const scoring = ground.score(plan, [{ from: 1, before: 5 }]);
    await expect(scoring).rejects.toMatchObject({ code: 'ColumnInvalid', retryable: false });
    await expect(scoring).rejects.toThrow(
      /^row 1, counted from 0 \(and 2 more among the 4 rows from 1 on\): column "age": the text is no number;/,
    );
    await expect(scoring).rejects.not.toThrow('forty');
  });

  it('is written without answers where that is wanted', async () => {
    const plan = await ground.plan(BAD, CHURN, { invalid: 'quarantine' });
    const { rows, chunks } = await ground.score(plan, [{ from: 0, before: 5 }]);
    const scored = await rows();
    expect(chunks[0]?.invalid).toBe(4);
    expect(scored.map(({ error }) => error)).toEqual(WORDS);
    expect(scored.map((row) => row.output_label === null && row.output_probability === null)).toEqual([
      ...[true, true, true, true],
      false,
    ]);
    expect(scored.map(({ age }) => age)).toEqual(['41', 'forty', '', '1e300', '41']);
  });

  it('is one of a number that a float32 does not hold, and of a date beyond the calendar', async () => {
    const plan = await ground.plan(
      `SELECT * FROM (VALUES (1e39::DOUBLE, 0::BIGINT), ('nan', 1), ('inf', 2), (41, 99999999999999)) t(age, joined)`,
      CHURN,
      { invalid: 'quarantine' },
    );
    const scored = await (await ground.score(plan, [{ from: 0, before: 4 }])).rows();
    expect(scored.map(({ error }) => error)).toEqual([
      'column "age": the number is too large for a 32-bit float',
      'column "age": the value is missing; the model requires it',
      'column "age": the value is missing; the model requires it',
      'column "joined": the date lies outside of the years 1 to 9999',
    ]);
  });

  it('is one whose answer is no number', async () => {
    const signature: ModelSignature = {
      inputs: [{ name: 'x', kind: 'numeric', optional: true }],
      outputs: [{ name: 'prediction', kind: 'float' }],
    };
    const graph = new OnnxGraphBuilder('log');
    graph.op('Log', [graph.input('x', 'float', ['batch'])], { output: 'prediction' });
    graph.output('prediction', 'float', ['batch']);
    const plan = await ground.plan(
      'SELECT * FROM (VALUES (1.0), (-1.0), (0.0)) t(x)',
      { onnx: graph.build(), signature },
      { invalid: 'quarantine', passThrough: 'none' },
    );
    const scored = await (await ground.score(plan, [{ from: 0, before: 3 }])).rows();
    const words = 'the model\'s output "prediction" is no number';
    expect(scored.map(({ error, output_prediction }) => [error, output_prediction])).toEqual([
      [null, 0],
      [words, null],
      [words, null],
    ]);
  });
});

it('a chunk that is cancelled ends at once, and what cannot be loaded is told', async () => {
  const plan = await ground.plan(ROWS, CHURN);
  const stop = new AbortController();
  const scoring = ground.score(plan, [{ from: 0, before: 5_000 }], stop.signal);
  stop.abort(new Error('enough'));
  await expect(scoring).rejects.toThrow('enough');
  const broken = { ...CHURN, onnx: new Uint8Array([1, 2, 3]) };
  await expect(ground.score(await ground.plan(ROWS, broken), [{ from: 0, before: 1 }])).rejects.toMatchObject(
    {
      code: 'ModelInvalid',
    },
  );
});
