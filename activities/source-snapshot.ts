import { rm } from 'node:fs/promises';
import { activityInfo } from '@temporalio/activity';
import { durationMs } from '../contracts/durations.ts';
import type { Watermark } from '../contracts/incremental.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import { kindOf, type PostgresSource, type Source } from '../contracts/spec/sources.ts';
import type { IngestOutput } from '../contracts/stages.ts';
import type { Database } from '../lib/duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../lib/duckdb/sql.ts';
import type { WithoutSuppressed } from '../lib/erasure/suppressed-rows.ts';
import { acquireEvents } from '../lib/events/acquire.ts';
import {
  pinnedSnapshot,
  recordSnapshot,
  snapshotFiles,
  snapshotRelation,
} from '../lib/incremental/snapshots.ts';
import {
  type IncrementBy,
  type SourceFile,
  type SourceRows,
  takeIncrement,
} from '../lib/incremental/take-increment.ts';
import { postgresCondition } from '../lib/incremental/watermark-column.ts';
import type { PersonalColumns } from '../lib/privacy/personal-columns.ts';
import { acquireSource } from '../lib/sources/acquire.ts';
import { findFiles } from '../lib/sources/files.ts';
import { checkHeader } from '../lib/sources/header.ts';
import { readQuery } from '../lib/sources/read-query.ts';
import { listS3 } from '../lib/sources/s3/s3.ts';
import { snapshotSource } from '../lib/sources/snapshot.ts';
import type { AcquiredSource, SourceOptions } from '../lib/sources/source.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { sha256OfFile } from '../lib/store/digest.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { readEventLog } from './event-log.ts';

/** What {@link takeSource} works with. */
export interface TakeContext {
  database: Database;
  /** One that decrypts, and encrypts what it is to encrypt: `store.within(scratchDir, { encrypt })`. */
  store: ArtifactStore;
  /** What the worker allows; its scratch folder is used. */
  options: SourceOptions;
  /** Looks for personal columns, whose tables are encrypted at rest; left out, nothing is looked for. */
  personal?: PersonalColumns;
  /** Leaves out people who were erased: see `withoutSuppressed`; left out, nobody is. */
  without?: (name: string, relation: string, target: string) => Promise<WithoutSuppressed>;
}

/** A source as a run has it; its snapshot is one Parquet file, or the manifest of several: see `snapshotFiles`. */
export type TakenSource = Omit<IngestOutput['sources'][number], 'name'>;

/** The run that an activity works for: all its attempts are the same one. */
export const runOfActivity = (): string => {
  const { workflowExecution } = activityInfo();
  return `${workflowExecution?.workflowId}/${workflowExecution?.runId}`;
};

/** Reads event logs for `acquireSource`. */
export const eventReader =
  (deps: ActivityDependencies, { database, store }: Pick<TakeContext, 'database' | 'store'>) =>
  async (name: string, source: Extract<Source, { events: string }>, options: SourceOptions) =>
    acquireEvents(database, name, source, await readEventLog(deps, source.events), store, options.scratchDir);

/**
 * Takes a source's snapshot for a run: the one that it is pinned to, all of it, or all that was ever taken of it with
 * what is new. Every snapshot is written down, so that a later run can be pinned to it.
 *
 * @param run see {@link runOfActivity}: an incremental source is taken once for a run, however many attempts it has
 * @throws PerennialError as `acquireSource`, `snapshotSource` and `takeIncrement`
 */
export async function takeSource(
  context: TakeContext,
  pipeline: string,
  run: string,
  name: string,
  source: Source,
): Promise<TakenSource & { identity: string | null }> {
  try {
    return await taken(context, pipeline, run, name, source);
  } catch (error) {
    // Not only what is acquired may speak of an address: listing, checking and reading do, too.
    throw context.options.secrets.hide(error);
  }
}

async function taken(
  context: TakeContext,
  pipeline: string,
  run: string,
  name: string,
  source: Source,
): Promise<TakenSource & { identity: string | null }> {
  const { database, store, options, personal, without } = context;
  if (source.pin !== undefined)
    return { ...(await takePinned(context, name, source, source.pin)), identity: null };
  const folder = `${options.scratchDir}/source-${name}`;
  try {
    if (source.incremental === undefined) {
      const acquired = await acquireSource(database, name, source, options);
      const scratch = `${options.scratchDir}/${name}.parquet`;
      const { suppressed, ...snapshot } = await snapshotSource(
        database,
        name,
        source,
        acquired,
        store,
        scratch,
        personal,
        without && ((relation) => without(name, relation, `${scratch}.kept`)),
      );
      await recordSnapshot(store.documents, snapshot);
      const { kind, origin, sha256: sourceSha256, identity } = acquired;
      return { kind, origin, snapshot, sourceSha256, identity, ...(suppressed ? { suppressed } : {}) };
    }
    const reader = new IncrementalReader(context, name, source);
    const { scratchDir } = options;
    const { snapshot, report } = await takeIncrement(
      // What new rows may hold that the earlier ones did not is not asked each time: they are always encrypted.
      { database, store: personal ? store.within(scratchDir, { encrypt: true }) : store, scratchDir },
      { pipeline, source: name, run },
      'newFiles' in source.incremental
        ? { newFiles: await reader.files(), read: (files: readonly SourceFile[]) => reader.newFiles(files) }
        : reader.byWatermark(source.incremental),
    );
    await recordSnapshot(store.documents, snapshot);
    return {
      kind: kindOf(source),
      origin: reader.origin,
      snapshot,
      sourceSha256: snapshot.artifact.sha256,
      identity: null,
      increment: report,
      ...(reader.suppressed > 0 ? { suppressed: reader.suppressed } : {}),
    };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** An earlier snapshot, without the people who were erased since, also where it was taken for a pipeline without a subject. */
async function takePinned(
  { store, options, without }: TakeContext,
  name: string,
  source: Source,
  pin: string,
): Promise<TakenSource> {
  const taken = { kind: kindOf(source), origin: `pinned to ${pin}`, sourceSha256: pin };
  const snapshot = await pinnedSnapshot(store, name, pin);
  const relation = snapshotRelation(await snapshotFiles(store, snapshot));
  const kept = await without?.(name, relation, `${options.scratchDir}/${name}.pinned.parquet`);
  if (!kept?.path) return { ...taken, snapshot };
  const rows = snapshot.rows - kept.suppressed;
  const artifact = await store.putFile(kept.path, MEDIA_TYPES.parquet, { encrypt: true });
  const { columns } = snapshot;
  return { ...taken, snapshot: { artifact, rows, columns }, suppressed: kept.suppressed };
}

/** Reads those parts of a source that {@link takeIncrement} asks for. */
class IncrementalReader {
  origin = '';
  /** Rows of people who were erased, in what was read. */
  suppressed = 0;
  #count = 0;

  constructor(
    private readonly context: TakeContext,
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
    const condition = postgresCondition(column, bound);
    const rows = await this.#whole(narrowed(source, '*', condition));
    const below = await this.#whole(narrowed(source, 'count(*) AS rows', `NOT (${condition})`));
    const { rows: rowsBelow } = await this.context.database.row(`SELECT rows FROM ${below.relation}`);
    return { ...rows, rowsBelow: Number(rowsBelow) };
  }

  async #whole(source: Source): Promise<SourceRows> {
    const acquired = await acquireSource(this.context.database, this.name, source, this.context.options);
    if (this.origin === '') this.origin = acquired.origin;
    return this.#table(source, acquired);
  }

  /** Acquired content as one Parquet file in the scratch folder: it is looked at several times. */
  async #table(source: Source, acquired: AcquiredSource): Promise<SourceRows> {
    const { database, options, without } = this.context;
    const path = `${options.scratchDir}/${this.name}.read-${this.#count++}.parquet`;
    await checkHeader(database, this.name, source, acquired);
    await database.copyToParquet(
      readQuery(source, acquired),
      path,
      'SourceUnreadable',
      `source ${this.name}`,
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

/** A PostgreSQL source with a condition, in one SELECT. */
function narrowed(source: PostgresSource, columns: string, condition: string): PostgresSource {
  const { table, query, ...postgres } = source.postgres;
  const rows = query ?? `SELECT * FROM ${(table ?? '').split('.').map(quoteIdent).join('.')}`;
  return {
    ...source,
    postgres: {
      ...postgres,
      orderBy: columns === '*' ? postgres.orderBy : [],
      query: `SELECT ${columns} FROM (${rows}\n) AS source WHERE ${condition}`,
    },
  };
}
