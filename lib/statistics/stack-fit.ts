import { PerennialError } from '../../contracts/errors.ts';
import type { Stack } from '../../contracts/finishing.ts';
import { type Classes, positiveIndex } from './judge.ts';
import { logOdds, safeLog } from './log-odds.ts';
import { type Curvature, minimum } from './newton.ts';
import { membersOf } from './scores.ts';

/** How strongly the parameters are drawn to those of an average: as much as about one row speaks. */
const RIDGE = 1;

/**
 * Fits how the answers of several models become one (stacking, Wolpert 1992): a weight for each member, not below 0
 * (Breiman 1996 found that this is what makes stacking safe), and an intercept for each class. Regression by least
 * squares of standardised numbers, classes by maximum likelihood. A ridge penalty draws the weights to those of the
 * average and the intercepts to 0, so that members that say the same share their weight and few rows change little.
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
  if (classes.task === 'binary') {
    const odds = answers.map((own) => Float64Array.from(own, logOdds));
    const at = logLinear(membersOf(positiveIndex(classes), labels), odds, 2, weights);
    return stack(at.slice(0, answers.length), at.slice(answers.length));
  }
  const odds = answers.map((own) => oddsToFirst(own, width));
  const at = logLinear(labels, odds, width, weights);
  const intercepts = [0, ...at.slice(answers.length)];
  const mean = intercepts.reduce((sum, value) => sum + value, 0) / width;
  return stack(
    at.slice(0, answers.length),
    intercepts.map((value) => value - mean),
  );
}

/** Logarithms of p(class) / p(first class) for all classes but the first, row-major. */
function oddsToFirst(answers: Float32Array | Float64Array, width: number): Float64Array {
  const odds = new Float64Array((answers.length / width) * (width - 1));
  for (let from = 0, to = 0; from < answers.length; from += width) {
    const first = safeLog(answers[from] ?? 0);
    for (let c = 1; c < width; c++) odds[to++] = safeLog(answers[from + c] ?? 0) - first;
  }
  return odds;
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

/**
 * Adds the penalty: of weights that are not those of the average, and of intercepts, which a class without rows would
 * send to infinity.
 */
function ridged(curvature: Curvature, at: Float64Array, members: number): Curvature {
  const { gradient, hessian } = curvature;
  for (let i = 0; i < at.length; i++) {
    const off = (at[i] ?? 0) - (i < members ? 1 / members : 0);
    curvature.value += (RIDGE / 2) * off * off;
    gradient[i] = (gradient[i] ?? 0) + RIDGE * off;
    hessian[i * (at.length + 1)] = (hessian[i * (at.length + 1)] ?? 0) + RIDGE;
  }
  return curvature;
}

/**
 * Softmax of the weighted log-probabilities plus an intercept for each class but the first, whose score is 0: all others
 * are measured from it.
 *
 * @param odds of each member, row-major `[n, classes - 1]`: logarithms of p(class) / p(first class)
 */
function logLinear(
  labels: ArrayLike<number>,
  odds: readonly Float64Array[],
  classes: number,
  weights: Float32Array | undefined,
): Float64Array {
  const members = odds.length;
  const others = classes - 1;
  const k = members + others;
  const share = new Float64Array(others);
  const mean = new Float64Array(members);
  const evaluate = (at: Float64Array): Curvature => {
    let value = 0;
    const gradient = new Float64Array(k);
    const hessian = new Float64Array(k * k);
    for (let row = 0; row < labels.length; row++) {
      const weight = weights?.[row] ?? 1;
      const start = row * others;
      const label = (labels[row] ?? 0) - 1;
      let highest = 0;
      for (let c = 0; c < others; c++) {
        let score = at[members + c] ?? 0;
        for (let m = 0; m < members; m++) score += (at[m] ?? 0) * (odds[m]?.[start + c] ?? 0);
        share[c] = score;
        if (score > highest) highest = score;
      }
      const truth = label < 0 ? 0 : (share[label] ?? 0);
      let sum = Math.exp(-highest);
      for (let c = 0; c < others; c++) {
        share[c] = Math.exp((share[c] ?? 0) - highest);
        sum += share[c] ?? 0;
      }
      value += weight * (Math.log(sum) + highest - truth);
      for (let c = 0; c < others; c++) share[c] = (share[c] ?? 0) / sum;
      // The Hessian is the covariance of what a class adds to each parameter's slope; below the diagonal only.
      for (let m = 0; m < members; m++) {
        const own = odds[m];
        if (!own) continue;
        let middle = 0;
        for (let c = 0; c < others; c++) middle += (share[c] ?? 0) * (own[start + c] ?? 0);
        mean[m] = middle;
        gradient[m] = (gradient[m] ?? 0) + weight * (middle - (label < 0 ? 0 : (own[start + label] ?? 0)));
        for (let l = 0; l <= m; l++) {
          const other = odds[l];
          if (!other) continue;
          let product = -middle * (mean[l] ?? 0);
          for (let c = 0; c < others; c++)
            product += (share[c] ?? 0) * (own[start + c] ?? 0) * (other[start + c] ?? 0);
          hessian[m * k + l] = (hessian[m * k + l] ?? 0) + weight * product;
        }
        for (let c = 0; c < others; c++) {
          const place = (members + c) * k + m;
          const product = (share[c] ?? 0) * ((own[start + c] ?? 0) - middle);
          hessian[place] = (hessian[place] ?? 0) + weight * product;
        }
      }
      for (let c = 0; c < others; c++) {
        const p = weight * (share[c] ?? 0);
        const line = (members + c) * k + members;
        gradient[members + c] = (gradient[members + c] ?? 0) + p - (c === label ? weight : 0);
        for (let d = 0; d <= c; d++) hessian[line + d] = (hessian[line + d] ?? 0) - p * (share[d] ?? 0);
        hessian[line + c] = (hessian[line + c] ?? 0) + p;
      }
    }
    for (let i = 0; i < k; i++) for (let j = 0; j < i; j++) hessian[j * k + i] = hessian[i * k + j] ?? 0;
    return ridged({ value, gradient, hessian }, at, members);
  };
  const { start, lower } = frame(members, others);
  return minimum(start, evaluate, lower).at;
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
