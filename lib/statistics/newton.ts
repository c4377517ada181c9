/** A convex function at one point. */
export interface Curvature {
  value: number;
  gradient: Float64Array;
  /** Row-major `[k, k]`, positive definite. */
  hessian: Float64Array;
}

export interface Minimum {
  at: Float64Array;
  /** Whether the steps became as small as they can; else the best point so far. */
  converged: boolean;
}

const MAX_STEPS = 100;
/** A bound counts as reached from this near on, so that two steps do not swap the same parameter in and out. */
const NEAR = 1e-3;

/**
 * The minimum of a convex function with few parameters, by Newton's steps that are halved until they go down; some
 * parameters may have a lower bound (projected Newton, Bertsekas 1982). The same input gives the same digits.
 *
 * @param start `[k]`, within the bounds
 * @param evaluate value, gradient and Hessian at a point
 * @param lower bounds `[k]`, -Infinity where there is none; none at all by default
 */
export function minimum(
  start: Float64Array,
  evaluate: (at: Float64Array) => Curvature,
  lower: Float64Array = new Float64Array(start.length).fill(Number.NEGATIVE_INFINITY),
): Minimum {
  let at = start;
  let now = evaluate(at);
  for (let step = 0; step < MAX_STEPS; step++) {
    const direction = descent(at, now, lower);
    const whole = moved(at, direction, 1, lower);
    // What the step would gain is lost in the rounding of the value: it is the last one.
    const gain = -climb(now, at, whole);
    if (gain >= 0 && gain <= 1e-13 * (1 + Math.abs(now.value))) return { at: whole, converged: true };
    const next = lineSearch(at, now, direction, lower, evaluate);
    if (!next) return { at, converged: true };
    ({ at, now } = next);
  }
  return { at, converged: false };
}

/** Newton's direction for the free parameters; those held by their bound go straight down, into it. */
function descent(at: Float64Array, { gradient, hessian }: Curvature, lower: Float64Array): Float64Array {
  const k = at.length;
  const free: number[] = [];
  const direction = new Float64Array(k);
  for (let i = 0; i < k; i++) {
    const held = (at[i] ?? 0) <= (lower[i] ?? 0) + NEAR && (gradient[i] ?? 0) > 0;
    if (held) direction[i] = -(gradient[i] ?? 0) / (hessian[i * k + i] ?? 1);
    else free.push(i);
  }
  const part = Float64Array.from(free.flatMap((i) => free.map((j) => hessian[i * k + j] ?? 0)));
  const solved = solve(
    part,
    Float64Array.from(free, (i) => -(gradient[i] ?? 0)),
  );
  for (const [place, i] of free.entries()) direction[i] = solved[place] ?? 0;
  return direction;
}

/** A step of this length, held back by the bounds. */
const moved = (
  at: Float64Array,
  direction: Float64Array,
  length: number,
  lower: Float64Array,
): Float64Array => at.map((value, i) => Math.max(lower[i] ?? 0, value + length * (direction[i] ?? 0)));

/** How much the value rises from one point to another by its gradient. */
const climb = ({ gradient }: Curvature, from: Float64Array, to: Float64Array): number =>
  to.reduce((sum, value, i) => sum + (gradient[i] ?? 0) * (value - (from[i] ?? 0)), 0);

/** The first point along the direction that is low enough (Armijo); `undefined` where none is any lower. */
function lineSearch(
  at: Float64Array,
  now: Curvature,
  direction: Float64Array,
  lower: Float64Array,
  evaluate: (at: Float64Array) => Curvature,
): { at: Float64Array; now: Curvature } | undefined {
  for (let length = 1; length > 1e-12; length /= 2) {
    const tried = moved(at, direction, length, lower);
    const slope = climb(now, at, tried);
    if (slope >= 0) continue;
    const then = evaluate(tried);
    if (then.value <= now.value + 1e-4 * slope) return { at: tried, now: then };
  }
  return undefined;
}

/**
 * Solves `matrix * x = right` by Cholesky's decomposition; a pivot that rounding has made 0 or less becomes tiny, which
 * leaves the direction a descent.
 */
function solve(matrix: Float64Array, right: Float64Array): Float64Array {
  const k = right.length;
  const root = new Float64Array(k * k);
  const cell = (i: number, j: number): number => root[i * k + j] ?? 0;
  const x = new Float64Array(right);
  for (let i = 0; i < k; i++)
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * k + j] ?? 0;
      for (let l = 0; l < j; l++) sum -= cell(i, l) * cell(j, l);
      if (i === j) root[i * k + i] = Math.sqrt(Math.max(sum, 1e-14 * (matrix[i * k + i] ?? 0), 1e-300));
      else root[i * k + j] = sum / cell(j, j);
    }
  for (let i = 0; i < k; i++) {
    let sum = x[i] ?? 0;
    for (let j = 0; j < i; j++) sum -= cell(i, j) * (x[j] ?? 0);
    x[i] = sum / cell(i, i);
  }
  for (let i = k - 1; i >= 0; i--) {
    let sum = x[i] ?? 0;
    for (let j = i + 1; j < k; j++) sum -= cell(j, i) * (x[j] ?? 0);
    x[i] = sum / cell(i, i);
  }
  return x;
}
