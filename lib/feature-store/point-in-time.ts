import type { DuckDBDataChunk } from '@duckdb/node-api';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import type { Database } from '../duckdb/database.ts';
import { RowTable } from '../duckdb/row-table.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { copyNumbers } from '../duckdb/vectors.ts';
import { KEY, keySql, TIME, valueColumn } from './view-plan.ts';
import { aggregateOf } from './window-state.ts';
import { WindowSweep } from './window-sweep.ts';

/** What the engine's tables call the number of a row of the table. */
const ROW = '__perennial_row';
/** In the place of an entity's number: a row without a key or a time. */
const NOBODY = -1;
/** What a sorted row is: of one moment the rows of the table come before the events. */
const WANTED = 0;
const EVENT = 1;

/** Rows whose features are wanted. */
export interface WantedRows {
  /** The relation, numbered from 0 on by its column `file_row_number`. */
  readonly relation: string;
  /** SQL: the microseconds of Unix time for which the features are wanted, such as {@link timeSql} of a column. */
  readonly time: string;
}

/**
 * The columns of a view for each row of a table, as they were known just before the row's time: the engine brings
 * events and rows into the order of entity and time, and one pass over them keeps the windows. What is larger than
 * memory spills.
 *
 * @param database with the sources under their names
 * @param onRows is told of the rows that are done
 * @returns the name of a table in the database: the columns of the view in their order, a row for each row of the table
 *   and in its order; NULL where SQL has it, and for rows without a key or a time
 * @throws PerennialError `SqlInvalid`
 */
export async function pointInTime(
  database: Database,
  plan: ViewPlan,
  { relation, time }: WantedRows,
  onRows?: (rows: number) => void,
): Promise<string> {
  const table = (what: string): string => quoteIdent(`__perennial_${what}_${plan.name}`);
  const where = `featureViews.${plan.name}`;
  const [wanted, entities, known] = [table('wanted'), table('entities'), table('known')];
  await database.run(
    `CREATE TABLE ${wanted} AS SELECT ${keySql(plan.entity)} AS ${KEY}, ${time} AS ${TIME}, file_row_number AS ${ROW} FROM ${relation}`,
    'SqlInvalid',
    where,
  );
  await database.run(
    `CREATE TABLE ${entities} AS SELECT ${KEY}, CAST(row_number() OVER () AS INTEGER) AS entity
     FROM (SELECT DISTINCT ${KEY} FROM ${wanted} WHERE ${KEY} IS NOT NULL AND ${TIME} IS NOT NULL)`,
  );
  const beside = await database.instance.connect();
  try {
    const rows = await RowTable.create(
      database,
      `__perennial_known_${plan.name}`,
      ['double', ...plan.columns.map(() => 'double' as const)],
      beside,
    );
    const sorted = database.streamed(sortedSql(plan, wanted, entities), 'SqlInvalid', where);
    await swept(plan, sorted, rows, onRows);
    await rows.close();
  } finally {
    beside.closeSync();
  }
  await database.run(`DROP TABLE ${wanted}; DROP TABLE ${entities}`);
  return known;
}

/** One pass over sorted rows and events: writes the number of each row and the columns of the view. */
async function swept(
  plan: ViewPlan,
  chunks: AsyncIterable<DuckDBDataChunk>,
  rows: RowTable,
  onRows?: (rows: number) => void,
): Promise<void> {
  const sweep = new WindowSweep(plan.values, plan.windows);
  const columns = plan.columns.map(({ aggregate, window, value }) => ({
    aggregate,
    state: sweep.stateAt(window, value),
  }));
  let current = NOBODY;
  let done = 0;
  const event = new Float64Array(plan.values);
  let buffers = new ChunkBuffers(0, plan.values);
  for await (const chunk of chunks) {
    const { rowCount } = chunk;
    if (buffers.rows < rowCount) buffers = new ChunkBuffers(rowCount, plan.values);
    buffers.copy(chunk);
    const { entities, moments, kinds, values } = buffers;
    for (let at = 0; at < rowCount; at++) {
      const entity = entities[at] ?? NOBODY;
      const moment = moments[at] ?? 0;
      if (entity !== current) {
        current = entity;
        sweep.reset();
      }
      if (kinds[at] === EVENT) {
        for (let value = 0; value < plan.values; value++) event[value] = values[value]?.[at] ?? Number.NaN;
        sweep.add(moment, event);
        continue;
      }
      if (entity !== NOBODY) sweep.ask(moment);
      const place = rows.next();
      rows.number(0, place, values[0]?.[at] ?? 0);
      columns.forEach(({ aggregate, state }, index) => {
        const known = entity === NOBODY ? Number.NaN : aggregateOf(aggregate, sweep.states, state);
        rows.number(1 + index, place, known);
      });
      done++;
    }
    onRows?.(done);
  }
}

/** A SELECT of what {@link pointInTime} made, in the order of the rows of the table. */
export const knownSql = (known: string, plan: ViewPlan): string =>
  `SELECT ${plan.columns
    .map(
      ({ name }, index) =>
        `CASE WHEN isnan(c${index + 1}) THEN NULL ELSE c${index + 1} END AS ${quoteIdent(name)}`,
    )
    .join(', ')} FROM (SELECT * FROM ${known} ORDER BY c0)`;

/**
 * Rows of the table and events of their entities, by entity and time; of one moment the rows come first, since an event
 * is not known before it. What no window reaches is left out. A row has its number in the place of an event's first
 * value: the narrower what is sorted, the faster.
 */
function sortedSql(plan: ViewPlan, wanted: string, entities: string): string {
  const values = Array.from({ length: plan.values }, (_, index) => valueColumn(index));
  const longest = Math.max(...plan.windows);
  const events = [
    'entity',
    `CAST(${TIME} AS DOUBLE) AS moment`,
    `CAST(${EVENT} AS UTINYINT) AS kind`,
    ...values.map((value) => `coalesce(${value}, 'NaN'::DOUBLE) AS ${value}`),
  ];
  const rows = [
    `CASE WHEN ${TIME} IS NULL OR entity IS NULL THEN ${NOBODY} ELSE entity END AS entity`,
    `coalesce(CAST(${TIME} AS DOUBLE), 0) AS moment`,
    `CAST(${WANTED} AS UTINYINT) AS kind`,
    ...values.map(
      (value, index) => `${index === 0 ? `CAST(${ROW} AS DOUBLE)` : `'NaN'::DOUBLE`} AS ${value}`,
    ),
  ];
  return `SELECT entity, moment, kind, ${values.join(', ')} FROM (
    SELECT ${events.join(', ')} FROM (${plan.eventsSql}) JOIN ${entities} USING (${KEY})
    WHERE ${TIME} >= (SELECT min(${TIME}) - ${longest} FROM ${wanted}) AND ${TIME} < (SELECT max(${TIME}) FROM ${wanted})
    UNION ALL
    SELECT ${rows.join(', ')} FROM ${wanted} LEFT JOIN ${entities} USING (${KEY})
  ) ORDER BY entity, moment, kind`;
}

/** The columns of a chunk of sorted rows. */
class ChunkBuffers {
  readonly entities: Int32Array;
  readonly moments: Float64Array;
  readonly kinds: Uint8Array;
  readonly values: readonly Float64Array[];

  constructor(
    readonly rows: number,
    values: number,
  ) {
    this.entities = new Int32Array(rows);
    this.moments = new Float64Array(rows);
    this.kinds = new Uint8Array(rows);
    this.values = Array.from({ length: values }, () => new Float64Array(rows));
  }

  copy(chunk: DuckDBDataChunk): void {
    [this.entities, this.moments, this.kinds, ...this.values].forEach((column, index) => {
      copyNumbers(chunk, index, 0, chunk.rowCount, column, 0);
    });
  }
}
