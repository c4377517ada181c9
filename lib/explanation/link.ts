import type { AttributionUnit } from '../../contracts/explanation.ts';

/** How the answers of a model come from the scores of its trees. */
export interface Link {
  unit: AttributionUnit;
  /** For each output the score that it is made of: `shift + sign · score` is what attributions add up to. */
  outputs: { score: number; sign: 1 | -1; shift: 0 | 1 }[];
}

/** Trees are summed in float32 by the engine, here in doubles. */
const TOLERANCE = 1e-3;

/**
 * Finds out by what answers come from scores, from rows of both: as they are, by the logistic function or the softmax.
 * A binary model may give the probability of its first class, whose score is minus the second's. Where something else
 * stands between them (a calibration), a single score is still one, in a unit of its own.
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
  const near = (expected: (row: number, k: number) => number): boolean =>
    answers.every((answer, at) => {
      const wanted = expected(Math.floor(at / outputs.length), at % outputs.length);
      return Math.abs(answer - wanted) <= TOLERANCE * Math.max(1, Math.abs(wanted));
    });
  const score = (row: number, k: number): number => scores[row * width + k] ?? Number.NaN;
  const plain = outputs.map((_, k) => ({ score: k, sign: 1 as const, shift: 0 as const }));
  if (width === outputs.length && near(score))
    return { unit: regression ? 'target' : 'probability', outputs: plain };
  if (width === 1 && outputs.length === 1) {
    const one = (unit: AttributionUnit, sign: 1 | -1, shift: 0 | 1): Link => ({
      unit,
      outputs: [{ score: 0, sign, shift }],
    });
    if (regression) return one('score', rising(scores, answers) ? 1 : -1, 0);
    if (near((row) => 1 - score(row, 0))) return one('probability', -1, 1);
    if (near((row) => logistic(score(row, 0)))) return one('log_odds', 1, 0);
    if (near((row) => logistic(-score(row, 0)))) return one('log_odds', -1, 0);
    return one('score', rising(scores, answers) ? 1 : -1, 0);
  }
  // Two scores of a binary model: that of the class whose probability is given, found by its direction.
  if (outputs.length === 1 && width === 2) {
    for (const k of [1, 0])
      if (near((row) => score(row, k)))
        return { unit: 'probability', outputs: [{ score: k, sign: 1, shift: 0 }] };
    return undefined;
  }
  if (width !== outputs.length) return undefined;
  const highest = Array.from({ length: rows }, (_, row) =>
    Math.max(...plain.map((_one, k) => score(row, k))),
  );
  const power = (row: number, k: number): number => Math.exp(score(row, k) - (highest[row] ?? 0));
  const sums = highest.map((_, row) => plain.reduce((sum, _one, k) => sum + power(row, k), 0));
  const softmax = near((row, k) => power(row, k) / (sums[row] ?? 1));
  return { unit: softmax ? 'log_odds' : 'score', outputs: plain };
}

const logistic = (value: number): number => 1 / (1 + Math.exp(-value));

/** Whether answers rise with scores. */
function rising(scores: Float64Array, answers: Float64Array): boolean {
  const mean = scores.reduce((sum, value) => sum + value, 0) / scores.length;
  return answers.reduce((sum, answer, row) => sum + answer * ((scores[row] ?? 0) - mean), 0) >= 0;
}
