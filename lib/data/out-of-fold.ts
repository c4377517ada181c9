import { PerennialError } from '../../contracts/errors.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { type NpyArray, readNpy } from '../npy.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import type { Labels } from './labels.ts';

/** What a fold's model answered, as `.npy`. */
export interface FoldAnswers {
  /** Of the rows that the fold is judged on, `[n]`: class indices or numbers. */
  labels: ArtifactRef;
  /** Of the same rows: `[n]`, or `[n, classes]` for a multi-class model. */
  answers: ArtifactRef;
}

/** The answers of all folds: each row was answered by a model that was trained without it. */
export interface OutOfFold {
  labels: Labels;
  /** Of one row after the other, in C order. */
  answers: Float64Array;
  /** Numbers for each row. */
  width: number;
}

/**
 * Puts the answers of folds one after the other, in the order of the folds: for calibration, threshold and stacking. The
 * rows are those of `crossValidation.table` in their order; of folds in time without its first block. 4 + 8 · width bytes
 * a row, beside those of one fold.
 *
 * @throws PerennialError `InputInvalid` without folds or where labels and answers are of different rows, `TrainerContract`
 *   for what is no `.npy`, `ArtifactMissing`
 * @example
 * const { labels, answers } = await collectOutOfFold(store.within(scratchDir), folds);
 */
export async function collectOutOfFold(
  store: ArtifactStore,
  folds: readonly FoldAnswers[],
): Promise<OutOfFold> {
  const read = async (ref: ArtifactRef): Promise<NpyArray> => readNpy(await store.path(ref));
  const parts: { labels: NpyArray; answers: NpyArray }[] = [];
  for (const { labels, answers } of folds)
    parts.push({ labels: await read(labels), answers: await read(answers) });
  const [first] = parts;
  if (!first) throw new PerennialError('InputInvalid', 'Out-of-fold answers are of one fold at least.');
  const width = widthOf(first.answers);
  for (const [index, { labels, answers }] of parts.entries())
    if (labels.data.length !== answers.shape[0] || widthOf(answers) !== width)
      throw new PerennialError(
        'InputInvalid',
        `Fold ${index + 1} of ${parts.length} has ${labels.data.length} labels and answers of the shape [${answers.shape.join(', ')}]; ${width} numbers are expected for each label.`,
      );
  const rows = parts.reduce((sum, { labels }) => sum + labels.data.length, 0);
  const labels = first.labels.dtype === 'int32' ? new Int32Array(rows) : new Float32Array(rows);
  const answers = new Float64Array(rows * width);
  let done = 0;
  for (const part of parts) {
    labels.set(part.labels.data, done);
    answers.set(part.answers.data, done * width);
    done += part.labels.data.length;
  }
  return { labels, answers, width };
}

const widthOf = ({ shape }: NpyArray): number => shape.slice(1).reduce((size, count) => size * count, 1);
