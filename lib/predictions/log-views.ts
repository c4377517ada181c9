import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
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
  'NULL::MAP(VARCHAR, DOUBLE) AS metrics',
];

/** Versions with other columns side by side; a column that a file lacks is NULL in its rows. */
const relation = (files: readonly string[], columns: readonly string[]): string =>
  files.length === 0
    ? `(SELECT ${columns.join(', ')} WHERE false)`
    : `read_parquet([${files.map(quoteLiteral).join(', ')}], union_by_name = true, hive_partitioning = false)`;

const moment = (at: Date): string => `TIMESTAMP ${quoteLiteral(at.toISOString().replace('Z', ''))}`;

/**
 * What both kinds of truth are joined by: a request is its id and the moment at which it arrived, since ids are the
 * clients' and may come again. Copies for shadows have the same of both as the request that was answered.
 */
const REQUEST = 'request_id, time';

/** Merging maps takes longer than all else of a row, and is rarely needed. */
const SEVERAL = `(CASE WHEN r.metrics IS NULL THEN 0 ELSE 1 END) + (CASE WHEN q.metrics IS NULL THEN 0 ELSE 1 END)
  + (CASE WHEN e.metrics IS NULL THEN 0 ELSE 1 END) > 1`;

/**
 * Creates the views `predictions`, `truth` and `labelled` in a database.
 *
 * `labelled` has a row for each prediction, with the latest truth about it: what was said of its row, else of its
 * request, else of its entity. A truth about a request belongs to the latest one of that id that had arrived when the
 * truth was received; a truth about an entity to the latest request of that entity at or before it that was answered,
 * where that is no longer ago than the horizon. Shadow copies of the request share it. A metric counts on its own, by
 * whatever record told it last.
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
  const carried = ['value', 'label', 'observed_at', 'received_at', 'metrics'].map((name) => `t.${name}`);
  await database.run(`CREATE VIEW labelled AS
    WITH asked AS (
      SELECT ${REQUEST}, any_value(entity) AS entity, bool_or(role <> 'shadow') AS answered
      FROM ${relation([...files.predictions, ...files.later], PREDICTION_COLUMNS)} ${from} GROUP BY ALL
    ), said AS (
      SELECT t.request_id, a.time, t.row, CASE WHEN t.row IS NULL THEN 'request' ELSE 'row' END AS how, ${carried.join(', ')}
      FROM (SELECT * FROM truth WHERE request_id IS NOT NULL) t
      ASOF JOIN asked a ON t.request_id = a.request_id AND t.received_at >= a.time
      UNION ALL
      SELECT a.request_id, a.time, NULL AS row, 'entity' AS how, ${carried.join(', ')}
      FROM (SELECT * FROM truth WHERE request_id IS NULL) t
      ASOF JOIN (SELECT * FROM asked WHERE entity IS NOT NULL AND answered) a
        ON t.entity = a.entity AND t.observed_at >= a.time
      WHERE epoch_ms(t.observed_at) - epoch_ms(a.time) <= ${Math.floor(horizonMs)}
    ), measured AS (
      SELECT ${REQUEST}, row, how, name, arg_max(metric, received_at) AS metric
      FROM (SELECT *, unnest(map_keys(metrics)) AS name, unnest(map_values(metrics)) AS metric FROM said)
      GROUP BY ALL
    ), latest AS (
      SELECT t.*, m.metrics FROM (
        SELECT ${REQUEST}, row, how,
          arg_max({'value': value, 'label': label, 'observed_at': observed_at, 'received_at': received_at}, received_at)
            FILTER (value IS NOT NULL OR label IS NOT NULL) AS truth
        FROM said GROUP BY ALL
      ) t LEFT JOIN (
        SELECT ${REQUEST}, row, how, map_from_entries(list({'k': name, 'v': metric})) AS metrics
        FROM measured GROUP BY ALL
      ) m ON m.request_id = t.request_id AND m.time = t.time AND m.row IS NOT DISTINCT FROM t.row AND m.how = t.how
    ), joined AS (
      SELECT p.*, coalesce(r.truth, q.truth, e.truth) AS truth,
        CASE WHEN r.truth IS NOT NULL THEN 'row' WHEN q.truth IS NOT NULL THEN 'request'
          WHEN e.truth IS NOT NULL THEN 'entity' END AS truth_by,
        CASE WHEN ${SEVERAL} THEN map_concat(e.metrics, q.metrics, r.metrics)
          ELSE coalesce(r.metrics, q.metrics, e.metrics) END AS metrics
      FROM predictions p
      LEFT JOIN latest r ON r.how = 'row' AND r.request_id = p.request_id AND r.time = p.time AND r.row = p.row
      LEFT JOIN latest q ON q.how = 'request' AND q.request_id = p.request_id AND q.time = p.time
      LEFT JOIN latest e ON e.how = 'entity' AND e.request_id = p.request_id AND e.time = p.time
    )
    SELECT * EXCLUDE (truth), truth.value AS truth_value, truth.label AS truth_label,
      truth.observed_at AS truth_observed_at, truth.received_at AS truth_received_at FROM joined`);
}
