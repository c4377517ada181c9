import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { MEDIA_TYPES, type TableRef } from '../../contracts/refs.ts';
import { dataSpec, fileSource } from '../../contracts/spec/data.ts';
import { joinSources, type NamedSnapshot } from '../../lib/data/join.ts';
import { snapshotSource } from '../../lib/data/snapshot.ts';
import { findSourceFiles } from '../../lib/data/source-files.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';

type Row = Record<string, unknown>;

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

  /** Takes a snapshot of a source, as `ingest` does. */
  async snapshot(path: string, options: object = {}): Promise<TableRef & { sourceSha256: string }> {
    const source = fileSource.parse({ path, ...options });
    const found = await findSourceFiles(this.database, 'people', source, [this.root]);
    const scratch = join(await this.scratch(), 'snapshot.parquet');
    const table = await snapshotSource(this.database, 'people', source, found, this.store, scratch);
    return { ...table, sourceSha256: found.sha256 };
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
