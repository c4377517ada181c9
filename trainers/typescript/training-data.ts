import { PerennialError } from '../../contracts/errors.ts';
import type { TrainerRequest } from '../../contracts/trainer.ts';
import { type NpyArray, type NpyDtype, readNpy } from '../../lib/npy.ts';

/** Features `[rows, columns]`, labels (class indices or numbers) `[rows]`, a weight per row. */
export interface Fold {
  rows: number;
  columns: number;
  features: Float32Array;
  labels: Float32Array | Int32Array;
  weights: Float32Array;
}

/** Reads and checks one part of the request. */
export async function loadFold(
  request: TrainerRequest,
  part: 'train' | 'validation',
): Promise<Fold | undefined> {
  const files = request[part];
  if (files === undefined) return undefined;
  const what = part === 'train' ? 'training' : 'validation';
  const regression = request.task === 'regression';
  const { data: features, shape } = await load(files.features, `${what} features`, 'float32', 2);
  const { data: labels } = await load(files.labels, `${what} labels`, regression ? 'float32' : 'int32', 1);
  const [rows = 0, columns = 0] = shape;
  const weights =
    files.weights !== undefined
      ? (await load(files.weights, `${what} weights`, 'float32', 1)).data
      : new Float32Array(rows).fill(1);
  if (
    !(features instanceof Float32Array) ||
    !(weights instanceof Float32Array) ||
    labels instanceof Float64Array
  ) {
    throw refused(`The ${what} arrays have unexpected types.`);
  }
  if (rows === 0 || columns === 0)
    throw refused(`The ${what} features are empty (${rows} rows, ${columns} columns).`);
  if (columns !== request.featureNames.length) {
    throw refused(`The ${what} features have ${columns} columns but ${request.featureNames.length} names.`);
  }
  if (labels.length !== rows || weights.length !== rows) {
    throw refused(`The ${what} features, labels and weights have different numbers of rows.`);
  }
  checkFeatures(features, request.featureNames, what);
  checkLabels(labels, regression ? undefined : request.classNames.length, part === 'train', what);
  if (
    !weights.every((weight) => Number.isFinite(weight) && weight >= 0) ||
    !weights.some((weight) => weight > 0)
  ) {
    throw refused(`The ${what} weights must be finite, not negative, and not all zero.`);
  }
  return { rows, columns, features, labels, weights };
}

async function load(path: string, what: string, dtype: NpyDtype, dimensions: number): Promise<NpyArray> {
  const array = await readNpy(path).catch((cause: unknown) => {
    if (cause instanceof PerennialError) throw cause;
    throw new PerennialError('TrainerContract', `The ${what} cannot be read: ${path}.`, false, { cause });
  });
  if (array.dtype !== dtype || array.shape.length !== dimensions) {
    throw refused(
      `The ${what} must be ${dtype} with ${dimensions} dimension(s), not ${array.dtype} [${array.shape.join(', ')}].`,
    );
  }
  return array;
}

function checkFeatures(features: Float32Array, names: readonly string[], what: string): void {
  const bad = new Set<number>();
  for (let index = 0; index < features.length; index++) {
    if (!Number.isFinite(features[index])) bad.add(index % names.length);
  }
  if (bad.size === 0) return;
  const columns = [...bad].sort((a, b) => a - b).slice(0, 5);
  const more = bad.size > 5 ? ` and ${bad.size - 5} more` : '';
  throw refused(
    `The ${what} features hold missing or infinite values in ${columns.map((column) => `"${names[column]}"`).join(', ')}${more}. ` +
      "Impute them before training (the pipeline's features do it by default).",
  );
}

function checkLabels(
  labels: Float32Array | Int32Array,
  classes: number | undefined,
  train: boolean,
  what: string,
): void {
  if (classes === undefined) {
    if (!labels.every((label) => Number.isFinite(label)))
      throw refused(`The ${what} labels hold missing or infinite values.`);
    return;
  }
  if (!labels.every((label) => label >= 0 && label < classes)) {
    throw refused(`The ${what} labels must be class indices from 0 to ${classes - 1}.`);
  }
  if (train && labels.every((label) => label === labels[0])) {
    throw refused('The training labels hold a single class; a classifier needs at least two.');
  }
}

function refused(message: string): PerennialError {
  return new PerennialError('TrainerContract', message);
}
