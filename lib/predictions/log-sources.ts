import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../duckdb/database.ts';
import { isMissing } from '../store/durable-file.ts';
import type { Keyring } from '../store/keyring.ts';
import { openStore } from '../store/open-store.ts';
import { unsealFile } from '../store/sealed-file.ts';
import { openArchive, type PredictionArchive } from './archive.ts';
import { fileName, type LogFile, type LogKind, parseLogFile } from './log-files.ts';
import { rollSegment } from './rolled-segment.ts';
import { segmentFiles } from './segments.ts';
import { archiveLocation, type PredictionConfig, segmentsFolder } from './settings.ts';
import { isSealed } from './sealed-parquet.ts';

/** Days in UTC, both included: `2026-11-22`. */
export interface DayRange {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** Everything that is on record, wherever it lies: archived, or still in segments of this data directory. */
export class LogSources {
  /** Of segments, by their place in the archive. */
  readonly #unrolled = new Map<string, string>();

  private constructor(
    readonly archive: PredictionArchive,
    private readonly keyring: Keyring,
    private readonly scratch: string,
  ) {}

  /**
   * Reads the segments; the archive is asked afterwards, so that what is rolled meanwhile is found in either.
   *
   * @param scratch a folder for what is decrypted; whoever gives it deletes it
   */
  static async open(config: PredictionConfig, database: Database, scratch: string): Promise<LogSources> {
    const { keyring } = await openStore(config);
    const archive = await openArchive(archiveLocation(config));
    const sources = new LogSources(archive, keyring, scratch);
    for (const segment of await segmentFiles(segmentsFolder(config))) {
      const folder = await sources.#newFolder();
      try {
        for (const { key, path } of await rollSegment(
          database,
          segment.path,
          keyring,
          segment.origin,
          folder,
        ))
          sources.#unrolled.set(key, path);
      } catch (error) {
        // Rolled, or closed under another name, since it was listed.
        if (!isMissing(error)) throw error;
        const closed = segment.path.replace(/\.open$/, '.seg');
        if (closed === segment.path) continue;
        for (const { key, path } of await rollSegment(
          database,
          closed,
          keyring,
          segment.origin,
          folder,
        ).catch(unlessMissing))
          sources.#unrolled.set(key, path);
      }
    }
    return sources;
  }

  /** Names of endpoints that something is on record of. */
  async endpoints(): Promise<string[]> {
    const names = new Set<string>();
    for await (const { endpoint } of this.#files('')) names.add(endpoint);
    return [...names].sort();
  }

  /** Local, readable Parquet files of an endpoint. */
  async paths(endpoint: string, kind: LogKind, days: DayRange = {}): Promise<string[]> {
    const paths: string[] = [];
    for await (const { key, date } of this.#files(`${fileName(endpoint)}/${kind}/`)) {
      if ((days.from !== undefined && date < days.from) || (days.to !== undefined && date > days.to))
        continue;
      const path = await this.path(key);
      if (path !== undefined) paths.push(path);
    }
    return paths;
  }

  /** A readable local file of one place; `undefined` where there is nothing any more. */
  async path(key: string): Promise<string | undefined> {
    const stored = await this.archive.get(key, join(this.scratch, `${randomUUID()}.stored`));
    if (stored === undefined) return this.#unrolled.get(key);
    if (!(await isSealed(stored))) return stored;
    const plain = join(this.scratch, `${randomUUID()}.parquet`);
    await unsealFile(stored, plain, this.keyring);
    return plain;
  }

  /** Archived files first, then what is only in segments; each place once. */
  async *#files(prefix: string): AsyncGenerator<LogFile> {
    const seen = new Set<string>();
    for await (const key of this.archive.list(prefix)) {
      const file = parseLogFile(key);
      if (!file) continue;
      seen.add(key);
      yield file;
    }
    for (const key of this.#unrolled.keys()) {
      const file = key.startsWith(prefix) && !seen.has(key) ? parseLogFile(key) : undefined;
      if (file) yield file;
    }
  }

  async #newFolder(): Promise<string> {
    const folder = join(this.scratch, randomUUID());
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return folder;
  }
}

function unlessMissing(error: unknown): [] {
  if (isMissing(error)) return [];
  throw error;
}
