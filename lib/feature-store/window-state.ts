import type { Aggregate } from '../../contracts/serving.ts';

/*
 * What is known of the events of a window, for one value of theirs: enough for every aggregate that a feature view may
 * ask for. States of neighbouring stretches of time are merged, never subtracted, so that an event that has left a
 * window leaves nothing behind. Sums are kept in two doubles (Dekker, "A floating-point technique for extending the
 * available precision", 1971): whatever the order and the grouping of the events, training and serving round to the
 * same number.
 */

/** Numbers of one state in an array of states. */
export const STATE_WIDTH = 9;

const COUNT = 0;
const SUM = 1;
const SUM_REST = 2;
const SQUARES = 3;
const SQUARES_REST = 4;
const MIN = 5;
const MAX = 6;
const LAST_AT = 7;
const LAST = 8;

/** Dekker's constant for doubles: 2^27 + 1. */
const SPLITTER = 134_217_729;
/** Above it a square is no finite number. */
const MOST_SQUARED = 1e150;

/** The state of no events. @param at where it begins */
export function clearState(states: Float64Array, at: number): void {
  states[at + COUNT] = 0;
  states[at + SUM] = 0;
  states[at + SUM_REST] = 0;
  states[at + SQUARES] = 0;
  states[at + SQUARES_REST] = 0;
  states[at + MIN] = Infinity;
  states[at + MAX] = -Infinity;
  states[at + LAST_AT] = -Infinity;
  states[at + LAST] = Number.NaN;
}

/** Copies a state; number by number, since a call of the engine for nine of them costs more than they do. */
export function copyState(states: Float64Array, at: number, from: number): void {
  for (let i = 0; i < STATE_WIDTH; i++) states[at + i] = states[from + i] ?? 0;
}

/**
 * Adds one event.
 *
 * @param value NaN: the event has none, and does not count
 * @param time any number that grows with time
 */
export function addEvent(states: Float64Array, at: number, value: number, time: number): void {
  if (Number.isNaN(value)) return;
  const square = value * value;
  states[at + COUNT] = (states[at + COUNT] ?? 0) + 1;
  addPair(states, at + SUM, value, 0);
  addPair(states, at + SQUARES, square, restOfProduct(value, value, square));
  extend(states, at, value, value, value, time);
}

/** Adds the events of another state. */
export function mergeState(states: Float64Array, at: number, others: Float64Array, from: number): void {
  const count = others[from + COUNT] ?? 0;
  if (count === 0) return;
  states[at + COUNT] = (states[at + COUNT] ?? 0) + count;
  addPair(states, at + SUM, others[from + SUM] ?? 0, others[from + SUM_REST] ?? 0);
  addPair(states, at + SQUARES, others[from + SQUARES] ?? 0, others[from + SQUARES_REST] ?? 0);
  extend(
    states,
    at,
    others[from + MIN] ?? 0,
    others[from + MAX] ?? 0,
    others[from + LAST] ?? 0,
    others[from + LAST_AT] ?? 0,
  );
}

/** Takes in the least, the greatest and the last value of other events; of values of one moment the greatest is the last. */
function extend(
  states: Float64Array,
  at: number,
  min: number,
  max: number,
  last: number,
  time: number,
): void {
  if (min < (states[at + MIN] ?? 0)) states[at + MIN] = min;
  if (max > (states[at + MAX] ?? 0)) states[at + MAX] = max;
  const known = states[at + LAST_AT] ?? 0;
  if (time > known || (time === known && last > (states[at + LAST] ?? 0))) {
    states[at + LAST_AT] = time;
    states[at + LAST] = last;
  }
}

/** An aggregate of the events of a state; NaN where SQL has NULL, also where the result is no finite number. */
export function aggregateOf(aggregate: Aggregate, states: Float64Array, at: number): number {
  const count = states[at + COUNT] ?? 0;
  if (aggregate === 'count') return count;
  if (count === 0) return Number.NaN;
  return finite(aggregated(aggregate, states, at, count));
}

function aggregated(
  aggregate: Exclude<Aggregate, 'count'>,
  states: Float64Array,
  at: number,
  count: number,
): number {
  switch (aggregate) {
    case 'sum':
      return states[at + SUM] ?? 0;
    case 'avg':
      return (states[at + SUM] ?? 0) / count;
    case 'min':
      return states[at + MIN] ?? 0;
    case 'max':
      return states[at + MAX] ?? 0;
    case 'last':
      return states[at + LAST] ?? 0;
    case 'var_pop':
      return deviations(states, at, count) / count;
    case 'var_samp':
      return deviations(states, at, count) / (count - 1);
    case 'stddev_pop':
      return Math.sqrt(deviations(states, at, count) / count);
    case 'stddev_samp':
      return Math.sqrt(deviations(states, at, count) / (count - 1));
  }
}

const finite = (value: number): number => (Number.isFinite(value) ? value : Number.NaN);

/** Σ(x − mean)² = Σx² − (Σx)²/n, in two doubles: what cancels leaves a whole double. */
function deviations(states: Float64Array, at: number, count: number): number {
  const sum = states[at + SUM] ?? 0;
  const rest = states[at + SUM_REST] ?? 0;
  const product = sum * sum;
  const productRest = restOfProduct(sum, sum, product) + 2 * sum * rest;
  const share = product / count;
  const back = share * count;
  const shareRest = (product - back - restOfProduct(share, count, back) + productRest) / count;
  const squares = states[at + SQUARES] ?? 0;
  const difference = squares - share;
  const lost = restOfSum(squares, -share, difference);
  return Math.max(0, difference + (lost + (states[at + SQUARES_REST] ?? 0) - shareRest));
}

/** Adds (high, low) to the pair at `at`, and leaves it normalised. */
function addPair(states: Float64Array, at: number, high: number, low: number): void {
  const known = states[at] ?? 0;
  const sum = known + high;
  const rest = restOfSum(known, high, sum) + (states[at + 1] ?? 0) + low;
  const whole = sum + rest;
  states[at] = whole;
  states[at + 1] = rest - (whole - sum);
}

/** What rounding took from a + b (Knuth's two-sum). */
function restOfSum(a: number, b: number, sum: number): number {
  const rounded = sum - a;
  return a - (sum - rounded) + (b - rounded);
}

/** What rounding took from a · b (Dekker's two-product). */
function restOfProduct(a: number, b: number, product: number): number {
  if (Math.abs(a) > MOST_SQUARED || Math.abs(b) > MOST_SQUARED) return 0;
  const aHigh = highPart(a);
  const bHigh = highPart(b);
  const aLow = a - aHigh;
  const bLow = b - bHigh;
  return aHigh * bHigh - product + aHigh * bLow + aLow * bHigh + aLow * bLow;
}

function highPart(value: number): number {
  const scaled = SPLITTER * value;
  return scaled - (scaled - value);
}
