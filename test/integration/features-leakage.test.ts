import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FeaturePreset, featurePreset } from '../../contracts/spec/features.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { SplitOutput } from '../../contracts/stages.ts';
import { placeKeys, splitTable } from '../../lib/data/split.ts';
import { foldSql } from '../../lib/duckdb/row-place.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { featureColumns } from '../../lib/features/feature-columns.ts';
import { fitFeatures } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { targetNumbers } from '../../lib/features/target-statistics.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
let connection: DuckDBConnection;
beforeAll(async () => {
  data = await DataFixture.create();
  connection = await (await DuckDBInstance.create(':memory:')).connect();
});
afterAll(async () => {
  connection.closeSync();
  await data.close();
});

/** Everything that can be fitted. */
const spec = pipelineSpec.parse({
  name: 'leakage',
  task: 'binary',
  data: { sources: { rows: 'rows.csv' } },
  columns: { target: 'y', entity: 'id' },
  split: { method: 'random' },
  features: {
    numeric: { clip: [0.05, 0.95] },
    columns: {
      a: { log: true, scale: 'robust', impute: 'mean' },
      b: { bins: 7 },
      c: { encoding: 'target' },
      d: { encoding: 'onehot', minFrequency: 2 },
      e: { encoding: 'frequency' },
      m: { scale: 'minmax', missingIndicator: true },
      s: { scale: 'standard', impute: 'median' },
      v: { cyclic: true, parts: ['month', 'hour', 'year'], scale: 'robust' },
      t: { kind: 'text', minDocuments: 1 },
    },
    derived: [{ ratio: ['a', 'b'] }, { cross: ['c', 'd'] }],
  },
});

/** 400 rows; `changes` says which rows have other values. */
const table = (changed: string) => `SELECT i AS id, (i * 7) % 3 = 0 AS y,
  CASE WHEN ${changed} THEN 1e9 WHEN i % 11 = 0 THEN NULL ELSE sin(i) * 100 END AS a,
  CASE WHEN ${changed} THEN -1e9 ELSE (i * 37) % 101 END AS b,
  CASE WHEN ${changed} THEN 'zz' || i ELSE ['p', 'q', 'r'][1 + i % 3] END AS c,
  CASE WHEN ${changed} THEN NULL ELSE ['u', 'v'][1 + i % 2] END AS d,
  CASE WHEN ${changed} THEN 'k0' ELSE 'k' || i % 7 END AS e,
  CASE WHEN ${changed} THEN 1e6 WHEN i % 13 = 0 THEN NULL ELSE cos(i) END AS m,
  CASE WHEN ${changed} THEN 'inf'::DOUBLE ELSE sqrt(i) END AS s,
  CASE WHEN ${changed} THEN NULL ELSE i % 5 = 0 END AS f,
  CASE WHEN ${changed} THEN TIMESTAMP '9999-12-31' ELSE TIMESTAMP '2023-01-01' + to_days(i::INTEGER) END AS v,
  CASE WHEN ${changed} THEN 'never fitted ' || i ELSE 'word' || i % 5 || ' common' END AS t,
  CASE WHEN ${changed} THEN TIMESTAMP '1900-01-01' ELSE TIMESTAMP '2024-01-01' + to_hours(i * 5) END AS w
  FROM range(400) r(i)`;

async function splitOf(sql: string): Promise<SplitOutput> {
  const made = await data.table(sql);
  const parts = await splitTable(
    data.database,
    made.relation,
    made.table,
    spec,
    data.store,
    await data.scratch(),
  );
  return { ...parts, sensitive: false, overlap: [] };
}

async function fittedBytes(split: SplitOutput, preset: FeaturePreset): Promise<Buffer> {
  const path = await data.store.path(split.train.artifact);
  const { plan, folds } = await fitFeatures(
    connection,
    `read_parquet(${quoteLiteral(path)})`,
    featureColumns(split.columns, spec),
    spec.features,
    {
      preset,
      target: {
        numbers: targetNumbers('binary', 'y', split),
        fold: foldSql(placeKeys(spec, split), 'fold', 5),
        folds: 5,
      },
    },
  );
  expect(folds?.columns.size).toBe(1);
  return Buffer.concat([
    Buffer.from(JSON.stringify(plan)),
    preprocessGraph(plan),
    preprocessGraph(plan, folds),
  ]);
}

describe('rows outside of training', () => {
  it.each(featurePreset.options)('cannot move one fitted number: %s', async (preset) => {
    const before = await splitOf(table('false'));
    const outside = [...(await data.rows(before.validation)), ...(await data.rows(before.test))].map((row) =>
      Number(row.id),
    );
    const expected = await fittedBytes(before, preset);
    await fc.assert(
      fc.asyncProperty(fc.subarray(outside, { minLength: 1 }), async (ids) => {
        const after = await splitOf(table(`i IN (${ids.join(', ')})`));
        expect(after.train.rows).toBe(before.train.rows);
        expect((await fittedBytes(after, preset)).equals(expected)).toBe(true);
      }),
      { numRuns: 5, seed: 7 },
    );
    // The test can fail: one training row is enough.
    const [training] = await data.rows(before.train);
    const moved = await splitOf(table(`i = ${Number(training?.id)}`));
    expect((await fittedBytes(moved, preset)).equals(expected)).toBe(false);
  });
});
