import {
  type NumberSketch,
  SKETCH_ACCURACY,
  SKETCH_BUCKETS,
  SKETCH_ZERO,
} from '../../contracts/rollout-evidence.ts';

const GAMMA = (1 + SKETCH_ACCURACY) / (1 - SKETCH_ACCURACY);
const LOG_GAMMA = Math.log(GAMMA);

export const emptySketch = (): NumberSketch => ({ zero: 0, positive: {}, negative: {} });

/** The bucket of a number that is not near 0. */
const bucketOf = (magnitude: number): number => Math.ceil(Math.log(magnitude) / LOG_GAMMA);

/** The number that stands for a bucket: no other of the bucket is further away than {@link SKETCH_ACCURACY} of itself. */
const middleOf = (bucket: number): number => (2 * GAMMA ** bucket) / (GAMMA + 1);

/**
 * Counts a number in. Changes the sketch: a server counts every answer.
 *
 * @param value finite
 */
export function addNumber(sketch: NumberSketch, value: number): void {
  const magnitude = Math.abs(value);
  if (magnitude < SKETCH_ZERO) {
    sketch.zero += 1;
    return;
  }
  const buckets = value > 0 ? sketch.positive : sketch.negative;
  const key = String(bucketOf(magnitude));
  buckets[key] = (buckets[key] ?? 0) + 1;
}

/** Both together. */
export function mergedSketches(a: NumberSketch, b: NumberSketch): NumberSketch {
  return {
    zero: a.zero + b.zero,
    positive: mergedCounts(a.positive, b.positive),
    negative: mergedCounts(a.negative, b.negative),
  };
}

/** Counts by key, added up. */
export function mergedCounts(
  a: Readonly<Record<string, number>>,
  b: Readonly<Record<string, number>>,
): Record<string, number> {
  const sum = { ...a };
  // A class may be called `constructor`.
  for (const [key, count] of Object.entries(b)) sum[key] = ((Object.hasOwn(a, key) && a[key]) || 0) + count;
  return sum;
}

/** At most {@link SKETCH_BUCKETS} buckets of each sign: those nearest to 0 become one. */
export const boundedSketch = (sketch: NumberSketch): NumberSketch => ({
  zero: sketch.zero,
  positive: boundedBuckets(sketch.positive),
  negative: boundedBuckets(sketch.negative),
});

function boundedBuckets(buckets: Record<string, number>): Record<string, number> {
  const entries = Object.entries(buckets);
  if (entries.length <= SKETCH_BUCKETS) return buckets;
  const sorted = entries.sort(([a], [b]) => Number(b) - Number(a));
  const kept = sorted.slice(0, SKETCH_BUCKETS);
  const last = kept.at(-1);
  if (last) last[1] += sorted.slice(SKETCH_BUCKETS).reduce((sum, [, count]) => sum + count, 0);
  return Object.fromEntries(kept);
}

const total = (buckets: Readonly<Record<string, number>>): number =>
  Object.values(buckets).reduce((sum, count) => sum + count, 0);

/** How many numbers were counted. */
export const sketchCount = ({ zero, positive, negative }: NumberSketch): number =>
  zero + total(positive) + total(negative);

/** The numbers that stand for the buckets with their counts, ascending. */
export function sketchValues(sketch: NumberSketch): { value: number; count: number }[] {
  const ascending = (buckets: Readonly<Record<string, number>>, sign: 1 | -1) =>
    Object.entries(buckets)
      .map(([key, count]) => ({ value: sign * middleOf(Number(key)), count }))
      .sort((a, b) => a.value - b.value);
  return [
    ...ascending(sketch.negative, -1),
    ...(sketch.zero > 0 ? [{ value: 0, count: sketch.zero }] : []),
    ...ascending(sketch.positive, 1),
  ];
}

/**
 * A quantile, to {@link SKETCH_ACCURACY} of its value.
 *
 * @param q from 0 to 1
 * @returns `undefined` of an empty sketch
 */
export function sketchQuantile(sketch: NumberSketch, q: number): number | undefined {
  const values = sketchValues(sketch);
  const rank = q * (sketchCount(sketch) - 1);
  let seen = 0;
  for (const { value, count } of values) {
    seen += count;
    if (seen > rank) return value;
  }
  return values.at(-1)?.value;
}

/** How many of the numbers are larger than `limit`, by the middle of their bucket. */
export const countAbove = (sketch: NumberSketch, limit: number): number =>
  sketchValues(sketch).reduce((sum, { value, count }) => sum + (value > limit ? count : 0), 0);
