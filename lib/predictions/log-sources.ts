import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../duckdb/database.ts';
import { orMissing } from '../store/durable-file.ts';
import type { Keyring } from '../store/keyring.ts';
import { openStore } from '../store/open-store.ts';
import { unsealFile } from '../store/sealed-file.ts';
import { openArchive, type PredictionArchive } from './archive.ts';
import { fileName, type LogFile, type LogKind, parseLogFile } from './log-files.ts';
import { rollSegment } from './rolled-segment.ts';
import { isSealed } from './sealed-parquet.ts';
import { segmentFiles, unreadableSegments } from './segments.ts';
import { archiveLocation, type PredictionConfig, segmentsFolder } from './settings.ts';
import { isOfContent, type Unreadable, unreadable } from './unreadable.ts';

/** Days in UTC, both included: `2026-11-22`. */
export interface DayRange {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

const SET_ASIDE = 'it could not be read and was set aside; see docs/prediction-log.md, "What cannot be read"';

/** Everything that is on record, wherever it lies: archived, or still in segments of this data directory. */
export class LogSources {
  /** Segments and files that were left out, since they cannot be read. */
  readonly unreadable: Unreadable[] = [];
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
    const sources = await LogSources.archived(config, scratch);
    for (const segment of await segmentFiles(segmentsFolder(config))) {
      const folder = join(scratch, randomUUID());
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // Closed, and so renamed, or archived since it was listed.
      for (const place of [segment.path, segment.path.replace(/\.open$/, '.seg')]) {
        const rolled = await rollSegment(database, place, sources.keyring, segment.origin, folder)
          .catch(orMissing)
          .catch((error: unknown) => sources.#leaveOut(segment.origin, error));
        for (const { key, path } of rolled ?? []) sources.#unrolled.set(key, path);
        if (rolled) break;
      }
    }
    for (const { origin } of await unreadableSegments(segmentsFolder(config)))
      if (!sources.unreadable.some(({ place }) => place === origin))
        sources.unreadable.push({ place: origin, why: SET_ASIDE });
    return sources;
  }

  /** Only what is archived. */
  static async archived(config: PredictionConfig, scratch: string): Promise<LogSources> {
    const { keyring } = await openStore(config);
    return new LogSources(await openArchive(archiveLocation(config)), keyring, scratch);
  }

  /** Names of endpoints that something, or something of a kind, is on record of. */
  async endpoints(of?: LogKind): Promise<string[]> {
    const names = new Set<string>();
    for await (const { endpoint, kind } of this.#files(''))
      if (of === undefined || kind === of) names.add(endpoint);
    return [...names].sort();
  }

  /** All files of an endpoint, predictions before truth. */
  async keys(endpoint: string): Promise<LogFile[]> {
    const files: LogFile[] = [];
    for await (const file of this.#files(`${fileName(endpoint)}/`)) files.push(file);
    return files.sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  /** Local, readable Parquet files of an endpoint. */
  async paths(endpoint: string, kind: LogKind, days: DayRange = {}): Promise<string[]> {
    const paths: string[] = [];
    for await (const { key, date } of this.#files(`${fileName(endpoint)}/${kind}/`)) {
      if ((days.from !== undefined && date < days.from) || (days.to !== undefined && date > days.to))
        continue;
      const path = await this.path(key).catch((error: unknown) => {
        this.#leaveOut(key, error);
        return undefined;
      });
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

  /** @throws an error that does not lie in what was read */
  #leaveOut(place: string, error: unknown): [] {
    if (!isOfContent(error)) throw error;
    this.unreadable.push(unreadable(place, error));
    return [];
  }

  /** Archived files first, then what is only in segments; each place once. */
  async *#files(prefix: string): AsyncGenerator<LogFile> {
    const seen = new Set<string>();
    for await (const key of this.archive.list(prefix)) {
      const file = seen.has(key) ? undefined : parseLogFile(key);
      if (!file) continue;
      seen.add(key);
      yield file;
    }
    for (const key of this.#unrolled.keys()) {
      const file = key.startsWith(prefix) && !seen.has(key) ? parseLogFile(key) : undefined;
      if (file) yield file;
    }
  }
}
