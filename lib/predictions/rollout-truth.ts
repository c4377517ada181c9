import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import type { TruthQuestion } from '../../contracts/activities.ts';
import { PerennialError } from '../../contracts/errors.ts';
import type { Moments, TruthReport, VersionTruth } from '../../contracts/rollout-evidence.ts';
import { emptyMoments } from '../../domain/rollout/moments.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { openPredictions } from './prediction-log.ts';
import { MOST_MAGNITUDE, rowMetricSql } from './row-metric-sql.ts';
import type { PredictionConfig } from './settings.ts';

/** Where and how a log is asked for truth. */
export interface TruthSurroundings {
  /** A folder for what is decrypted; used in part, and left clean. */
  readonly scratchDir: string;
  /** Memory of the database; default `1GB`. */
  readonly memoryLimit?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What the prediction log says of versions by the truth that came since: sums over rows, and nothing of any row.
 *
 * Rows are those of requests that were routed to the version, and of copies: not of those who asked for it by its name,
 * nor of those at which it stood in for another, as in what servers count of traffic. Each row of a request counts once
 * for a version, however often it is on record. The time is that at which the request arrived, from `since` up to, not
 * including, `until`.
 *
 * @throws PerennialError `InputInvalid` for moments that are none; `KeyringInvalid`, `StoreUnavailable`
 */
export async function rolloutTruth(
  config: PredictionConfig,
  question: TruthQuestion,
  { scratchDir, memoryLimit, signal }: TruthSurroundings,
): Promise<TruthReport> {
  const { endpoint, since, until, versions } = question;
  const opened = await openPredictions(config, endpoint, {
    scratchDir: join(scratchDir, `truth-${randomUUID()}`),
    since: moment(since, 'since'),
    until: moment(until, 'until'),
    memoryLimit,
    signal,
  });
  try {
    const found = await versionsOf(opened.database, question);
    return {
      since,
      until,
      versions: versions.map((version) => truthOf(version, question, found.get(version))),
      unreadable: opened.unreadable.length,
    };
  } finally {
    await opened.close();
  }
}

type Row = Record<string, unknown>;

async function versionsOf(database: Database, question: TruthQuestion): Promise<Map<string, Row>> {
  const { versions, quality, business } = question;
  const columns = new Set((await database.columns('labelled')).map(({ name }) => name));
  const measures = {
    quality: quality === null ? 'NULL::DOUBLE' : rowMetricSql(quality, question, columns),
    business: business === null ? 'NULL::DOUBLE' : `metrics[${quoteLiteral(business)}]`,
  };
  const usable = (sql: string): string => {
    const value = `CAST((${sql}) AS DOUBLE)`;
    return `CASE WHEN isfinite(${value}) AND abs(${value}) <= ${MOST_MAGNITUDE} THEN ${value} END`;
  };
  const rows = await database.rows(`
    WITH own AS (
      SELECT version, any_value(${usable(measures.quality)}) AS quality,
        any_value(${usable(measures.business)}) AS business
      FROM labelled
      WHERE version IN (${versions.map(quoteLiteral).join(', ') || "''"})
        AND role IN ('champion', 'challenger', 'shadow') AND reason NOT IN ('version', 'fallback')
      GROUP BY version, request_id, time, row
    )
    SELECT version, count(*) AS answered, ${momentsSql('quality')}, ${momentsSql('business')}
    FROM own GROUP BY version`);
  return new Map(rows.map((row) => [String(row.version), row]));
}

/** The variance of the engine is Welford's. */
const momentsSql = (column: string): string =>
  [
    `count(${column}) AS ${column}_count`,
    `avg(${column}) AS ${column}_mean`,
    `var_pop(${column}) * count(${column}) AS ${column}_m2`,
    `min(${column}) AS ${column}_min`,
    `max(${column}) AS ${column}_max`,
  ].join(', ');

function truthOf(version: string, { quality, business }: TruthQuestion, row: Row | undefined): VersionTruth {
  return {
    version,
    rows: numberOf(row?.answered) ?? 0,
    quality: quality === null ? null : momentsOf(row, 'quality'),
    business: business === null ? null : momentsOf(row, 'business'),
  };
}

function momentsOf(row: Row | undefined, column: string): Moments {
  const value = (part: string): number | undefined => numberOf(row?.[`${column}_${part}`]);
  const count = value('count') ?? 0;
  if (count === 0) return emptyMoments();
  return {
    count,
    mean: value('mean') ?? 0,
    m2: Math.max(value('m2') ?? 0, 0),
    min: value('min') ?? null,
    max: value('max') ?? null,
  };
}

const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined;

function moment(text: string, name: string): Date {
  const at = new Date(text);
  if (!Number.isNaN(at.getTime())) return at;
  throw new PerennialError('InputInvalid', `${name}: expected ISO 8601, such as 2026-11-22T10:00:00Z`);
}
