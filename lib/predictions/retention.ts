import { openArchive } from './archive.ts';
import { parseLogFile } from './log-files.ts';
import { archiveLocation, DEFAULT_KEEP_MS, type PredictionConfig } from './settings.ts';

const DAY_MS = 86_400_000;

/**
 * Deletes the files of days that are over for longer than predictions are kept.
 *
 * @param asOf epoch milliseconds
 * @returns how many files went
 */
export async function removeExpiredPredictions(config: PredictionConfig, asOf: number): Promise<number> {
  const keepMs = config.predictions?.keepMs === undefined ? DEFAULT_KEEP_MS : config.predictions.keepMs;
  if (keepMs === null) return 0;
  const archive = await openArchive(archiveLocation(config));
  let removed = 0;
  for await (const key of archive.list('')) {
    const file = parseLogFile(key);
    if (!file || Date.parse(file.date) + DAY_MS > asOf - keepMs) continue;
    await archive.remove(key);
    removed += 1;
  }
  return removed;
}
