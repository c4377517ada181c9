import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MEDIA_TYPES, type RowRange } from '../../contracts/refs.ts';
import type { ModelSignature } from '../../contracts/serving.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { answersQuery } from '../../lib/scoring/destination/written-table.ts';
import { plannedColumns, type ScoringPlan, type Wanted } from '../../lib/scoring/plan.ts';
import { scoreChunk } from '../../lib/scoring/score-chunk.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';

/** A store, a database and a folder for scoring rows without Temporal and MLflow. */
export class BatchGround {
  #tables = 0;

  private constructor(
    readonly folder: string,
    readonly store: ArtifactStore,
    readonly database: Database,
  ) {}

  static async create(): Promise<BatchGround> {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-batch-'));
    return new BatchGround(
      folder,
      await ArtifactStore.create(join(folder, 'artifacts')),
      await Database.create({ tempDir: join(folder, 'spill') }),
    );
  }

  /** The plan for the rows of a query. */
  async plan(
    query: string,
    model: { onnx: Uint8Array; signature: ModelSignature },
    wanted: Partial<Wanted> & { invalid?: ScoringPlan['invalid']; encrypt?: boolean } = {},
  ): Promise<ScoringPlan> {
    const path = join(this.folder, `table-${this.#tables++}.parquet`);
    await this.database.copyToParquet(query, path);
    const columns = await this.database.columns(`read_parquet(${quoteLiteral(path)})`);
    const { invalid = 'fail', encrypt = false, ...rest } = wanted;
    const { missingInputs: _missing, ...planned } = plannedColumns(columns, model.signature, {
      passThrough: 'all',
      features: false,
      ...rest,
    });
    return {
      schemaVersion: 1,
      table: await this.store.putFile(path, MEDIA_TYPES.parquet, { encrypt }),
      slices: [],
      columns,
      model: {
        version: '3',
        onnx: await this.store.putBytes(model.onnx, MEDIA_TYPES.onnx),
        signature: model.signature,
      },
      ...planned,
      features: rest.features ?? false,
      invalid,
      cache: 'off',
      encrypt,
      subject: [],
      modelName: 'churn',
    };
  }

  /** The answers for ranges of rows, and what is invalid in each. */
  async score(
    plan: ScoringPlan,
    ranges: readonly RowRange[],
    signal: AbortSignal = new AbortController().signal,
  ) {
    const scratchDir = join(this.folder, `scratch-${this.#tables++}`);
    await mkdir(scratchDir);
    const store = this.store.within(scratchDir);
    const chunks = [];
    for (const rows of ranges)
      chunks.push(await scoreChunk(plan, rows, { store, scratchDir, signal, onRows: () => undefined }));
    const files = [];
    for (const { artifact } of chunks) files.push(await store.path(artifact));
    const query = answersQuery(files, plan, { batchId: 'monday', at: '2026-01-05T06:07:08.090Z' });
    return { chunks, query, rows: () => this.database.rows(query) };
  }

  async close(): Promise<void> {
    this.database.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
