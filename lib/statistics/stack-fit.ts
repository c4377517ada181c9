import { PerennialError } from '../../contracts/errors.ts';
import type { Stack } from '../../contracts/finishing.ts';
import { type Classes, positiveIndex } from './judge.ts';
import { safeLog } from './log-odds.ts';
import { type Curvature, minimum } from './newton.ts';
import { membersOf } from './scores.ts';

/** How strongly the weights are drawn to those of an average: as much as about one row speaks. */
const RIDGE = 1;

/**
 * Fits how the answers of several models become one (stacking, Wolpert 1992): a weight for each member, not below 0
 * (Breiman 1996 found that this is what makes stacking safe), and an intercept for each class. Regression by least
 * squares of standardised numbers, classes by maximum likelihood. A ridge penalty draws the weights to those of the
 * average, so that members that say the same share their weight and few rows change little.
 *
 * All classes share the members' weights: fewer parameters than a full multinomial model, and a rare class cannot get
 * wild ones.
 *
 * @param labels class indices or numbers, `[n]`
 * @param answers of each member for rows that it was not trained on (out-of-fold answers), in the shapes of
 *   {@link applyCombination}
 * @param weights how much each row counts, `[n]`
 * @throws PerennialError `InputInvalid` where shapes do not fit; `StageFailed` where an answer is no finite number
 * @example
 * const stack = fitStack(problem, labels, [outOfFoldA, outOfFoldB]);
 * const { onnx } = composeEnsemble(members, stack, options);
 */
export function fitStack(
  classes: Classes,
  labels: Int32Array | Float32Array,
  answers: readonly (Float32Array | Float64Array)[],
  weights?: Float32Array,
): Stack {
  const width = classes.task === 'multiclass' ? classes.classNames.length : 1;
  requireShapes(labels, answers, width, weights);
  if (classes.task === 'regression') return linearStack(labels, answers, weights);
  if (classes.task === 'multiclass') {
    const { at } = logLinear(
      labels,
      answers.map((own) => Float64Array.from(own, safeLog)),
      width,
      weights,
    );
    const intercepts = [0, ...at.slice(answers.length)];
    const mean = intercepts.reduce((sum, value) => sum + value, 0) / width;
    return stack(
      at.slice(0, answers.length),
      intercepts.map((value) => value - mean),
    );
  }
  const logs = answers.map((own) =>
    Float64Array.from({ length: own.length * 2 }, (_, i) => {
      const probability = own[i >> 1] ?? Number.NaN;
      return safeLog(i % 2 === 1 ? probability : 1 - probability);
    }),
  );
  const { at } = logLinear(membersOf(positiveIndex(classes), labels), logs, 2, weights);
  return stack(at.slice(0, answers.length), at.slice(answers.length));
}

const stack = (weights: ArrayLike<number>, intercepts: ArrayLike<number>): Stack => ({
  method: 'stack',
  weights: Array.from(weights),
  intercepts: Array.from(intercepts),
});

/** Bounds and start: the average of the members, no intercept. */
function frame(members: number, intercepts: number): { start: Float64Array; lower: Float64Array } {
  const start = new Float64Array(members + intercepts).fill(1 / members, 0, members);
  return { start, lower: new Float64Array(start.length).fill(Number.NEGATIVE_INFINITY).fill(0, 0, members) };
}

/** Adds the penalty of the members' weights. */
function ridged(curvature: Curvature, at: Float64Array, members: number): Curvature {
  const { gradient, hessian } = curvature;
  for (let m = 0; m < members; m++) {
    const off = (at[m] ?? 0) - 1 / members;
    curvature.value += (RIDGE / 2) * off * off;
    gradient[m] = (gradient[m] ?? 0) + RIDGE * off;
    hessian[m * (at.length + 1)] = (hessian[m * (at.length + 1)] ?? 0) + RIDGE;
  }
  return curvature;
}

/**
 * Softmax of the weighted log-probabilities plus an intercept for each class but the first.
 *
 * @param logs of each member, row-major `[n, classes]`
 */
function logLinear(
  labels: ArrayLike<number>,
  logs: readonly Float64Array[],
  classes: number,
  weights: Float32Array | undefined,
): { at: Float64Array } {
  const members = logs.length;
  const k = members + classes - 1;
  const evaluate = (at: Float64Array): Curvature => {
    let value = 0;
    const gradient = new Float64Array(k);
    const hessian = new Float64Array(k * k);
    const share = new Float64Array(classes);
    const mean = new Float64Array(k);
    const add = (to: Float64Array, place: number, amount: number) => {
      to[place] = (to[place] ?? 0) + amount;
    };
    for (let row = 0; row < labels.length; row++) {
      const weight = weights?.[row] ?? 1;
      if (weight === 0) continue;
      const log = (m: number, c: number): number => logs[m]?.[row * classes + c] ?? 0;
      let highest = Number.NEGATIVE_INFINITY;
      for (let c = 0; c < classes; c++) {
        let score = c === 0 ? 0 : (at[members + c - 1] ?? 0);
        for (let m = 0; m < members; m++) score += (at[m] ?? 0) * log(m, c);
        share[c] = score;
        if (score > highest) highest = score;
      }
      const label = labels[row] ?? 0;
      const own = share[label] ?? 0;
      let sum = 0;
      for (let c = 0; c < classes; c++) {
        share[c] = Math.exp((share[c] ?? 0) - highest);
        sum += share[c] ?? 0;
      }
      value += weight * (Math.log(sum) + highest - own);
      mean.fill(0);
      for (let c = 0; c < classes; c++) {
        const p = (share[c] ?? 0) / sum;
        for (let m = 0; m < members; m++) {
          const part = weight * p * log(m, c);
          add(mean, m, p * log(m, c));
          for (let l = 0; l <= m; l++) add(hessian, m * k + l, part * log(l, c));
          if (c > 0) add(hessian, (members + c - 1) * k + m, part);
        }
        if (c === 0) continue;
        mean[members + c - 1] = p;
        add(hessian, (members + c - 1) * (k + 1), weight * p);
      }
      for (let i = 0; i < k; i++) {
        const mine = mean[i] ?? 0;
        const truth = i < members ? log(i, label) : label === i - members + 1 ? 1 : 0;
        add(gradient, i, weight * (mine - truth));
        for (let j = 0; j <= i; j++) add(hessian, i * k + j, -weight * mine * (mean[j] ?? 0));
      }
    }
    for (let i = 0; i < k; i++) for (let j = 0; j < i; j++) hessian[j * k + i] = hessian[i * k + j] ?? 0;
    return ridged({ value, gradient, hessian }, at, members);
  };
  const { start, lower } = frame(members, classes - 1);
  return minimum(start, evaluate, lower);
}

/** Least squares; labels and predictions are measured from the labels' mean, in their standard deviation. */
function linearStack(
  labels: Int32Array | Float32Array,
  answers: readonly (Float32Array | Float64Array)[],
  weights: Float32Array | undefined,
): Stack {
  const members = answers.length;
  let [mass, sum] = [0, 0];
  for (const [row, label] of labels.entries()) {
    mass += weights?.[row] ?? 1;
    sum += (weights?.[row] ?? 1) * label;
  }
  const mean = sum / mass;
  let squares = 0;
  for (const [row, label] of labels.entries()) squares += (weights?.[row] ?? 1) * (label - mean) ** 2;
  const scale = Math.sqrt(squares / mass) || 1;

  // The normal equations are all that the rows say.
  const k = members + 1;
  const products = new Float64Array(k * k);
  const right = new Float64Array(k);
  const values = new Float64Array(k).fill(1);
  for (const [row, label] of labels.entries()) {
    const weight = weights?.[row] ?? 1;
    for (let m = 0; m < members; m++) values[m] = ((answers[m]?.[row] ?? 0) - mean) / scale;
    for (let i = 0; i < k; i++) {
      right[i] = (right[i] ?? 0) + weight * (values[i] ?? 0) * ((label - mean) / scale);
      for (let j = 0; j < k; j++)
        products[i * k + j] = (products[i * k + j] ?? 0) + weight * (values[i] ?? 0) * (values[j] ?? 0);
    }
  }
  const evaluate = (at: Float64Array): Curvature => {
    const gradient = Float64Array.from(right, (own, i) =>
      at.reduce((total, value, j) => total + (products[i * k + j] ?? 0) * value, -own),
    );
    // Up to a constant.
    const value = at.reduce((total, own, i) => total + (own * ((gradient[i] ?? 0) - (right[i] ?? 0))) / 2, 0);
    return ridged({ value, gradient, hessian: new Float64Array(products) }, at, members);
  };
  const { start, lower } = frame(members, 1);
  const { at } = minimum(start, evaluate, lower);
  const fitted = at.slice(0, members);
  const total = fitted.reduce((all, weight) => all + weight, 0);
  return stack(fitted, [scale * (at[members] ?? 0) + mean * (1 - total)]);
}

function requireShapes(
  labels: ArrayLike<number>,
  answers: readonly (Float32Array | Float64Array)[],
  width: number,
  weights: Float32Array | undefined,
): void {
  const refuse = (message: string): never => {
    throw new PerennialError('InputInvalid', message);
  };
  if (answers.length < 2) refuse(`A stack needs at least 2 members, not ${answers.length}.`);
  if (labels.length === 0) refuse('A stack needs rows.');
  for (const own of answers)
    if (own.length !== labels.length * width)
      refuse(
        `${labels.length} labels need ${labels.length * width} answers of each member, not ${own.length}.`,
      );
  if (weights && weights.length !== labels.length)
    refuse(`${labels.length} labels need as many weights, not ${weights.length}.`);
  for (const own of answers)
    for (const answer of own)
      if (!Number.isFinite(answer))
        throw new PerennialError(
          'StageFailed',
          'A stack needs finite numbers: an answer of a member is none.',
        );
}
