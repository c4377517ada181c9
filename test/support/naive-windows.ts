import type { Aggregate } from '../../contracts/serving.ts';

/** An event of one entity; `null`: it has no value. */
export interface NaiveEvent {
  readonly time: number;
  readonly value: number | null;
}

/**
 * An aggregate over the events of [before − length, before), as slowly and plainly as can be; `null` where SQL has NULL.
 */
export function naiveAggregate(
  aggregate: Aggregate,
  events: readonly NaiveEvent[],
  { before, length }: { before: number; length: number },
): number | null {
  const within = events.filter(({ time }) => time >= before - length && time < before);
  const counted = within.flatMap(({ time, value }) =>
    value === null || !Number.isFinite(value) ? [] : [{ time, value }],
  );
  const values = counted.map(({ value }) => value);
  if (aggregate === 'count') return values.length;
  if (values.length === 0) return null;
  const mean = exactSum(values) / values.length;
  const deviations = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  switch (aggregate) {
    case 'sum':
      return exactSum(values);
    case 'avg':
      return mean;
    case 'min':
      return Math.min(...values);
    case 'max':
      return Math.max(...values);
    case 'var_pop':
      return deviations / values.length;
    case 'var_samp':
      return values.length < 2 ? null : deviations / (values.length - 1);
    case 'stddev_pop':
      return Math.sqrt(deviations / values.length);
    case 'stddev_samp':
      return values.length < 2 ? null : Math.sqrt(deviations / (values.length - 1));
    case 'last': {
      const latest = Math.max(...counted.map(({ time }) => time));
      return Math.max(...counted.filter(({ time }) => time === latest).map(({ value }) => value));
    }
  }
}

/** Numbers from 1e-16 to 1e250 are whole multiples of its inverse. */
const SCALE = 2 ** 110;

/** The double next to the exact sum. */
export const exactSum = (values: readonly number[]): number =>
  Number(values.reduce((sum, value) => sum + BigInt(value * SCALE), 0n)) / SCALE;

/** Aggregates of squares: equal but for the last digits, since the mean is rounded in one way or another. */
export const ROUNDED: ReadonlySet<Aggregate> = new Set(['var_pop', 'var_samp', 'stddev_pop', 'stddev_samp']);
