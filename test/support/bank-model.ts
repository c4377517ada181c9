import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { columnsSpec } from '../../contracts/spec/data.ts';
import { featuresSpec } from '../../contracts/spec/features.ts';
import { writeLabels } from '../../lib/data/labels.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { featureColumns } from '../../lib/features/feature-columns.ts';
import { fitFeatures } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { transformTable } from '../../lib/features/transform.ts';
import { composeModel } from '../../lib/onnx/compose.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { train } from '../integration/trainers-support.ts';

const BANK = join(import.meta.dirname, '../../examples/bank');
const CLASS_NAMES = ['false', 'true'];

/** A model that LightGBM trained on the bank data, without Temporal and MLflow, and the whole table. */
export class BankModel {
  private constructor(
    readonly model: ServedModel,
    /** All 45,211 calls with `called_on` and `subscribed`. */
    readonly parquetPath: string,
    readonly close: () => Promise<void>,
  ) {}

  /** @param options.before trained on the calls before this day */
  static async train(
    store: ArtifactStore,
    { before, version = '1' }: { before: string; version?: string },
  ): Promise<BankModel> {
    const folder = await mkdtemp(join(tmpdir(), 'perennial-bank-'));
    const database = await Database.create({ tempDir: join(folder, 'spill') });
    try {
      const path = (name: string): string => join(folder, name);
      const sql = await readFile(join(BANK, 'calls.sql'), 'utf8');
      await database.run(
        `CREATE VIEW bank AS SELECT *, row_number() OVER () AS call
         FROM read_csv(${quoteLiteral(join(BANK, 'data/bank.csv'))}, delim = ';', header = true)`,
      );
      const parquetPath = path('bank.parquet');
      await database.copyToParquet(`SELECT * FROM (${sql}) ORDER BY call`, parquetPath);
      const known = `FROM read_parquet(${quoteLiteral(parquetPath)}) WHERE called_on < DATE ${quoteLiteral(before)}`;
      const trainPath = path('train.parquet');
      const rows = await database.copyToParquet(`SELECT * ${known}`, trainPath);
      const relation = `read_parquet(${quoteLiteral(trainPath)})`;
      const features = featuresSpec.parse({});
      const columns = featureColumns(await database.columns(relation), {
        columns: columnsSpec.parse({ target: 'subscribed', entity: 'call', timestamp: 'called_on' }),
        features,
      });
      const { plan } = await fitFeatures(database.connection, relation, columns, features, {
        preset: 'tree',
      });
      const preprocess = preprocessGraph(plan);
      const onnx = async (bytes: Uint8Array) => store.path(await store.putBytes(bytes, MEDIA_TYPES.onnx));
      await transformTable({
        parquetPath: trainPath,
        plan,
        preprocessPath: await onnx(preprocess),
        outPath: path('features.npy'),
      });
      await writeLabels(
        { parquetPath: trainPath, target: 'subscribed', classNames: CLASS_NAMES },
        path('labels.npy'),
      );
      await mkdir(path('output'));
      const { modelPath } = await train(
        'lightgbm',
        {
          schemaVersion: 1,
          task: 'binary',
          trainer: 'lightgbm',
          train: { features: path('features.npy'), labels: path('labels.npy') },
          featureNames: plan.matrix.map(({ name }) => name),
          classNames: CLASS_NAMES,
          parameters: {},
          seed: 1,
          threads: 1,
          maxIterations: 60,
          checkpointDir: path('checkpoints'),
          outputDir: path('output'),
        },
        folder,
      );
      const composed = composeModel(preprocess, await readFile(modelPath), {
        task: 'binary',
        classNames: CLASS_NAMES,
        positiveClass: 'true',
      });
      if (rows === 0) throw new Error(`no call before ${before}`);
      const model = {
        version,
        onnx: await store.putBytes(composed.onnx, MEDIA_TYPES.onnx),
        signature: composed.signature,
      };
      return new BankModel(model, parquetPath, () => rm(folder, { recursive: true, force: true }));
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    } finally {
      database.close();
    }
  }
}
