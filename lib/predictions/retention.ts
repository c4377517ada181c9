import { rm } from 'node:fs/promises';
import { openArchive } from './archive.ts';
import { parseLogFile } from './log-files.ts';
import { dayFolder, isManifest } from './merged-days.ts';
import { unreadableSegments } from './segments.ts';
import { archiveLocation, DEFAULT_KEEP_MS, type PredictionConfig, segmentsFolder } from './settings.ts';

const DAY_MS = 86_400_000;

/**
 * Deletes the files of days that are over for longer than predictions are kept, and segments that were set aside and
 * last written so long ago.
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
    // The manifest of a day goes with the day.
    const file = parseLogFile(isManifest(key) ? `${dayFolder(key)}manifest.parquet` : key);
    if (!file || Date.parse(file.date) + DAY_MS > asOf - keepMs) continue;
    await archive.remove(key);
    if (!isManifest(key)) removed += 1;
  }
  for (const { path, modifiedAt } of await unreadableSegments(segmentsFolder(config))) {
    if (modifiedAt > asOf - keepMs) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
}
