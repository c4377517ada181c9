import { openPredictions } from '../predictions/prediction-log.ts';
import type { PredictionConfig } from '../predictions/settings.ts';

/** Rows that somebody was answered with: copies for shadows answered nobody. */
export const ANSWERED = "role <> 'shadow'";

/**
 * Looks in the prediction log for where windows of `rows` rows begin: the first row from `since` on, then the row after
 * each `rows` rows.
 *
 * @param question.limit how many windows at the most
 * @returns ISO 8601, the earliest first, one more than windows; rows of one moment are never in two windows
 * @throws PerennialError `KeyringInvalid`, `StoreUnavailable`
 */
export async function windowStarts(
  config: PredictionConfig,
  endpoint: string,
  question: { since: string; before: string; rows: number; limit: number },
  surroundings: { scratchDir: string; memoryLimit?: string | undefined },
): Promise<string[]> {
  const { since, before, rows, limit } = question;
  const log = await openPredictions(config, endpoint, {
    since: new Date(since),
    until: new Date(before),
    ...surroundings,
  });
  try {
    const found = await log.database.rows(
      `WITH moments AS (
         SELECT time, count(*) AS n FROM predictions WHERE ${ANSWERED} GROUP BY time
       ), counted AS (
         SELECT time, sum(n) OVER (ORDER BY time) - n AS earlier, n FROM moments
       )
       SELECT min(time) AS start FROM counted
       GROUP BY earlier // ${rows} ORDER BY 1 LIMIT ${limit + 1}`,
    );
    return found.flatMap(({ start }) => (start instanceof Date ? [start.toISOString()] : []));
  } finally {
    await log.close();
  }
}
