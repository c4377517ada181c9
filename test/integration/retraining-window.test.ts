import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TableRef } from '../../contracts/refs.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { retrainingSpecOf } from '../../domain/retraining/data-window.ts';
import { splitTable } from '../../lib/data/split.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** One row a day from 2009-01-01 to 2009-12-31, and one without a day. */
const days = async (moment: string): Promise<TableRef> =>
  (
    await data.table(
      `SELECT i AS id, i % 2 AS y, CASE WHEN i < 365 THEN ${moment} END AS "called ""on""" FROM range(366) r(i)`,
    )
  ).table;

describe.each([
  ['days', `DATE '2009-01-01' + i::INT`],
  ['moments', `TIMESTAMP '2009-01-01' + to_days(i::INT)`],
  ['moments with a zone', `(TIMESTAMP '2009-01-01' + to_days(i::INT)) AT TIME ZONE 'UTC'`],
  ['texts', `CAST(DATE '2009-01-01' + i::INT AS VARCHAR)`],
])('the window of a retraining by %s', (_, moment) => {
  it('sets rows aside before anything looks at them, and its parts are whole', async () => {
    const table = await days(moment);
    const spec = retrainingSpecOf(
      pipelineSpec.parse({
        name: 'calls',
        task: 'binary',
        data: { sources: { calls: 'calls.parquet' } },
        columns: { target: 'y', timestamp: 'called "on"', ignored: ['id'] },
        monitoring: {},
        retraining: { window: { kind: 'sliding', length: '90d', test: '30d', validation: '20d' } },
      }),
      '2009-09-08T00:00:00Z',
      '7d',
    );
    const joined = await data.join({ calls: table }, { ...spec.data }, 'y');
    expect(joined.setAside.slice(0, 2)).toEqual([
      { reason: 'truth not known yet: at or after 2009-09-01T00:00:00Z', rows: 122 },
      { reason: 'older than the window of the retraining: before 2009-06-03T00:00:00Z', rows: 153 },
    ]);
    // With the row that has no moment, which is in no part.
    expect(joined.table.rows).toBe(91);
    const path = await data.store.path(joined.table.artifact);
    const parts = await splitTable(
      data.database,
      `read_parquet(${quoteLiteral(path)})`,
      joined.table,
      spec,
      data.store,
      data.folder,
    );
    expect([parts.train.rows, parts.validation.rows, parts.test.rows, parts.unused]).toEqual([40, 20, 30, 1]);
  });
});
