import { rm } from 'node:fs/promises';
import type { DataActivities } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { FeaturePreset } from '../contracts/spec/features.ts';
import type { PreparedFeatures, PrepareOutput } from '../contracts/stages.ts';
import { presetsOf } from '../domain/prepared-features.ts';
import { type FoldRows, rangesSql, writeFolds } from '../lib/data/folds.ts';
import { quoteLiteral } from '../lib/duckdb/sql.ts';
import { columnTasks } from '../lib/features/column-options.ts';
import { featureColumns } from '../lib/features/feature-columns.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { type FittedRows, type Preparation, prepareRows } from './prepared-rows.ts';
import { withDatabase } from './with-database.ts';

type PrepareInput = Parameters<DataActivities['prepare']>[0];

/**
 * Fits the features on the training rows and sends training and validation rows through the fitted graph: once for
 * each family of trainers among the candidates that wants other features. With cross-validation the same again for each
 * fold, one after the other.
 */
export async function prepare(
  deps: ActivityDependencies,
  { split, spec }: PrepareInput,
  frame: ActivityFrame,
): Promise<PrepareOutput> {
  const store = (await deps.store()).within(await frame.scratch(), { encrypt: split.sensitive });
  return withDatabase(frame, async (database, scratchDir) => {
    const columns = featureColumns(split.columns, spec);
    const same = variantsOf(presetsOf(spec.candidates), (preset) =>
      JSON.stringify(columnTasks(columns, spec.features, preset)),
    );
    const preparation: Preparation = {
      ...{ database, store, scratchDir, spec, split, columns },
      signal: frame.signal,
      presets: [...new Set(Object.values(same))],
    };
    const train = await store.path(split.train.artifact);
    const validation = await store.path(split.validation.artifact);
    const plain = await prepareRows(preparation, { train, validation });
    const folded = await prepareFolds(preparation, [train, validation]);
    const variants: PrepareOutput['variants'] = {};
    for (const preset of presetsOf(spec.candidates)) {
      const made = same[preset] ?? preset;
      variants[preset] = {
        ...fitted(plain, made),
        folds: (folded?.rows ?? []).map((rows) => {
          const { preprocess, featureNames, featureCount, train, validation } = fitted(rows, made);
          return { preprocess, featureNames, featureCount, train, validation };
        }),
      };
    }
    return { variants, ...(folded ? { crossValidation: folded.crossValidation } : {}) };
  });
}

/** For each preset the first one that comes to the same. */
function variantsOf(
  presets: readonly FeaturePreset[],
  optionsOf: (preset: FeaturePreset) => string,
): Partial<Record<FeaturePreset, FeaturePreset>> {
  const made = new Map<string, FeaturePreset>();
  return Object.fromEntries(
    presets.map((preset) => {
      const options = optionsOf(preset);
      made.set(options, made.get(options) ?? preset);
      return [preset, made.get(options) ?? preset];
    }),
  );
}

function fitted(rows: FittedRows, preset: FeaturePreset): Omit<PreparedFeatures, 'folds'> {
  const features = rows.get(preset);
  if (features) return features;
  throw new PerennialError('StageFailed', `No features were fitted as ${preset}.`);
}

interface Folded {
  crossValidation: NonNullable<PrepareOutput['crossValidation']>;
  rows: FittedRows[];
}

/** The table of all folds, and what was fitted on each. Of all folds but one at a time no rows lie in the scratch folder. */
async function prepareFolds(preparation: Preparation, parts: string[]): Promise<Folded | undefined> {
  const { database, store, scratchDir, spec, split } = preparation;
  const { crossValidation: how } = spec.training;
  if (!how) return undefined;
  const path = `${scratchDir}/folds.parquet`;
  const task = { task: spec.task, columns: spec.columns, split: spec.split, crossValidation: how };
  const relation = `read_parquet([${parts.map(quoteLiteral).join(', ')}])`;
  const { rows, folds, notes } = await writeFolds(database, relation, split.columns, task, path);
  const artifact = await store.putFile(path, MEDIA_TYPES.parquet);
  const fittedRows: FittedRows[] = [];
  for (const [index, fold] of folds.entries())
    fittedRows.push(
      await prepareFold(preparation, path, fold).catch((error: unknown) => {
        if (!(error instanceof PerennialError)) throw error;
        const { code, message, retryable } = error;
        const where = `training.crossValidation, fold ${index + 1} of ${folds.length}`;
        throw new PerennialError(code, `${where}: ${message}`, retryable, { cause: error });
      }),
    );
  return { crossValidation: { table: { artifact, rows }, folds, notes }, rows: fittedRows };
}

async function prepareFold(preparation: Preparation, path: string, fold: FoldRows): Promise<FittedRows> {
  const { database, scratchDir } = preparation;
  const write = async (part: keyof FoldRows): Promise<string> => {
    const own = `${scratchDir}/fold-${part}.parquet`;
    await database.copyToParquet(rangesSql(path, [fold[part]].flat()), own);
    return own;
  };
  const rows = { train: await write('train'), validation: await write('validation') };
  try {
    return await prepareRows(preparation, rows);
  } finally {
    for (const own of Object.values(rows)) await rm(own, { force: true });
  }
}
