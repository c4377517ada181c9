import { randomUUID } from 'node:crypto';
import { copyFile, link, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Database } from '../duckdb/database.ts';
import { isMissing, orMissing } from '../store/durable-file.ts';
import type { Keyring } from '../store/keyring.ts';
import { openStore } from '../store/open-store.ts';
import { unsealFile } from '../store/sealed-file.ts';
import { openArchive, type PredictionArchive } from './archive.ts';
import { fileName, type LogFile, type LogKind, parseLogFile } from './log-files.ts';
import { counts, dayFolder, liveFiles, readMergedDay } from './merged-days.ts';
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

const DAY = /\/date=(\d{4}-\d\d-\d\d)\//;
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
   * @param database asked for only where there are segments: one takes longer to make than a small log to read
   * @param scratch a folder for what is decrypted; whoever gives it deletes it
   * @param endpoint the only one that is meant: of segments nothing else is read; default: all
   */
  static async open(
    config: PredictionConfig,
    database: () => Promise<Database>,
    scratch: string,
    endpoint?: string,
  ): Promise<LogSources> {
    const sources = await LogSources.archived(config, scratch);
    for (const segment of await segmentFiles(segmentsFolder(config))) {
      const folder = join(scratch, randomUUID());
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // Closed, and so renamed, or archived since it was listed.
      for (const place of [segment.path, segment.path.replace(/\.open$/, '.seg')]) {
        const rolled = await rollSegment(await database(), place, sources.keyring, segment.origin, folder, {
          endpoint,
        })
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

  /** All files of an endpoint that count, predictions before truth. */
  async keys(endpoint: string): Promise<LogFile[]> {
    const files = await this.#live(`${fileName(endpoint)}/`);
    return files.sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  /** Whether a file that was listed is there no longer because its rows are in another one now. */
  async wasMerged(key: string): Promise<boolean> {
    const day = await readMergedDay(this.archive, dayFolder(key), this.scratch);
    return day !== undefined && !counts(key, day);
  }

  /** Whether a file is in the archive and counts. */
  async isLive(key: string): Promise<boolean> {
    return (await this.archive.has(key)) && !(await this.wasMerged(key));
  }

  /** Local, readable Parquet files of an endpoint. */
  async paths(endpoint: string, kind: LogKind, days: DayRange = {}): Promise<string[]> {
    const read = new Map<string, string | null>();
    for (let before = ''; ; ) {
      const files = await this.#live(`${fileName(endpoint)}/${kind}/`, days);
      for (const { key } of files) {
        if (read.has(key)) continue;
        const path = await this.path(key).catch((error: unknown) => {
          this.#leaveOut(key, error);
          return null;
        });
        if (path !== undefined) read.set(key, path);
      }
      const listed = files.map(({ key }) => key).join('\n');
      // A file that was merged while the others were read: its rows are elsewhere now. One that is gone for good stays so.
      if (files.every(({ key }) => read.has(key)) || listed === before)
        return files.flatMap(({ key }) => read.get(key) ?? []);
      before = listed;
    }
  }

  /** A readable local file of one place; `undefined` where there is nothing any more. */
  async path(key: string): Promise<string | undefined> {
    const stored = await this.archive.get(key, join(this.scratch, `${randomUUID()}.stored`));
    if (stored === undefined) return this.#unrolled.get(key);
    const plain = join(this.scratch, `${randomUUID()}.parquet`);
    try {
      if (await isSealed(stored)) await unsealFile(stored, plain, this.keyring);
      // Read later, when its name in the archive may be gone.
      else await link(stored, plain).catch(() => copyFile(stored, plain));
      return plain;
    } catch (error) {
      if (isMissing(error) && !(await this.archive.has(key))) return undefined;
      throw error;
    }
  }

  /** @throws an error that does not lie in what was read */
  #leaveOut(place: string, error: unknown): [] {
    if (!isOfContent(error)) throw error;
    this.unreadable.push(unreadable(place, error));
    return [];
  }

  /** Files that count: archived ones first, then what is only in segments. */
  async #live(prefix: string, { from, to }: DayRange = {}): Promise<LogFile[]> {
    const isMeant = (key: string): boolean => {
      const day = DAY.exec(key)?.[1] ?? '';
      return (from === undefined || day >= from) && (to === undefined || day <= to);
    };
    const listed = new Set<string>();
    for await (const key of this.archive.list(prefix)) if (isMeant(key)) listed.add(key);
    const { files, days } = await liveFiles(this.archive, [...listed], this.scratch);
    for (const key of this.#unrolled.keys())
      if (key.startsWith(prefix) && isMeant(key) && !listed.has(key) && counts(key, days.get(dayFolder(key))))
        files.push(...[parseLogFile(key) ?? []].flat());
    return files;
  }

  /** Archived files first, then what is only in segments; each place once, whether or not it counts. */
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
