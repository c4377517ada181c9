import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Database, type DatabaseOptions } from '../duckdb/database.ts';
import { LogSources } from './log-sources.ts';
import { createLogViews } from './log-views.ts';
import type { PredictionConfig } from './settings.ts';
import type { Unreadable } from './unreadable.ts';

/** What {@link openPredictions} reads. */
export interface PredictionsQuery {
  /** Predictions from this moment on; default: all that are kept. Files of other days are not opened. */
  readonly since?: Date | undefined;
  /** Predictions before this moment; default: up to now. */
  readonly until?: Date | undefined;
  /** The longest time from a prediction to the truth about its entity, in milliseconds; default 90 days. */
  readonly horizonMs?: number | undefined;
  /** A folder for what is decrypted and for what does not fit into memory; used in part, and left clean. */
  readonly scratchDir: string;
  /** Memory of the database; default `1GB`. */
  readonly memoryLimit?: string | undefined;
  /** Further files that the database may read, such as a reference to compare with. */
  readonly alsoPaths?: readonly string[] | undefined;
  /** Aborting interrupts what the database is asked. */
  readonly signal?: AbortSignal | undefined;
}

/** What is on record of one endpoint, as views of a database that can read nothing else. */
export interface OpenPredictions {
  /** With the views `predictions`, `truth` and `labelled`; see docs/prediction-log.md. */
  readonly database: Database;
  /** Parquet files that the views read. */
  readonly files: number;
  /** What is left out, of any endpoint where it is a segment: it cannot be read. */
  readonly unreadable: readonly Unreadable[];
  close(): Promise<void>;
}

const HORIZON_MS = 90 * 86_400_000;

const dayOf = (at: Date): string => at.toISOString().slice(0, 10);

/**
 * Opens the prediction log of one endpoint: what is archived by any server, and what this data directory's servers have
 * not archived yet. What cannot be read is left out and named.
 *
 * @throws PerennialError `KeyringInvalid` where there is no keyring to be had, `StoreUnavailable`
 * @example
 * const log = await openPredictions(config, 'churn', { since, scratchDir });
 * try { await log.database.rows('SELECT version, count(*) AS n FROM predictions GROUP BY version'); }
 * finally { await log.close(); }
 */
export async function openPredictions(
  config: PredictionConfig,
  endpoint: string,
  query: PredictionsQuery,
): Promise<OpenPredictions> {
  const { since, until, horizonMs = HORIZON_MS, memoryLimit, alsoPaths = [], signal } = query;
  const scratch = join(query.scratchDir, `predictions-${randomUUID()}`);
  await mkdir(scratch, { recursive: true, mode: 0o700 });
  const discard = (): Promise<void> => rm(scratch, { recursive: true, force: true });
  try {
    const spill = join(scratch, 'spill');
    const files = await withDatabase({ tempDir: spill, memoryLimit, signal }, async (database) => {
      const sources = await LogSources.open(config, database, scratch, endpoint);
      const from = since && dayOf(since);
      const to = until && dayOf(until);
      const last = until && dayOf(new Date(until.getTime() + horizonMs));
      const all = await sources.paths(endpoint, 'predictions', { from, to });
      return {
        predictions: all,
        later:
          to === undefined
            ? []
            : await sources.paths(endpoint, 'predictions', { from: nextDay(to), to: last }),
        truth: await sources.paths(endpoint, 'truth', { from }),
        unreadable: sources.unreadable,
      };
    });
    const paths = [...files.predictions, ...files.later, ...files.truth];
    const database = await Database.create({
      tempDir: spill,
      memoryLimit,
      onlyPaths: [...paths, ...alsoPaths, spill],
      signal,
    });
    const close = async (): Promise<void> => {
      database.close();
      await discard();
    };
    try {
      await createLogViews(database, files, { since, until, horizonMs });
      return { database, files: paths.length, unreadable: files.unreadable, close };
    } catch (error) {
      database.close();
      throw error;
    }
  } catch (error) {
    await discard();
    throw error;
  }
}

const nextDay = (day: string): string => dayOf(new Date(Date.parse(day) + 86_400_000));

/** Gives work a database that is made when it is asked for. */
async function withDatabase<T>(
  options: DatabaseOptions,
  work: (database: () => Promise<Database>) => Promise<T>,
): Promise<T> {
  let made: Promise<Database> | undefined;
  try {
    return await work(() => {
      made ??= Database.create(options);
      return made;
    });
  } finally {
    (await made)?.close();
  }
}
