import { setImmediate } from 'node:timers/promises';
import type { MetricIntervals, MetricValues } from '../../contracts/reports.ts';
import type { MetricName } from '../../contracts/spec/evaluation.ts';
import { seededRandom } from './random.ts';
import type { RowCounts, Scores } from './scores.ts';

/** Options of the bootstrap. */
export interface BootstrapOptions {
  /** Samples that are drawn; default 1,000. Of more than 200,000 rows fewer, at least 100. */
  resamples?: number;
  /** Default 0.95. */
  confidence?: number;
  /** The same seed gives the same samples on every machine; default 0. */
  seed?: number;
}

/** Rows that are drawn for all samples together: with more rows there are fewer samples, but so many in any case. */
const MOST_DRAWN = 200_000_000;
const FEWEST = 100;

const DEFAULTS = { resamples: 1_000, confidence: 0.95, seed: 0 };

/**
 * Percentile bootstrap intervals (Efron and Tibshirani 1993, chapter 13) of all metrics: rows are drawn with
 * replacement, as many as there are. A metric that is undefined in a sample (one class alone, say) is left out of that
 * sample. Other work of the process goes on between two samples.
 *
 * @example
 * await bootstrapIntervals(new BinaryScores(positives, probabilities), { resamples: 1_000 }); // { roc_auc: { low: 0.88, high: 0.91 }, … }
 */
export function bootstrapIntervals(scores: Scores, options: BootstrapOptions = {}): Promise<MetricIntervals> {
  return intervals(scores.rows, (counts) => scores.metrics(counts), options);
}

/**
 * Intervals of how much better or worse a model is than another on the same rows: metric by metric the value of the
 * first minus that of the second, over the same samples.
 */
export async function pairedIntervals(
  first: Scores,
  second: Scores,
  options: BootstrapOptions = {},
): Promise<MetricIntervals> {
  if (first.rows !== second.rows)
    throw new RangeError(`models are compared on the same rows, not on ${first.rows} and ${second.rows}`);
  const difference = (counts: RowCounts): MetricValues => {
    const other = second.metrics(counts);
    return Object.fromEntries(
      Object.entries(first.metrics(counts)).flatMap(([name, value]) => {
        const against = other[name as MetricName];
        return against === undefined ? [] : [[name, value - against]];
      }),
    );
  };
  return intervals(first.rows, difference, options);
}

async function intervals(
  rows: number,
  valuesOf: (counts: RowCounts) => MetricValues,
  options: BootstrapOptions,
): Promise<MetricIntervals> {
  const { resamples: wanted, confidence, seed } = { ...DEFAULTS, ...options };
  const resamples = Math.min(wanted, Math.max(FEWEST, Math.floor(MOST_DRAWN / rows)));
  const seen = new Map<string, Float64Array>();
  const defined = new Map<string, number>();
  const counts = new Uint16Array(rows);
  for (let sample = 0; sample < resamples; sample++) {
    await setImmediate();
    // Of each sample its own: one generator would come round again after some thousand millions of rows.
    const random = seededRandom(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(sample + 1, 0x85ebca6b));
    counts.fill(0);
    for (let drawn = 0; drawn < rows; drawn++) {
      const row = Math.floor(random() * rows);
      counts[row] = (counts[row] ?? 0) + 1;
    }
    for (const [name, value] of Object.entries(valuesOf(counts))) {
      const values = seen.get(name) ?? new Float64Array(resamples);
      const place = defined.get(name) ?? 0;
      values[place] = value;
      seen.set(name, values);
      defined.set(name, place + 1);
    }
  }
  const tail = (1 - confidence) / 2;
  return Object.fromEntries(
    [...seen].map(([name, all]) => {
      const values = all.subarray(0, defined.get(name)).sort();
      return [name, { low: quantile(values, tail), high: quantile(values, 1 - tail) }];
    }),
  );
}

/** Quantile of ascending values, interpolated linearly (Hyndman and Fan 1996, type 7, as in numpy). */
function quantile(ascending: Float64Array, share: number): number {
  const place = share * (ascending.length - 1);
  const below = Math.floor(place);
  const low = ascending[below] ?? Number.NaN;
  const high = ascending[Math.min(below + 1, ascending.length - 1)] ?? Number.NaN;
  return low + (high - low) * (place - below);
}
