import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
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
import { rollSegment } from './rolled-segment.ts';
import { closedSegments, type SegmentFile } from './segments.ts';
import { archiveLocation, type PredictionConfig, segmentsFolder } from './settings.ts';

/** What a roll did. */
export interface RollResult {
  segments: number;
  files: number;
  rows: number;
  /** Segments that cannot be read; they were set aside, and keep their bytes. */
  unreadable: string[];
}

const LOCK_BEAT_MS = 10_000;
/** Segments are read block by block; a group of wide rows has to fit. */
const MEMORY = '512MB';

/**
 * Turns closed segments into Parquet files of the archive, encrypted where there is a keyring. A segment is deleted when
 * all of its files are there for good. Whoever is killed in between leaves the segment: the next roll gives its files
 * the same names, and leaves those that are there as they are, since an erasure may have rewritten them.
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
    const database = await Database.create({ tempDir: join(scratch, 'spill'), memoryLimit: MEMORY });
    try {
      for (const segment of segments) {
        signal?.throwIfAborted();
        await rollOne(segment, { database, keyring, key, archive, scratch }, result);
      }
    } finally {
      database.close();
      await rm(scratch, { recursive: true, force: true });
    }
  });
  return result;
}

interface Rolling {
  readonly database: Database;
  readonly keyring: Keyring;
  readonly key: BlobKey | undefined;
  readonly archive: PredictionArchive;
  readonly scratch: string;
}

async function rollOne(segment: SegmentFile, rolling: Rolling, result: RollResult): Promise<void> {
  const { database, keyring, archive, scratch } = rolling;
  try {
    for (const { key, path, rows } of await rollSegment(
      database,
      segment.path,
      keyring,
      segment.origin,
      scratch,
    )) {
      if (!(await archive.has(key))) {
        await archive.put(key, await sealed(path, rolling));
        result.files += 1;
        result.rows += rows;
      }
      await rm(path, { force: true });
    }
    await rm(segment.path, { force: true });
    result.segments += 1;
  } catch (error) {
    if (isMissing(error)) return;
    if (!(error instanceof PerennialError) || error.code !== 'ArtifactCorrupt') throw error;
    await rename(segment.path, `${segment.path}.unreadable`);
    result.unreadable.push(segment.origin);
  }
}

/** The file as it goes into the archive. */
async function sealed(path: string, { key, keyring }: Rolling): Promise<string> {
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
