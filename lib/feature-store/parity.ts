import { join } from 'node:path';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import type { ViewParity } from '../../contracts/monitoring.ts';
import type { ServedModel, ServedView } from '../../contracts/serving.ts';
import { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { snapshotRelation } from '../incremental/snapshots.ts';
import { ANSWERED } from '../monitoring/prediction-windows.ts';
import type { JoinJob } from './join-job.ts';
import { knownSql, pointInTime } from './point-in-time.ts';
import { KEY, keySql, TIME, timeSql } from './view-plan.ts';

const AT = '__perennial_at';
const ASKED = '__perennial_asked';
const ROW = 'file_row_number';

/** What is compared. */
export interface ParityQuestion {
  readonly model: Pick<ServedModel, 'version' | 'onnx'> & { readonly views: readonly ServedView[] };
  /** The definitions of the model's views, by what the online store knows them by. */
  readonly plans: ReadonlyMap<string, ViewPlan>;
  /** Files of the sources as they are now. */
  readonly sources: JoinJob['sources'];
  /** Rows at the most, evenly drawn. */
  readonly rows: number;
  /** A folder that the databases may write to. */
  readonly scratchDir: string;
  readonly memoryLimit?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The file that {@link featureParity} writes and reads below its folder. */
export const parityFile = (scratchDir: string): string => join(scratchDir, 'features-asked.parquet');

/**
 * Joins the rows of the log whose features a server looked up with the sources again, point in time, and compares: a
 * store that lost, doubled or mixed up events shows, and so do events that came late. Rows for which there is an event
 * that the store could not know yet when it was asked are counted apart: they tell how fresh the store is.
 *
 * @param log with the view `predictions`; it may write {@link parityFile}
 * @returns for each view of which the log has looked-up rows
 * @throws PerennialError `SqlInvalid` where the sources do not fit the views any more
 */
export async function featureParity(log: Database, question: ParityQuestion): Promise<ViewParity[]> {
  const { model, plans, sources, rows, scratchDir, memoryLimit, signal } = question;
  const logged = new Set((await log.columns('predictions')).map(({ name }) => name));
  const views = model.views.filter(
    (view) => plans.has(view.store) && loggedColumns(view).every((column) => logged.has(column)),
  );
  if (views.length === 0) return [];
  const path = parityFile(scratchDir);
  const columns = [...new Set(views.flatMap(loggedColumns))].map(quoteIdent).join(', ');
  const found = await log.copyToParquet(
    `SELECT ${columns}, date_trunc('millisecond', time) AS ${AT} FROM predictions
     WHERE ${ANSWERED} AND version = ${quoteLiteral(model.version)} AND digest = ${quoteLiteral(model.onnx.sha256)}
       AND (${views.map((view) => `${quoteIdent(sourceOf(view))} = 'looked_up'`).join(' OR ')})
     ORDER BY hash(request_id, time, row) LIMIT ${Math.floor(rows)}`,
    path,
  );
  if (found === 0) return [];
  const spillDir = join(scratchDir, 'parity-spill');
  const database = await Database.create({
    tempDir: spillDir,
    memoryLimit,
    onlyPaths: [...sources.flatMap(({ files }) => files), path, spillDir],
    signal,
  });
  try {
    for (const { name, files } of sources) await database.view(name, snapshotRelation(files));
    const compared: ViewParity[] = [];
    for (const view of views) {
      const plan = plans.get(view.store);
      if (plan) compared.push(await parityOf(database, view, plan, path));
    }
    return compared.filter((parity) => parity.rows > 0);
  } finally {
    database.close();
  }
}

const sourceOf = ({ name }: ServedView): string => `feature_source_${name}`;
const untilOf = ({ name }: ServedView): string => `feature_until_${name}`;

function loggedColumns(view: ServedView): string[] {
  const keys = view.entity.map((column) => `entity_${column}`);
  const inputs = view.columns.map(({ input }) => `input_${input}`);
  return [sourceOf(view), untilOf(view), ...keys, ...inputs];
}

async function parityOf(
  database: Database,
  view: ServedView,
  plan: ViewPlan,
  path: string,
): Promise<ViewParity> {
  const keys = view.entity.map((column) => `${quoteIdent(`entity_${column}`)} AS ${quoteIdent(column)}`);
  await database.run(
    `CREATE OR REPLACE TABLE ${ASKED} AS SELECT *, ${keys.join(', ')}, CAST(row_number() OVER () - 1 AS BIGINT) AS ${ROW}
     FROM read_parquet(${quoteLiteral(path)}) WHERE ${quoteIdent(sourceOf(view))} = 'looked_up'`,
  );
  const known = await pointInTime(database, plan, { relation: ASKED, time: timeSql(AT) });
  // Events that came after what the store had taken in when it was asked.
  await database.run(
    `CREATE OR REPLACE TABLE __perennial_stale AS SELECT DISTINCT ${ROW} AS row FROM (
       SELECT ${ROW}, ${keySql(plan.entity)} AS ${KEY}, epoch_us(${quoteIdent(untilOf(view))}) AS known_until, epoch_us(${AT}) AS asked_at FROM ${ASKED}
     ) AS asked JOIN (${plan.eventsSql}) AS events USING (${KEY}) WHERE ${TIME} >= known_until AND ${TIME} < asked_at`,
    'SqlInvalid',
    `featureViews.${plan.name}`,
  );
  const columns = view.columns.map(({ input }) => ({
    now: `CAST(now.${quoteIdent(input)} AS FLOAT)`,
    served: `asked.${quoteIdent(`input_${input}`)}`,
  }));
  const differs = columns.map(({ now, served }) => `${now} IS DISTINCT FROM ${served}`).join(' OR ');
  const by = columns.map(({ now, served }) => `coalesce(abs(${now} - ${served}), 0)`).join(', ');
  const row = await database.row(
    `SELECT count(*) AS rows, count(*) FILTER (stale.row IS NOT NULL) AS stale,
       count(*) FILTER (stale.row IS NULL AND (${differs})) AS differing,
       coalesce(max(greatest(${by}, 0)) FILTER (stale.row IS NULL), 0)::DOUBLE AS largest
     FROM (SELECT * FROM ${ASKED} ORDER BY ${ROW}) AS asked
       POSITIONAL JOIN (${knownSql(known, plan)}) AS now
       LEFT JOIN __perennial_stale AS stale ON stale.row = asked.${ROW}`,
  );
  await database.run(`DROP TABLE ${known}`);
  return {
    view: view.name,
    rows: Number(row.rows),
    stale: Number(row.stale),
    differing: Number(row.differing),
    largest: Number(row.largest),
  };
}
