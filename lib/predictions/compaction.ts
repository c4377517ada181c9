import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { unlessErasing } from '../erasure/open-plan.ts';
import { ownScratch } from '../scratch.ts';
import { openStore } from '../store/open-store.ts';
import { sealFile } from '../store/sealed-file.ts';
import { parseLogFile } from './log-files.ts';
import { logKey } from './log-key.ts';
import { LogSources } from './log-sources.ts';
import {
  counts,
  dayFolder,
  isManifest,
  manifestKey,
  manifestText,
  mergedName,
  originOf,
  readMergedDay,
} from './merged-days.ts';
import type { PredictionConfig } from './settings.ts';
import { isOfContent } from './unreadable.ts';

const DAY_MS = 86_400_000;
/** Days that ended so long ago: nearly all that belongs to them is archived. */
const SETTLED_MS = 2 * DAY_MS;
const MEMORY = '512MB';

/** Where a compaction stands; after each of them it may be killed. */
export type CompactionStep = 'read' | 'merged' | 'committed' | 'removed';

/** Options of {@link compactPredictions}. */
export interface CompactionOptions {
  /** Epoch milliseconds: days that ended two days before it are merged. */
  readonly asOf: number;
  /** Memory of the database; default 512 MB. */
  readonly memoryLimit?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told of each step. */
  readonly onStep?: (step: CompactionStep) => void;
}

/** What a compaction did. */
export interface CompactionResult {
  /** Days, of an endpoint and a kind each, whose files were merged. */
  days: number;
  /** Files that were merged. */
  files: number;
  /** Whether an erasure, or another compaction, is at it: the rest is left to the next time. */
  stopped: boolean;
}

/**
 * Merges the archived files of each day into one, of days that ended two days ago: a window of many days opens some
 * files instead of thousands. Rows, their order and encryption stay as they are; columns that only some versions have
 * are NULL in the others' rows, as the views have them. Files that come later are merged with the next time.
 *
 * Crash-safe: the merged file counts, and its parts do not, from the moment on at which the manifest of the day is there,
 * which is written in one step. What a killed compaction leaves counts for nobody, and goes with the next one. A segment
 * of a part that is archived again finds its name in the manifest. Readers that listed the parts look again where one
 * has gone. No erasure runs meanwhile: it would write a part anew whose rows were read already.
 *
 * @throws PerennialError `KeyringInvalid`, `StoreUnavailable`, `StageFailed` where rows would be lost
 * @example await compactPredictions(configFromEnv(process.env), { asOf: Date.now() });
 */
export async function compactPredictions(
  config: PredictionConfig,
  options: CompactionOptions,
): Promise<CompactionResult> {
  const { asOf, signal } = options;
  const store = await openStore(config);
  const scratch = join(await ownScratch(config.dataDir), `compact-${randomUUID()}`);
  await mkdir(scratch, { mode: 0o700 });
  const result: CompactionResult = { days: 0, files: 0, stopped: false };
  try {
    const sources = await LogSources.archived(config, scratch);
    for (const folder of await settledDays(sources, asOf)) {
      signal?.throwIfAborted();
      const own = join(scratch, randomUUID());
      await mkdir(own, { mode: 0o700 });
      const done = await unlessErasing(store, async (isOurs) => {
        const files = await mergedDay(config, folder, { ...options, isOurs, scratch: own });
        if (files > 0) result.days += 1;
        result.files += files;
      });
      await rm(own, { recursive: true, force: true });
      if (!done) return { ...result, stopped: true };
    }
    return result;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Folders of days that are over and have something to merge or to take away. */
async function settledDays(sources: LogSources, asOf: number): Promise<string[]> {
  const files = new Map<string, number>();
  for await (const key of sources.archive.list('')) {
    const file = parseLogFile(key);
    if (file && Date.parse(file.date) + DAY_MS + SETTLED_MS <= asOf)
      files.set(dayFolder(key), (files.get(dayFolder(key)) ?? 0) + 1);
  }
  // One file is the merged one, or a part that is alone.
  return [...files].filter(([, count]) => count > 1).map(([folder]) => folder);
}

interface Merging extends CompactionOptions {
  readonly isOurs: () => Promise<boolean>;
  readonly scratch: string;
}

/** @returns how many files were merged */
async function mergedDay(config: PredictionConfig, folder: string, merging: Merging): Promise<number> {
  const { scratch, signal, isOurs, onStep } = merging;
  const store = await openStore(config);
  const sources = await LogSources.archived(config, scratch);
  const { archive } = sources;
  const listed: string[] = [];
  for await (const key of archive.list(folder)) if (!listed.includes(key)) listed.push(key);
  const day = await readMergedDay(archive, folder, scratch);
  const live = listed.filter((key) => parseLogFile(key) && counts(key, day)).sort();
  // What a killed one left.
  for (const key of listed)
    if (!isManifest(key) && parseLogFile(key) && !live.includes(key)) await archive.remove(key);
  const parts = await readable(sources, live);
  if (parts.length < 2) return 0;
  onStep?.('read');
  const path = join(scratch, 'merged.parquet');
  await merge(
    parts.map((part) => part.path),
    path,
    merging,
  );
  const sealing = await logKey(config, store.keyring);
  const sealed = sealing === undefined ? path : `${path}.sealed`;
  if (sealing !== undefined) await sealFile(path, sealed, store.keyring);
  const file = mergedName(randomUUID());
  await archive.put(folder + file, sealed);
  onStep?.('merged');
  signal?.throwIfAborted();
  // Somebody took it for abandoned: what was read may have been written anew since.
  if (!(await isOurs())) {
    await archive.remove(folder + file);
    return 0;
  }
  const manifest = join(scratch, 'manifest.json');
  const origins = new Set([
    ...(day?.origins ?? []),
    ...parts
      .map(({ key }) => key)
      .filter((key) => !isFile(key, day))
      .map(originOf),
  ]);
  await writeFile(manifest, manifestText({ schemaVersion: 1, file, origins: [...origins] }), { mode: 0o600 });
  await archive.put(manifestKey(folder), manifest);
  onStep?.('committed');
  for (const { key } of parts) {
    await archive.remove(key);
    onStep?.('removed');
  }
  return parts.length;
}

/** Whether it is the file that was merged before. */
const isFile = (key: string, day: { file: string } | undefined): boolean =>
  day !== undefined && key.endsWith(`/${day.file}`);

/** What cannot be read stays as it is: it may be mended. */
async function readable(
  sources: LogSources,
  keys: readonly string[],
): Promise<{ key: string; path: string }[]> {
  const parts: { key: string; path: string }[] = [];
  for (const key of keys) {
    const path = await sources.path(key).catch((error: unknown) => {
      if (!isOfContent(error)) throw error;
      return undefined;
    });
    if (path !== undefined) parts.push({ key, path });
  }
  return parts;
}

async function merge(
  paths: readonly string[],
  target: string,
  { scratch, memoryLimit = MEMORY, signal }: Merging,
): Promise<void> {
  const database = await Database.create({ tempDir: join(scratch, 'spill'), memoryLimit, signal });
  try {
    const list = `[${paths.map(quoteLiteral).join(', ')}]`;
    const { count } = await database.row(`SELECT sum(num_rows) AS count FROM parquet_file_metadata(${list})`);
    // The engine writes the rows of a list of files in the order of the files and in their own.
    const rows = await database.copyToParquet(
      `SELECT * FROM read_parquet(${list}, union_by_name = true, hive_partitioning = false)`,
      target,
    );
    if (rows !== Number(count))
      throw new PerennialError(
        'StageFailed',
        `Of ${Number(count)} rows of a day of the prediction log ${rows} were merged; its files stay as they are.`,
        true,
      );
  } finally {
    database.close();
  }
}
