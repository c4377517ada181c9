import { rename, rm, stat } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import type { PredictionsAnswer, PredictionsQuestion } from '../../contracts/prediction-questions.ts';
import { oneSelect } from '../data/join.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { openPredictions } from './prediction-log.ts';
import type { PredictionConfig } from './settings.ts';

const LATEST = 'SELECT * FROM labelled ORDER BY time DESC, request_id, row';
const PART = '.part';

const FORMATS = {
  csv: 'FORMAT csv, HEADER',
  json: 'FORMAT json',
  parquet: 'FORMAT parquet, COMPRESSION zstd',
} as const;

/**
 * Answers one question about an endpoint's predictions: exactly one SELECT, in a database that can read the log, write
 * the file that is asked for, and nothing else.
 *
 * @throws PerennialError `SqlInvalid`, `InputInvalid`
 */
export async function askPredictions(
  config: PredictionConfig,
  { endpoint, since, until, limit, sql, out }: PredictionsQuestion,
  scratchDir: string,
): Promise<PredictionsAnswer> {
  if (out && (await stat(out.path).catch(() => undefined)))
    throw new PerennialError('InputInvalid', `--out: ${out.path} is there already; name a new file`);
  const opened = await openPredictions(config, endpoint, {
    scratchDir,
    ...(since === null ? {} : { since: moment(since, '--since') }),
    ...(until === null ? {} : { until: moment(until, '--until') }),
    alsoPaths: out ? [out.path + PART] : [],
  });
  const { database } = opened;
  const unreadable = opened.unreadable.length;
  try {
    const query = sql === null ? LATEST : await oneSelect(database, sql, '--sql');
    if (!out) {
      const rows = await database.rows(
        `SELECT * FROM (${query}\n) LIMIT ${limit + 1}`,
        'SqlInvalid',
        '--sql',
      );
      const maps = (await database.columns(`(${query}\n)`))
        .filter(({ type }) => type.startsWith('MAP('))
        .map(({ name }) => name);
      const shown = rows
        .slice(0, limit)
        .map((row) => ({ ...row, ...Object.fromEntries(maps.map((name) => [name, objectOf(row[name])])) }));
      return { rows: shown, more: rows.length > limit, unreadable };
    }
    const part = out.path + PART;
    try {
      const { Count } = await database.row(
        `COPY (${query}\n) TO ${quoteLiteral(part)} (${FORMATS[out.format]})`,
        'SqlInvalid',
        '--sql',
      );
      await rename(part, out.path);
      return { written: Number(Count ?? 0), unreadable };
    } finally {
      await rm(part, { force: true });
    }
  } finally {
    await opened.close();
  }
}

/** The engine gives a MAP as a list of its pairs. */
function objectOf(map: unknown): unknown {
  if (!Array.isArray(map)) return map;
  return Object.fromEntries(
    map.map(({ key, value }: { key: unknown; value: unknown }) => [String(key), value]),
  );
}

function moment(text: string, option: string): Date {
  const at = new Date(text);
  if (!Number.isNaN(at.getTime())) return at;
  throw new PerennialError(
    'InputInvalid',
    `${option}: expected ISO 8601, such as 2026-11-22 or 2026-11-22T10:00Z`,
  );
}
