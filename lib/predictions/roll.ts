import { randomUUID } from 'node:crypto';
import { mkdir, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Database } from '../duckdb/database.ts';
import { ownScratch } from '../scratch.ts';
import { whileLocked } from '../store/document-lock.ts';
import { isMissing } from '../store/durable-file.ts';
import type { Keyring } from '../store/keyring.ts';
import { openStore } from '../store/open-store.ts';
import { sealFile } from '../store/sealed-file.ts';
import type { BlobKey } from '../store/sealed-format.ts';
import { openArchive, type PredictionArchive } from './archive.ts';
import { logKey } from './log-key.ts';
import { counts, dayFolder, readMergedDay } from './merged-days.ts';
import { type RolledFile, rollSegment } from './rolled-segment.ts';
import { closedSegments, type SegmentFile, setAside } from './segments.ts';
import { archiveLocation, type PredictionConfig, segmentsFolder } from './settings.ts';
import { isOfContent, type Unreadable, unreadable } from './unreadable.ts';

/** What a roll did. */
export interface RollResult {
  segments: number;
  files: number;
  rows: number;
  /** Segments that cannot be read; they were set aside, and keep their bytes. */
  unreadable: Unreadable[];
}

const LOCK_BEAT_MS = 10_000;
/** Segments are read block by block; a group of wide rows has to fit. */
const MEMORY = '512MB';

/**
 * Turns closed segments into Parquet files of the archive, encrypted where there is a keyring. A segment is deleted when
 * all of its files are there for good. Whoever is killed in between leaves the segment: the next roll gives its files
 * the same names, and leaves those that are there as they are, since an erasure may have rewritten them. A segment that
 * cannot be read, or only now, keeps no other one from being rolled.
 *
 * @throws PerennialError `KeyringInvalid`, `StoreUnavailable` (somebody else is at it, or the archive is away)
 * @example await rollSegments(configFromEnv(process.env));
 */
export async function rollSegments(config: PredictionConfig, signal?: AbortSignal): Promise<RollResult> {
  const result: RollResult = { segments: 0, files: 0, rows: 0, unreadable: [] };
  const folder = segmentsFolder(config);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await alone(join(folder, 'roll.lock'), async () => {
    const segments = await closedSegments(folder);
    if (segments.length === 0) return;
    const { keyring } = await openStore(config);
    const key = await logKey(config, keyring);
    const archive = await openArchive(archiveLocation(config));
    const scratch = join(await ownScratch(config.dataDir), `roll-${randomUUID()}`);
    await mkdir(scratch, { mode: 0o700 });
    const database = await Database.create({ tempDir: join(scratch, 'spill'), memoryLimit: MEMORY, signal });
    const failures: unknown[] = [];
    try {
      for (const segment of segments) {
        signal?.throwIfAborted();
        const files = await filesOf(segment, { database, keyring, scratch, signal }, result).catch(
          (error) => {
            signal?.throwIfAborted();
            failures.push(error);
          },
        );
        if (files) await archived(segment, files, { keyring, key, archive, scratch }, result);
      }
    } finally {
      database.close();
      await rm(scratch, { recursive: true, force: true });
    }
    if (failures.length > 0) throw failures[0];
  });
  return result;
}

interface Reading {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly scratch: string;
  readonly signal: AbortSignal | undefined;
}

/** The Parquet files of a segment; none of one that was set aside, or is not there any more. */
async function filesOf(
  segment: SegmentFile,
  { database, keyring, scratch, signal }: Reading,
  result: RollResult,
): Promise<RolledFile[] | undefined> {
  try {
    return await rollSegment(database, segment.path, keyring, segment.origin, scratch, { signal });
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (!isOfContent(error)) throw error;
    await setAside(segment);
    result.unreadable.push(unreadable(segment.origin, error));
    return undefined;
  }
}

interface Archiving {
  readonly keyring: Keyring;
  readonly key: BlobKey | undefined;
  readonly archive: PredictionArchive;
  readonly scratch: string;
}

/** Puts the files of a segment into the archive, and deletes it. */
async function archived(
  segment: SegmentFile,
  files: readonly RolledFile[],
  archiving: Archiving,
  result: RollResult,
): Promise<void> {
  for (const { key, path, rows } of files) {
    if (!(await isArchived(key, archiving))) {
      await archiving.archive.put(key, await sealed(path, archiving));
      result.files += 1;
      result.rows += rows;
    }
    await rm(path, { force: true });
  }
  await rm(segment.path, { force: true });
  result.segments += 1;
}

/** Also where its rows are in the file of a whole day by now. The part goes after the manifest comes: it is asked first. */
async function isArchived(key: string, { archive, scratch }: Archiving): Promise<boolean> {
  if (await archive.has(key)) return true;
  const day = await readMergedDay(archive, dayFolder(key), scratch);
  return day !== undefined && !counts(key, day);
}

/** The file as it goes into the archive. */
async function sealed(path: string, { key, keyring }: Archiving): Promise<string> {
  if (key === undefined) return path;
  const target = `${path}.sealed`;
  await sealFile(path, target, keyring);
  return target;
}

/** Work that only one process of this data directory does at a time; the lock says all the while that it is held. */
export async function alone<T>(lock: string, work: () => Promise<T>): Promise<T> {
  return whileLocked(lock, async () => {
    const beat = setInterval(() => {
      const now = new Date();
      utimes(lock, now, now).catch(() => undefined);
    }, LOCK_BEAT_MS);
    try {
      return await work();
    } finally {
      clearInterval(beat);
    }
  });
}
