import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FeaturePreset, featurePreset, featuresSpec } from '../contracts/spec/features.ts';
import { pipelineSpec } from '../contracts/spec/pipeline.ts';
import { fileSource } from '../contracts/spec/sources.ts';
import { configFromEnv } from '../lib/config.ts';
import { splitTable } from '../lib/data/split.ts';
import { Database } from '../lib/duckdb/database.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { featureColumns } from '../lib/features/feature-columns.ts';
import { fitFeatures } from '../lib/features/fit.ts';
import { preprocessGraph } from '../lib/features/preprocess-graph.ts';
import { transformTable } from '../lib/features/transform.ts';
import { acquireSource } from '../lib/sources/acquire.ts';
import { sourceOptions } from '../lib/sources/options.ts';
import { snapshotSource } from '../lib/sources/snapshot.ts';
import { ArtifactStore } from '../lib/store/artifact-store.ts';
import { table } from './figures.ts';
import { validationRows } from './validation-data.ts';

const ROWS = Number(process.env.ROWS ?? 5_000_000);

const SPLITS: Record<string, object> = {
  random: { split: { method: 'random' } },
  stratified: { split: { method: 'stratified', by: 'country' } },
  group: { split: { method: 'group', by: 'sku' } },
  time: {
    split: {
      method: 'time',
      train: { before: '2025-08-01' },
      validation: { before: '2025-10-01' },
      gap: '7d',
    },
  },
};

/**
 * Rows a second of the data part's bulk steps, beside DuckDB's bare `COPY` of the same Parquet file with the same
 * compression: what reading and writing the rows alone costs. `ROWS` in the environment sets the number of rows.
 *
 * @returns a Markdown table
 */
export async function measureFeatures(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'perennial-bench-'));
  const database = await Database.create({ tempDir: join(folder, 'spill') });
  try {
    const store = await ArtifactStore.create(join(folder, 'store'));
    const path = join(folder, 'rows.parquet');
    await database.run('SELECT setseed(0.42)');
    await database.copyToParquet(validationRows(ROWS), path);
    const relation = `read_parquet(${quoteLiteral(path)})`;
    const lines: string[][] = [];
    let bare = 0;
    const measure = async <T>(what: string, rows: number, work: () => Promise<T>): Promise<T> => {
      const begin = performance.now();
      const result = await work();
      const seconds = (performance.now() - begin) / 1000;
      bare ||= rows / seconds;
      const speed = rows / seconds;
      lines.push([
        what,
        seconds.toFixed(2),
        Math.round(speed).toLocaleString('en'),
        (speed / bare).toFixed(2),
      ]);
      return result;
    };
    await measure('DuckDB, bare COPY of the Parquet file', ROWS, () =>
      database.copyToParquet(`SELECT * FROM ${relation}`, join(folder, 'copy.parquet')),
    );

    const source = fileSource.parse({ path });
    const options = { ...sourceOptions(configFromEnv({}), folder), roots: [folder] };
    const snapshot = await measure('snapshot of the Parquet file', ROWS, async () => {
      const acquired = await acquireSource(database, 'rows', source, options);
      return snapshotSource(database, 'rows', source, acquired, store, join(folder, 'snapshot.parquet'));
    });
    const specOf = (more: object) =>
      pipelineSpec.parse({
        name: 'bench',
        task: 'binary',
        data: { sources: { rows: path } },
        columns: { target: 'churn', entity: 'id', timestamp: 'event_ts' },
        ...more,
      });
    for (const [method, more] of Object.entries(SPLITS)) {
      await measure(`split, ${method}`, ROWS, () =>
        splitTable(database, relation, snapshot, specOf(more), store, folder),
      );
    }
    const columns = featureColumns(snapshot.columns, specOf({}));
    for (const preset of featurePreset.options) await measureMatrix(preset);
    return table(
      [`${ROWS.toLocaleString('en')} rows × 12 columns`, 's', 'rows/s', 'of the bare COPY'],
      lines,
    );

    async function measureMatrix(preset: FeaturePreset): Promise<void> {
      const { plan } = await measure(`features, ${preset}: fit`, ROWS, () =>
        fitFeatures(database.connection, relation, columns, featuresSpec.parse({}), { preset }),
      );
      const preprocessPath = join(folder, `${preset}.onnx`);
      await writeFile(preprocessPath, preprocessGraph(plan));
      const outPath = join(folder, `${preset}.npy`);
      await measure(`features, ${preset}: transform to ${plan.matrix.length} columns`, ROWS, () =>
        transformTable({ parquetPath: path, plan, preprocessPath, outPath }),
      );
      const bytes = (await stat(outPath)).size;
      if (bytes < ROWS * plan.matrix.length * 4) throw new Error('The matrix is too short.');
      await rm(outPath);
    }
  } finally {
    database.close();
    await rm(folder, { recursive: true, force: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(`${await measureFeatures()}\n`);
