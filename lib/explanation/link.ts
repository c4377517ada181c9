import type { AttributionUnit } from '../../contracts/explanation.ts';

/** How the answers of a model come from the scores of its trees. */
export interface Link {
  unit: AttributionUnit;
  /** For each output the score that it is made of: `shift + sign · score` is what attributions add up to. */
  outputs: { score: number; sign: 1 | -1; shift: 0 | 1 }[];
}

/** Trees are summed in float32 by the engine, here in doubles. */
const TOLERANCE = 1e-3;
/** Of the largest number: what is left of its digits in float32 sums of many trees. */
export const ROUNDING = 1e-5;

/**
 * By how much answers may differ that are the same but for rounding: a thousandth of a probability, else of the range of
 * the answers seen. @param numbers answers or scores that have a unit of their own; none for probabilities
 */
export function tolerance(numbers?: Float64Array): number {
  if (!numbers) return TOLERANCE;
  const [low, high] = [minOf(numbers), maxOf(numbers)];
  return TOLERANCE * (high - low) + ROUNDING * Math.max(Math.abs(low), Math.abs(high));
}

const minOf = (numbers: Float64Array): number =>
  numbers.reduce((low, value) => Math.min(low, value), Infinity);
const maxOf = (numbers: Float64Array): number =>
  numbers.reduce((high, value) => Math.max(high, value), -Infinity);

/**
 * What the model answers where attributions add up to these sums, one for each output; nothing for scores, of which it is
 * not known what follows them.
 */
export function answersFrom(unit: AttributionUnit, sums: readonly number[]): number[] | undefined {
  if (unit === 'score') return undefined;
  if (unit !== 'log_odds') return [...sums];
  if (sums.length === 1) return sums.map(logistic);
  const highest = Math.max(...sums);
  const powers = sums.map((sum) => Math.exp(sum - highest));
  const whole = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / whole);
}

/**
 * Finds out by what answers come from scores, from rows of both: as they are, by the logistic function or the softmax.
 * A binary model may give the probability of its first class, whose score is minus the second's. Where something else
 * stands between them (a calibration), a single score is still one, in a unit of its own, as long as answers go only up
 * or only down with it.
 *
 * @param scores `[rows, width]`, @param answers `[rows, outputs]`
 * @returns nothing where outputs and scores do not belong together
 */
export function linkOf(
  scores: Float64Array,
  width: number,
  answers: Float64Array,
  outputs: readonly string[],
): Link | undefined {
  const regression = outputs.length === 1 && outputs[0] === 'prediction';
  const rows = scores.length / width;
  const allowed = tolerance(regression ? answers : undefined);
  const near = (expected: (row: number, k: number) => number): boolean =>
    answers.every(
      (answer, at) =>
        Math.abs(answer - expected(Math.floor(at / outputs.length), at % outputs.length)) <= allowed,
    );
  const score = (row: number, k: number): number => scores[row * width + k] ?? Number.NaN;
  const plain = outputs.map((_, k) => ({ score: k, sign: 1 as const, shift: 0 as const }));
  if (width === outputs.length && near(score))
    return { unit: regression ? 'target' : 'probability', outputs: plain };
  if (width === 1 && outputs.length === 1) {
    const one = (unit: AttributionUnit, sign: 1 | -1, shift: 0 | 1): Link => ({
      unit,
      outputs: [{ score: 0, sign, shift }],
    });
    const monotone = (): Link | undefined => {
      const sign = rising(scores, answers) ? 1 : -1;
      return oneWay(scores, answers, sign, allowed) ? one('score', sign, 0) : undefined;
    };
    if (regression) return monotone();
    if (near((row) => 1 - score(row, 0))) return one('probability', -1, 1);
    if (near((row) => logistic(score(row, 0)))) return one('log_odds', 1, 0);
    if (near((row) => logistic(-score(row, 0)))) return one('log_odds', -1, 0);
    return monotone();
  }
  // Two scores of a binary model: that of the class whose probability is given, found by its direction.
  if (outputs.length === 1 && width === 2) {
    for (const k of [1, 0])
      if (near((row) => score(row, k)))
        return { unit: 'probability', outputs: [{ score: k, sign: 1, shift: 0 }] };
    return undefined;
  }
  if (width !== outputs.length) return undefined;
  const shares = Array.from({ length: rows }, (_, row) =>
    answersFrom(
      'log_odds',
      plain.map((_one, k) => score(row, k)),
    ),
  );
  const softmax = near((row, k) => shares[row]?.[k] ?? Number.NaN);
  return { unit: softmax ? 'log_odds' : 'score', outputs: plain };
}

const logistic = (value: number): number => 1 / (1 + Math.exp(-value));

/** Whether answers rise with scores. */
function rising(scores: Float64Array, answers: Float64Array): boolean {
  const mean = scores.reduce((sum, value) => sum + value, 0) / scores.length;
  return answers.reduce((sum, answer, row) => sum + answer * ((scores[row] ?? 0) - mean), 0) >= 0;
}

/** Whether answers go nowhere the other way as scores rise, but for rounding. */
function oneWay(scores: Float64Array, answers: Float64Array, sign: 1 | -1, allowed: number): boolean {
  const order = [...scores.keys()].sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0));
  let highest = -Infinity;
  for (const row of order) {
    const answer = sign * (answers[row] ?? Number.NaN);
    if (!(answer >= highest - allowed)) return false;
    highest = Math.max(highest, answer);
  }
  return true;
}
