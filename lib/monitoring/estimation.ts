import type { Curve } from '../../contracts/monitoring-reference.ts';
import { seededRandom } from '../../domain/random.ts';
import { BinaryScores } from '../statistics/binary-scores.ts';
import { type ExpectedQuality, expectedBinary, expectedMulticlass } from '../statistics/expected-scores.ts';
import { isotonicCorners } from '../statistics/isotonic.ts';
import { DEFAULT_THRESHOLD, positiveIndex } from '../statistics/judge.ts';
import { membersOf } from '../statistics/scores.ts';
import type { KnownRows } from './labelled-rows.ts';
import type { WatchedProblem } from './problem.ts';

/** Splits and bins by which it is tried whether a correction helps, and the share that is held out, as NannyML has it. */
const SPLITS = 10;
const BINS = 10;
const HELD_OUT = 0.1;
/** A model that ranks so well is left as it is. */
const PERFECT = 0.999;
const FEWEST_ROWS = 40;

/**
 * How probabilities are corrected before quality is estimated from them: by an isotonic curve, where that makes the
 * calibration error of held-out rows smaller, else not at all; of several classes each against the others.
 *
 * @returns `null` for a regression, and where the rows have one class, or are too few to tell
 */
export function fitEstimation(problem: WatchedProblem, known: KnownRows, seed = 42): (Curve | null)[] | null {
  const { answers, labels } = known;
  if (problem.task === 'regression' || labels.length < FEWEST_ROWS) return null;
  if (labels.every((label) => label === labels[0])) return null;
  if (problem.task === 'binary') return [curveOf(membersOf(positiveIndex(problem), labels), answers, seed)];
  const classes = problem.classNames.length;
  return problem.classNames.map((_, k) =>
    curveOf(
      membersOf(k, labels),
      Float64Array.from({ length: labels.length }, (_, row) => answers[row * classes + k] ?? 0),
      seed,
    ),
  );
}

function curveOf(outcomes: Uint8Array, probabilities: Float64Array, seed: number): Curve | null {
  if (outcomes.every((outcome) => outcome === outcomes[0])) return null;
  if ((new BinaryScores(outcomes, probabilities).metrics().roc_auc ?? 1) > PERFECT) return null;
  return isBetterCorrected(outcomes, probabilities, seed) ? isotonicCorners(outcomes, probabilities) : null;
}

/** Whether the expected calibration error of held-out rows is smaller with the correction. */
function isBetterCorrected(outcomes: Uint8Array, probabilities: Float64Array, seed: number): boolean {
  const random = seededRandom(seed);
  const groups = [0, 1].map((outcome) => [...outcomes.keys()].filter((row) => outcomes[row] === outcome));
  const truth: number[] = [];
  const before: number[] = [];
  const after: number[] = [];
  for (let split = 0; split < SPLITS; split++) {
    const isHeldOut = new Uint8Array(outcomes.length);
    // Of each class its share.
    for (const rows of groups) {
      const held = Math.round(rows.length * HELD_OUT);
      for (let i = 0; i < held; i++) {
        const other = i + Math.floor(random() * (rows.length - i));
        [rows[i], rows[other]] = [rows[other] ?? 0, rows[i] ?? 0];
        isHeldOut[rows[i] ?? 0] = 1;
      }
    }
    const fitted = isotonicCorners(
      outcomes.filter((_, row) => isHeldOut[row] === 0),
      probabilities.filter((_, row) => isHeldOut[row] === 0),
    );
    for (let row = 0; row < outcomes.length; row++) {
      if (isHeldOut[row] === 0) continue;
      truth.push(outcomes[row] ?? 0);
      before.push(probabilities[row] ?? 0);
      after.push(heightAt(fitted, probabilities[row] ?? 0));
    }
  }
  return calibrationError(truth, before) > calibrationError(truth, after);
}

/** Over bins with as many rows each. */
function calibrationError(truth: readonly number[], probabilities: readonly number[]): number {
  const rows = truth.length;
  const order = [...truth.keys()].sort((a, b) => (probabilities[a] ?? 0) - (probabilities[b] ?? 0));
  const width = Math.max(1, Math.floor(rows / BINS));
  let error = 0;
  for (let bin = 0; bin < BINS; bin++) {
    let difference = 0;
    const end = bin === BINS - 1 ? rows : Math.min(rows, (bin + 1) * width);
    for (let i = bin * width; i < end; i++)
      difference += (probabilities[order[i] ?? 0] ?? 0) - (truth[order[i] ?? 0] ?? 0);
    error += Math.abs(difference) / rows;
  }
  return error;
}

/** The height of a curve; beyond its ends it is level. */
function heightAt({ x, y }: Curve, probability: number): number {
  let [low, high] = [0, x.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (probability <= (x[middle] ?? 1)) high = middle;
    else low = middle + 1;
  }
  const [left, right] = [y[low - 1], y[low]];
  if (left === undefined || right === undefined) return left ?? right ?? probability;
  const [start, end] = [x[low - 1] ?? 0, x[low] ?? 0];
  return left + ((probability - start) / (end - start)) * (right - left);
}

/** Probabilities as they are taken for the estimate: corrected, and those of several classes made to sum to 1. */
export function corrected(answers: Float64Array, curves: readonly (Curve | null)[]): Float64Array {
  const width = curves.length;
  const result = Float64Array.from(answers, (answer, i) => {
    const curve = curves[i % width];
    return curve ? heightAt(curve, answer) : answer;
  });
  if (width === 1) return result;
  for (let at = 0; at < result.length; at += width) {
    let sum = 0;
    for (let k = 0; k < width; k++) sum += result[at + k] ?? 0;
    for (let k = 0; k < width; k++) result[at + k] = sum === 0 ? 1 / width : (result[at + k] ?? 0) / sum;
  }
  return result;
}

/**
 * What quality is to be expected of answers whose truth is not known yet (CBPE).
 *
 * @param answers row-major, as `readLabelled` gives them
 * @param curves of {@link fitEstimation}
 */
export function estimatedQuality(
  problem: WatchedProblem,
  answers: Float64Array,
  curves: readonly (Curve | null)[],
): ExpectedQuality {
  const probabilities = corrected(answers, curves);
  return problem.task === 'multiclass'
    ? expectedMulticlass(probabilities, answers, problem.classNames.length)
    : expectedBinary(probabilities, answers, problem.threshold ?? DEFAULT_THRESHOLD);
}
