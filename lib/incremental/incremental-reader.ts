import { durationMs } from '../../contracts/durations.ts';
import type { Watermark } from '../../contracts/incremental.ts';
import type { Source } from '../../contracts/spec/sources.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import type { WithoutSuppressed } from '../erasure/suppressed-rows.ts';
import { acquireSource } from '../sources/acquire.ts';
import { findFiles } from '../sources/files.ts';
import { checkHeader } from '../sources/header.ts';
import { acquirePostgresFrom } from '../sources/postgres/postgres.ts';
import { listS3 } from '../sources/s3/s3.ts';
import type { AcquiredSource, SourceOptions } from '../sources/source.ts';
import { readTyped } from '../sources/typed-reading.ts';
import { sha256OfFile } from '../store/digest.ts';
import type { IncrementBy, SourceFile, SourceRows } from './take-increment.ts';
import { postgresCondition } from './watermark-column.ts';

/** Leaves people who were erased out of a source's rows: see `withoutSuppressed`. */
export type LeaveOut = (name: string, relation: string, target: string) => Promise<WithoutSuppressed>;

/** What {@link IncrementalReader} works with. */
export interface ReaderContext {
  database: Database;
  /** What the worker allows; its scratch folder is used. */
  options: SourceOptions;
  /** Left out, nobody is. */
  without?: LeaveOut;
}

/** Reads those parts of a source that {@link takeIncrement} asks for. */
export class IncrementalReader {
  origin = '';
  /** Rows of people who were erased, in what was read. */
  suppressed = 0;
  #count = 0;

  constructor(
    private readonly context: ReaderContext,
    private readonly name: string,
    private readonly source: Source,
  ) {}

  byWatermark({ watermark, lateness }: { watermark: string; lateness?: string | undefined }): IncrementBy {
    return {
      watermark,
      latenessMs: lateness === undefined ? undefined : durationMs(lateness),
      read: (bound: Watermark | null) => this.#above(watermark, bound),
    };
  }

  /** The files that the source has now, by name and content. */
  async files(): Promise<SourceFile[]> {
    const { database, options } = this.context;
    const { name, source } = this;
    if ('s3' in source) {
      this.origin = source.s3;
      const objects = await listS3(name, source, options);
      return objects.map(({ key, etag, bytes }) => ({ path: key, identity: `${etag} ${bytes}`, local: key }));
    }
    if (!('path' in source)) return [];
    this.origin = source.path;
    const found = await findFiles(database, name, source, options);
    const files: SourceFile[] = [];
    for (const file of found.files)
      files.push({ path: file, identity: `sha256:${await sha256OfFile(file)}`, local: file });
    return files;
  }

  /** The rows of some of the files, types found over all of them. */
  async newFiles(files: readonly SourceFile[]): Promise<SourceRows> {
    const { database, options } = this.context;
    const parts: AcquiredSource[] = [];
    for (const { local } of files) {
      const scratchDir = `${options.scratchDir}/source-${this.name}/part-${parts.length}`;
      parts.push(await acquireSource(database, this.name, this.#only(local), { ...options, scratchDir }));
    }
    const [first] = parts;
    if (!first) return { relation: '(SELECT 1 WHERE false)' };
    const verify = async (): Promise<void> => {
      for (const part of parts) await part.verify?.();
    };
    return this.#table(this.source, { ...first, files: parts.flatMap((part) => part.files), verify });
  }

  /** The source with one of its files. */
  #only(local: string): Source {
    const { source } = this;
    const pattern = 's3' in source ? source.s3.replace(/^s3:\/\/[^/]+\//, '') : this.origin;
    if ('s3' in source)
      return {
        ...source,
        s3: `${source.s3.slice(0, source.s3.length - pattern.length)}${local}`,
        hivePartitioning: isPartition(source.hivePartitioning, pattern, local),
      };
    if (!('path' in source)) return source;
    return {
      ...source,
      path: local,
      hivePartitioning: isPartition(source.hivePartitioning, pattern, local),
    };
  }

  /** All rows, or of PostgreSQL those from the bound on. */
  async #above(column: string, bound: Watermark | null): Promise<SourceRows> {
    const { source } = this;
    if (bound === null || !('postgres' in source)) return this.#whole(source);
    const { database, options } = this.context;
    const from = { column, condition: postgresCondition(column, bound) };
    const folder = { ...options, scratchDir: `${options.scratchDir}/source-${this.name}` };
    const { acquired, below } = await acquirePostgresFrom(database, this.name, source, from, folder);
    return { ...(await this.#table(source, acquired)), below };
  }

  async #whole(source: Source): Promise<SourceRows> {
    const acquired = await acquireSource(this.context.database, this.name, source, this.context.options);
    return this.#table(source, acquired);
  }

  /** Acquired content as one Parquet file in the scratch folder: it is looked at several times. */
  async #table(source: Source, acquired: AcquiredSource): Promise<SourceRows> {
    const { database, options, without } = this.context;
    if (this.origin === '') this.origin = acquired.origin;
    const path = `${options.scratchDir}/${this.name}.read-${this.#count++}.parquet`;
    await checkHeader(database, this.name, source, acquired);
    await readTyped(database, this.name, source, acquired, (query) =>
      database.copyToParquet(query, path, 'SourceUnreadable', `source ${this.name}`),
    );
    await acquired.verify?.();
    const relation = `read_parquet(${quoteLiteral(path)})`;
    const others = await without?.(this.name, relation, `${path}.kept`);
    this.suppressed += others?.suppressed ?? 0;
    return { relation: others?.path ? `read_parquet(${quoteLiteral(others.path)})` : relation };
  }
}

/** Whether folders such as `year=2024` that a glob went through are columns, as they are where all files are read. */
function isPartition(setting: boolean | 'auto', pattern: string, file: string): boolean {
  if (setting !== 'auto') return setting;
  const fixed = /^[^*?[{]*\//.exec(pattern)?.[0] ?? '';
  const below = file.slice(Math.max(0, file.indexOf(fixed)) + fixed.length);
  return /[*?[{]/.test(pattern) && /(^|\/)[^/=]+=[^/]+\//.test(below);
}
