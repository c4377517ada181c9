import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MEDIA_TYPES, type TableRef } from '../../contracts/refs.ts';
import { columnsSpec, dataSpec } from '../../contracts/spec/data.ts';
import { fileSource, type Source } from '../../contracts/spec/sources.ts';
import { splitSpec } from '../../contracts/spec/split.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { joinSources, type NamedSnapshot } from '../../lib/data/join.ts';
import { splitTable } from '../../lib/data/split.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { Secrets } from '../../lib/secrets.ts';
import { acquireSource } from '../../lib/sources/acquire.ts';
import { HostRules } from '../../lib/sources/hosts.ts';
import { snapshotSource } from '../../lib/sources/snapshot.ts';
import type { AcquiredSource, SourceOptions } from '../../lib/sources/source.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';

type Row = Record<string, unknown>;

/** A table and how it is to be split; the target is `y`. */
export interface SplitRequest {
  sql: string;
  split?: object;
  columns?: object;
  task?: Task;
}

/** A folder of data files, a database and an artifact store, all real and all gone after {@link close}. */
export class DataFixture {
  #counter = 0;

  private constructor(
    readonly folder: string,
    /** The folder that sources may lie in. */
    readonly root: string,
    readonly database: Database,
    readonly store: ArtifactStore,
  ) {}

  static async create(): Promise<DataFixture> {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-data-'));
    const root = join(folder, 'root');
    await mkdir(root);
    const database = await Database.create({ tempDir: join(folder, 'spill') });
    return new DataFixture(folder, root, database, await ArtifactStore.create(join(folder, 'store')));
  }

  /** Splits the rows of a query. */
  async split({ sql, split: how, columns, task = 'binary' }: SplitRequest): ReturnType<typeof splitTable> {
    const { table, relation } = await this.table(sql);
    const spec = {
      task,
      columns: columnsSpec.parse({ target: 'y', ...columns }),
      split: splitSpec.parse(how),
    };
    return splitTable(this.database, relation, table, spec, this.store, await this.scratch());
  }

  async close(): Promise<void> {
    this.database.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  /** A new folder. */
  async scratch(): Promise<string> {
    const path = join(this.folder, `scratch-${this.#counter++}`);
    await mkdir(path);
    return path;
  }

  /** Writes a file below the root. */
  async write(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.root, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
    return path;
  }

  /** Writes a query's rows as Parquet below the root. */
  async writeParquet(name: string, sql: string): Promise<string> {
    const path = join(this.root, name);
    await mkdir(dirname(path), { recursive: true });
    await this.database.copyToParquet(sql, path);
    return path;
  }

  /** Takes a snapshot of a file source, as `ingest` does. */
  async snapshot(path: string, options: object = {}): Promise<TableRef & { sourceSha256: string }> {
    const { table, acquired } = await this.take(fileSource.parse({ path, ...options }));
    return { ...table, sourceSha256: acquired.sha256 };
  }

  /** What a worker would allow that reads below the root and speaks to servers of this machine. */
  async options(more: Partial<SourceOptions> = {}): Promise<SourceOptions> {
    return {
      roots: [this.root],
      hosts: new HostRules(['127.0.0.1', 'localhost'], ['127.0.0.1', 'localhost']),
      secrets: new Secrets(process.env),
      scratchDir: await this.scratch(),
      ...more,
    };
  }

  /** Acquires a file source and takes no snapshot. */
  acquire(path: string, options: SourceOptions): Promise<AcquiredSource> {
    return acquireSource(this.database, 'people', fileSource.parse({ path }), options);
  }

  /** Acquires a source of any kind and takes its snapshot. */
  async take(
    source: Source,
    more: Partial<SourceOptions> = {},
  ): Promise<{ table: TableRef; acquired: AcquiredSource }> {
    const options = await this.options(more);
    const acquired = await acquireSource(this.database, 'people', source, options);
    const scratch = join(options.scratchDir, 'snapshot.parquet');
    const table = await snapshotSource(this.database, 'people', source, acquired, this.store, scratch);
    return { table, acquired };
  }

  /** All rows of a table. */
  async rows(table: Pick<TableRef, 'artifact'>): Promise<Row[]> {
    const path = await this.store.path(table.artifact);
    return this.database.rows(`SELECT * FROM read_parquet(${quoteLiteral(path)})`);
  }

  /** A stored table from a query, with an SQL relation over it. */
  async table(sql: string): Promise<{ table: TableRef; relation: string; path: string }> {
    const scratch = join(await this.scratch(), 'table.parquet');
    const rows = await this.database.copyToParquet(sql, scratch);
    const columns = await this.database.columns(`read_parquet(${quoteLiteral(scratch)})`);
    const artifact = await this.store.putFile(scratch, MEDIA_TYPES.parquet);
    const path = await this.store.path(artifact);
    return { table: { artifact, rows, columns }, relation: `read_parquet(${quoteLiteral(path)})`, path };
  }

  /** Joins tables by name with the SQL and row filter of a spec. */
  async join(
    tables: Record<string, TableRef>,
    data: object,
    target?: string,
  ): ReturnType<typeof joinSources> {
    const sources = Object.fromEntries(Object.keys(tables).map((name) => [name, `${name}.csv`]));
    const snapshots: NamedSnapshot[] = Object.entries(tables).map(([name, snapshot]) => ({ name, snapshot }));
    const scratchDir = await this.scratch();
    return joinSources(dataSpec.parse({ sources, ...data }), snapshots, {
      store: this.store,
      scratchDir,
      ...(target === undefined ? {} : { target }),
    });
  }
}
