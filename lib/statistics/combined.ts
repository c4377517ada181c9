import type { Combination } from '../../contracts/finishing.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { logistic, logOdds, safeLog } from './log-odds.ts';

/**
 * The one answer of several models: what the graph of `composeEnsemble` with the same combination answers, before any
 * calibration.
 *
 * @param classes number of classes of a multi-class model
 * @param answers of each member in the order of the weights: binary the probability of the positive class `[n]`,
 *   multi-class row-major `[n, classes]`, regression `[n]`
 * @returns float32 numbers of the same shape
 */
export function applyCombination(
  combination: Combination,
  task: Task,
  classes: number,
  answers: readonly Float64Array[],
): Float64Array {
  const length = answers[0]?.length ?? 0;
  if (combination.method === 'average' || task === 'regression') {
    const weights =
      combination.method === 'average' ? averageWeights(combination, answers.length) : combination.weights;
    const offset = combination.method === 'average' ? 0 : (combination.intercepts[0] ?? 0);
    return Float64Array.from({ length }, (_, i) =>
      Math.fround(weighted(answers, weights, i, Math.fround) + offset),
    );
  }
  const { weights, intercepts } = combination;
  if (task === 'binary')
    return Float64Array.from({ length }, (_, i) =>
      Math.fround(
        logistic(weighted(answers, weights, i, (p) => logOdds(Math.fround(p))) + (intercepts[0] ?? 0)),
      ),
    );
  const result = new Float64Array(length);
  for (let row = 0; row < length; row += classes) {
    const scores = intercepts.map(
      (intercept, k) => weighted(answers, weights, row + k, (p) => safeLog(Math.fround(p))) + intercept,
    );
    const highest = Math.max(...scores);
    const powers = scores.map((score) => Math.exp(score - highest));
    const sum = powers.reduce((total, power) => total + power, 0);
    for (const [k, power] of powers.entries()) result[row + k] = Math.fround(power / sum);
  }
  return result;
}

/** Weights of an average of so many members, divided by their sum. */
export function averageWeights(
  { weights }: Extract<Combination, { method: 'average' }>,
  members: number,
): number[] {
  const given = weights ?? new Array<number>(members).fill(1);
  const sum = given.reduce((total, weight) => total + weight, 0);
  return given.map((weight) => weight / sum);
}

function weighted(
  answers: readonly Float64Array[],
  weights: readonly number[],
  place: number,
  of: (answer: number) => number,
): number {
  return weights.reduce(
    (sum, weight, member) => sum + weight * of(answers[member]?.[place] ?? Number.NaN),
    0,
  );
}
