import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { LOG_COLUMN_TYPES } from './log-columns.ts';

/** Files that the views read; each list may be empty. */
export interface LogViewFiles {
  /** Of the time that is asked for. */
  readonly predictions: readonly string[];
  /** Of the time after it: whether a truth belongs to an earlier prediction depends on the later ones. */
  readonly later: readonly string[];
  readonly truth: readonly string[];
}

/** What the views show. */
export interface LogViewRange {
  /** Predictions from this moment on. */
  readonly since?: Date | undefined;
  /** Predictions before this moment. */
  readonly until?: Date | undefined;
  /** The longest time from a prediction to the truth about its entity, in milliseconds. */
  readonly horizonMs: number;
}

const PREDICTION_COLUMNS = Object.entries(LOG_COLUMN_TYPES).map(([name, type]) => `NULL::${type} AS ${name}`);
const TRUTH_COLUMNS = [
  'NULL::VARCHAR AS request_id',
  'NULL::INTEGER AS row',
  'NULL::VARCHAR AS entity',
  'NULL::TIMESTAMP AS observed_at',
  'NULL::TIMESTAMP AS received_at',
  'NULL::VARCHAR AS endpoint',
  'NULL::DOUBLE AS value',
  'NULL::VARCHAR AS label',
];

/** Versions with other columns side by side; a column that a file lacks is NULL in its rows. */
const relation = (files: readonly string[], columns: readonly string[]): string =>
  files.length === 0
    ? `(SELECT ${columns.join(', ')} WHERE false)`
    : `read_parquet([${files.map(quoteLiteral).join(', ')}], union_by_name = true, hive_partitioning = false)`;

const moment = (at: Date): string => `TIMESTAMP ${quoteLiteral(at.toISOString().replace('Z', ''))}`;

/**
 * Creates the views `predictions`, `truth` and `labelled` in a database.
 *
 * `labelled` has a row for each prediction, with the latest truth about it: what was said of its row, else of its
 * request, else of its entity. A truth about an entity belongs to the latest prediction of that entity at or before it
 * that answered, where that is no longer ago than the horizon; shadow copies of the request share it. A metric counts
 * on its own, by whatever record told it last.
 */
export async function createLogViews(
  database: Database,
  files: LogViewFiles,
  { since, until, horizonMs }: LogViewRange,
): Promise<void> {
  const within = [
    ...(since ? [`time >= ${moment(since)}`] : []),
    ...(until ? [`time < ${moment(until)}`] : []),
  ];
  const from = since ? `WHERE time >= ${moment(since)}` : '';
  await database.run(
    `CREATE VIEW predictions AS SELECT * FROM ${relation(files.predictions, PREDICTION_COLUMNS)}
     ${within.length > 0 ? `WHERE ${within.join(' AND ')}` : ''}`,
  );
  await database.run(`CREATE VIEW truth AS SELECT * FROM ${relation(files.truth, TRUTH_COLUMNS)}`);
  const metrics = (await database.columns('truth'))
    .map(({ name }) => name)
    .filter((name) => name.startsWith('metric_'))
    .map(quoteIdent);
  const latest = metrics.map((name) => `arg_max(${name}, received_at) AS ${name}`);
  const shown = metrics.map((name) => `coalesce(r.${name}, q.${name}, e.${name}) AS ${name}`);
  const carried = ['value', 'label', 'observed_at', 'received_at', ...metrics];
  await database.run(`CREATE VIEW labelled AS
    WITH asked AS (
      SELECT entity, time, request_id
      FROM ${relation([...files.predictions, ...files.later], PREDICTION_COLUMNS)} ${from}
      ${from === '' ? 'WHERE' : 'AND'} entity IS NOT NULL AND role <> 'shadow'
    ), said AS (
      SELECT request_id, row, CASE WHEN row IS NULL THEN 'request' ELSE 'row' END AS how, ${carried.join(', ')}
      FROM truth WHERE request_id IS NOT NULL
      UNION ALL
      SELECT a.request_id, NULL AS row, 'entity' AS how, ${carried.map((name) => `t.${name}`).join(', ')}
      FROM (SELECT * FROM truth WHERE request_id IS NULL) t
      ASOF JOIN asked a ON t.entity = a.entity AND t.observed_at >= a.time
      WHERE epoch_ms(t.observed_at) - epoch_ms(a.time) <= ${Math.floor(horizonMs)}
    ), latest AS (
      SELECT request_id, row, how,
        arg_max({'value': value, 'label': label, 'observed_at': observed_at, 'received_at': received_at}, received_at)
          FILTER (value IS NOT NULL OR label IS NOT NULL) AS truth${latest.map((sql) => `, ${sql}`).join('')}
      FROM said GROUP BY request_id, row, how
    ), joined AS (
      SELECT p.*, coalesce(r.truth, q.truth, e.truth) AS truth,
        CASE WHEN r.truth IS NOT NULL THEN 'row' WHEN q.truth IS NOT NULL THEN 'request'
          WHEN e.truth IS NOT NULL THEN 'entity' END AS truth_by${shown.map((sql) => `, ${sql}`).join('')}
      FROM predictions p
      LEFT JOIN latest r ON r.how = 'row' AND r.request_id = p.request_id AND r.row = p.row
      LEFT JOIN latest q ON q.how = 'request' AND q.request_id = p.request_id
      LEFT JOIN latest e ON e.how = 'entity' AND e.request_id = p.request_id
    )
    SELECT * EXCLUDE (truth), truth.value AS truth_value, truth.label AS truth_label,
      truth.observed_at AS truth_observed_at, truth.received_at AS truth_received_at FROM joined`);
}
