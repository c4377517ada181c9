import { PerennialError } from '../../contracts/errors.ts';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import type { TableRef } from '../../contracts/refs.ts';
import { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { snapshotRelation } from '../incremental/snapshots.ts';
import type { JoinAnswer, JoinJob } from './join-job.ts';
import { knownSql, pointInTime } from './point-in-time.ts';
import { planView, requireKey, requireMoment, timeSql } from './view-plan.ts';

/**
 * Writes a table again with the columns of feature views behind its own, each row with the values that were known just
 * before its time. Rows keep their order. The views' SQL can read the sources and nothing else.
 *
 * @throws PerennialError `SqlInvalid`, `ColumnMissing`, `ColumnInvalid`
 */
export async function joinFeatures(
  { sources, views, columns: wanted, tablePath, moment, outPath, spillDir, memoryLimit }: JoinJob,
  onRows?: (rows: number) => void,
): Promise<JoinAnswer> {
  const database = await Database.create({
    tempDir: spillDir,
    memoryLimit,
    onlyPaths: [...sources.flatMap(({ files }) => files), tablePath, outPath, spillDir],
  });
  try {
    for (const { name, files } of sources) await database.view(name, snapshotRelation(files));
    const table = `read_parquet(${quoteLiteral(tablePath)})`;
    const columns = await database.columns(table);
    const plans: ViewPlan[] = [];
    for (const [name, view] of Object.entries(views)) {
      const plan = wantedOf(await planView(database, name, view), wanted);
      requireFit(plan, 'column' in moment ? moment.column : undefined, columns);
      plans.push(plan);
    }
    const relation = `read_parquet(${quoteLiteral(tablePath)}, file_row_number = true)`;
    const time = 'column' in moment ? timeSql(moment.column) : `${Date.parse(moment.at) * 1_000}::BIGINT`;
    const known: string[] = [];
    let done = 0;
    for (const plan of plans) {
      let rows = 0;
      const name = await pointInTime(database, plan, { relation, time }, (now) => {
        rows = now;
        onRows?.(done + rows);
      });
      done += rows;
      known.push(knownSql(name, plan));
    }
    // Side by side: each of them has one row for each row of the table, in its order.
    await database.copyToParquet(
      `SELECT * FROM ${[table, ...known.map((select) => `(${select})`)].join(' POSITIONAL JOIN ')}`,
      outPath,
    );
    return { plans, columns: await database.columns(`read_parquet(${quoteLiteral(outPath)})`) };
  } finally {
    database.close();
  }
}

const wantedOf = (plan: ViewPlan, wanted: JoinJob['columns']): ViewPlan =>
  wanted ? { ...plan, columns: plan.columns.filter(({ name }) => wanted.includes(name)) } : plan;

/**
 * @param timestamp column of the table; left out where its rows are all of one moment
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid` where a view and the table do not go together
 */
export function requireFit(
  { name, entity, columns }: ViewPlan,
  timestamp: string | undefined,
  table: TableRef['columns'],
): void {
  const types = new Map(table.map((column) => [column.name, column.type]));
  for (const column of entity) requireKey(`featureViews.${name}.entity`, 'the table', column, types);
  if (timestamp !== undefined) requireMoment('columns.timestamp', 'the table', timestamp, types);
  // SQL takes names for the same whose letters differ in their case only.
  const lower = new Set(table.map((column) => column.name.toLowerCase()));
  const taken = columns.find((column) => lower.has(column.name.toLowerCase()));
  if (taken)
    throw new PerennialError(
      'ColumnInvalid',
      `featureViews.${name}: the table has a column ${taken.name} already; name the view or the feature otherwise`,
    );
}
