import { z } from 'zod';

const sample = z.object({
  /** Only names that the server knows, so that what clients send cannot fill the memory. */
  labels: z.record(z.string(), z.union([z.string(), z.number()])),
  value: z.number().or(z.nan()),
  /** Of a histogram's parts: `<name>_bucket`, `<name>_sum`, `<name>_count`. */
  metricName: z.string().optional(),
});
/** One value under its labels. */
export type MetricSample = z.infer<typeof sample>;

/** One metric as plain data: it travels between processes, and prom-client writes it. */
export const metricFamily = z.object({
  /** In the words of Prometheus: `perennial_…`, base units, counters end in `_total`. */
  name: z.string(),
  help: z.string(),
  type: z.enum(['counter', 'gauge', 'histogram', 'summary']),
  /** What becomes of the values of several processes under the same labels. */
  aggregator: z.enum(['sum', 'max', 'min', 'average', 'first', 'omit']),
  values: z.array(sample),
});
export type MetricFamily = z.infer<typeof metricFamily>;

/**
 * Something that is counted. Asked when somebody reads the metrics, not when something happens: on the way of a
 * request plain numbers are added up.
 *
 * @example metrics.add({ collect: () => [gauge('perennial_queue_rows', 'Rows that wait.', [{ labels, value }])] })
 */
export interface MetricSource {
  /** Must neither throw nor wait. */
  collect(): MetricFamily[];
}

/** What only grows; over several processes it is added up. */
export const counter = (name: string, help: string, values: MetricSample[]): MetricFamily => ({
  name,
  help,
  type: 'counter',
  aggregator: 'sum',
  values,
});

/** What goes up and down; `aggregator` says what several processes mean together, default their sum. */
export const gauge = (
  name: string,
  help: string,
  values: MetricSample[],
  aggregator: MetricFamily['aggregator'] = 'sum',
): MetricFamily => ({ name, help, type: 'gauge', aggregator, values });

/** A distribution; `values` come from `Distribution.samples`. */
export const histogram = (name: string, help: string, values: MetricSample[]): MetricFamily => ({
  name,
  help,
  type: 'histogram',
  aggregator: 'sum',
  values,
});
