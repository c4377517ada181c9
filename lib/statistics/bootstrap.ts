import { setImmediate } from 'node:timers/promises';
import type { Interval, MetricIntervals, MetricValues } from '../../contracts/evaluation-report.ts';
import { carriesBound, samplesFor } from '../../contracts/spec/gates.ts';
import type { MetricName } from '../../contracts/spec/metrics.ts';
import type { RowCounts, Scores } from './scores.ts';

/** Rows that are drawn for all samples together: with more rows there are fewer samples, but so many in any case. */
const MOST_DRAWN = 200_000_000;
const FEWEST = 100;
/** As many as a one-sided bound at 99 % needs. */
const FEWEST_OF_BOUNDS = 500;

/**
 * How many samples are drawn of so many rows, where so many are wanted. Of more than 200,000 rows fewer, at least 100, or
 * as many as the bounds need that are asked for, up to 500.
 *
 * @param bounds confidences of one-sided bounds
 */
export function resamplesOf(rows: number, wanted: number, bounds: readonly number[] = []): number {
  const needed = bounds.map((confidence) => Math.min(FEWEST_OF_BOUNDS, samplesFor(confidence)));
  return Math.min(wanted, Math.max(FEWEST, ...needed, Math.floor(MOST_DRAWN / rows)));
}

/** Which samples are drawn: those from one number to before another. */
export interface SampleRange {
  seed: number;
  from: number;
  before: number;
}

/** The values of each metric in the samples in which it is defined, in no order that matters. */
export type SampledValues = Record<string, Float64Array>;

/** Metrics of bootstrap samples. */
export const sampledMetrics = (scores: Scores, range: SampleRange): Promise<SampledValues> =>
  sampled(scores.rows, (counts) => scores.metrics(counts), range);

/**
 * Metrics of the first minus those of the second, of the same bootstrap samples.
 *
 * @param as `share`: the difference as a share of the second's value; none where that is not above 0
 */
export async function sampledDifferences(
  first: Scores,
  second: Scores,
  range: SampleRange,
  as: 'units' | 'share' = 'units',
): Promise<SampledValues> {
  if (first.rows !== second.rows)
    throw new RangeError(`models are compared on the same rows, not on ${first.rows} and ${second.rows}`);
  const difference = (counts: RowCounts): MetricValues => {
    const other = second.metrics(counts);
    return Object.fromEntries(
      Object.entries(first.metrics(counts)).flatMap(([name, value]) => {
        const against = other[name as MetricName];
        if (against === undefined) return [];
        if (as === 'units') return [[name, value - against]];
        return against > 0 ? [[name, (value - against) / against]] : [];
      }),
    );
  };
  return sampled(first.rows, difference, range);
}

async function sampled(
  rows: number,
  valuesOf: (counts: RowCounts) => MetricValues,
  { seed, from, before }: SampleRange,
): Promise<SampledValues> {
  const seen = new Map<string, Float64Array>();
  const defined = new Map<string, number>();
  const counts = new Uint16Array(rows);
  for (let sample = from; sample < before; sample++) {
    await setImmediate();
    drawSample(counts, seed, sample);
    for (const [name, value] of Object.entries(valuesOf(counts))) {
      const values = seen.get(name) ?? new Float64Array(before - from);
      const place = defined.get(name) ?? 0;
      values[place] = value;
      seen.set(name, values);
      defined.set(name, place + 1);
    }
  }
  return Object.fromEntries([...seen].map(([name, all]) => [name, all.slice(0, defined.get(name))]));
}

/**
 * How often each row stands in a sample. The generator is that of `seededRandom` (random.ts), written out: a call for each row
 * takes four times as long.
 */
export function drawSample(counts: Uint16Array, seed: number, sample: number): void {
  const rows = counts.length;
  // Of each sample its own: one generator would come round again after some thousand millions of rows.
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(sample + 1, 0x85ebca6b);
  counts.fill(0);
  for (let drawn = 0; drawn < rows; drawn++) {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const row = Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296) * rows);
    counts[row] = (counts[row] ?? 0) + 1;
  }
}

/** Of the samples of which so many lack a value an interval would leave out the very ones that count. */
const LEAST_DEFINED = 0.99;

/**
 * The two-sided percentile interval of each metric (Efron and Tibshirani 1993, chapter 13); none where fewer than 99 % of
 * the samples that were drawn have a value (one class alone, say): it would be of the easier samples alone.
 *
 * @param drawn the number of samples
 */
export function intervalsOf(samples: SampledValues, confidence: number, drawn: number): MetricIntervals {
  const tail = (1 - confidence) / 2;
  return betweenAll(samples, tail, drawn);
}

/**
 * One-sided bounds: the metric lies above `low`, or below `high`, with the confidence. None where too few samples lie
 * beyond it to tell where it is (see {@link carriesBound}), or where samples have no value, as in {@link intervalsOf}.
 *
 * @param drawn the number of samples
 */
export const boundsOf = (samples: SampledValues, confidence: number, drawn: number): MetricIntervals =>
  carriesBound(drawn, confidence) ? betweenAll(samples, 1 - confidence, drawn) : {};

const betweenAll = (samples: SampledValues, tail: number, drawn: number): MetricIntervals =>
  Object.fromEntries(
    Object.entries(samples)
      .filter(([, values]) => isDefined(values.length, drawn))
      .map(([name, values]) => [name, between(values, tail)]),
  );

/** Whether so many of the samples have a value that an interval can be told from them. */
export const isDefined = (values: number, drawn: number): boolean =>
  values > 0 && values >= LEAST_DEFINED * drawn;

/** Of values in any order those that leave a share of them on either side. */
export function between(values: Float64Array, tail: number): Interval {
  const ascending = values.toSorted();
  return { low: quantile(ascending, tail), high: quantile(ascending, 1 - tail) };
}

/** Quantile of ascending values, interpolated linearly (Hyndman and Fan 1996, type 7, as in numpy). */
export function quantile(ascending: Float64Array, share: number): number {
  const place = share * (ascending.length - 1);
  const below = Math.floor(place);
  const low = ascending[below] ?? Number.NaN;
  const high = ascending[Math.min(below + 1, ascending.length - 1)] ?? Number.NaN;
  return low + (high - low) * (place - below);
}
