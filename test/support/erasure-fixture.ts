import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ArtifactRef, MEDIA_TYPES } from '../../contracts/refs.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { ArtifactRows, type ReplaceCopy } from '../../lib/erasure/artifact-rows.ts';
import { storePlan, takeSteps } from '../../lib/erasure/open-plan.ts';
import { Person, type PersonRequest } from '../../lib/erasure/person.ts';
import type { SearchTools } from '../../lib/erasure/personal-store.ts';
import { RowCatalogue } from '../../lib/erasure/row-catalogue.ts';
import { readNpy, writeNpy } from '../../lib/npy.ts';
import { Secrets } from '../../lib/secrets.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { openStore, type StoreSettings } from '../../lib/store/open-store.ts';

export const PSEUDONYM_KEY = '7a1f4c0e5d2b4f6a9c8e7d6b5a493827';
export const secrets = new Secrets({ PERENNIAL_SECRET_PSEUDONYM_KEY: PSEUDONYM_KEY });

/** A spec whose rows are about customers; `changes` go into `privacy`. */
export const personalSpec = (changes: object = {}, name = 'shop'): PipelineSpec =>
  pipelineSpec.parse({
    name,
    task: 'binary',
    data: { sources: { people: 'people.csv' } },
    columns: { target: 'label', entity: ['customer'] },
    privacy: {
      subject: 'customer',
      columns: { customer: 'pseudonym', email: { kind: 'email', action: 'mask' } },
      pseudonymKey: '${env:PERENNIAL_SECRET_PSEUDONYM_KEY}',
      ...changes,
    },
  });

/** A real store with a database, in a folder that is gone after {@link close}. */
export class ErasureFixture {
  readonly catalogue: RowCatalogue;
  readonly tools: SearchTools;

  private constructor(
    readonly folder: string,
    readonly store: ArtifactStore,
    readonly database: Database,
  ) {
    this.catalogue = new RowCatalogue(store.documents);
    const { signal } = new AbortController();
    this.tools = { database, scratchDir: join(folder, 'scratch'), signal, progress: () => undefined };
  }

  /** @param settings where its artifacts lie; by default in its folder */
  static async create(settings: Omit<StoreSettings, 'dataDir'> = {}): Promise<ErasureFixture> {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-erasure-'));
    await mkdir(join(folder, 'scratch'));
    const database = await Database.create({ tempDir: join(folder, 'spill') });
    return new ErasureFixture(folder, await openStore({ dataDir: folder, ...settings }), database);
  }

  async close(): Promise<void> {
    this.database.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  newPath(): string {
    return join(this.folder, randomUUID());
  }

  /** Stores a query's rows as Parquet. */
  async table(sql: string, encrypt = false): Promise<ArtifactRef> {
    const path = this.newPath();
    await this.database.copyToParquet(sql, path);
    return this.store.putFile(path, MEDIA_TYPES.parquet, { encrypt });
  }

  async npy(
    data: Float32Array | Int32Array,
    shape: readonly number[],
    encrypt = false,
  ): Promise<ArtifactRef> {
    const path = this.newPath();
    await writeNpy(path, data, shape);
    return this.store.putFile(path, MEDIA_TYPES.npy, { encrypt });
  }

  /** A local file of what is in force for an artifact. */
  async path(ref: ArtifactRef): Promise<string> {
    const folder = this.newPath();
    await mkdir(folder);
    return this.store.within(folder).path(ref);
  }

  async rows(ref: ArtifactRef): Promise<Record<string, unknown>[]> {
    return this.database.rows(`SELECT * FROM read_parquet(${quoteLiteral(await this.path(ref))})`);
  }

  /** Rows of an array, each as a list. */
  async matrix(ref: ArtifactRef): Promise<number[][]> {
    const { data, shape } = await readNpy(await this.path(ref));
    const [rows = 0, width = 1] = shape;
    return Array.from({ length: rows }, (_, i) => [...data.subarray(i * width, (i + 1) * width)]);
  }

  artifacts(replaceCopy: ReplaceCopy = async () => undefined): ArtifactRows {
    return new ArtifactRows(this.store, replaceCopy);
  }

  person(entity: string, others: Partial<PersonRequest> = {}, from: Secrets = secrets): Person {
    return Person.of({ entity, column: null, pipelines: null, ...others }, from);
  }

  /** Looks for a person and takes all steps. */
  async erase(person: Person, certificate: string = randomUUID(), rows = this.artifacts()) {
    const planned = await rows.plan(person, this.tools);
    const steps = planned.steps.map((step) => ({ store: 'artifacts', step }));
    const plan = await storePlan(this.store, { certificate, steps });
    const taken = await takeSteps(this.store, [rows], { plan, certificate }, this.tools);
    return { ...planned, taken };
  }
}
