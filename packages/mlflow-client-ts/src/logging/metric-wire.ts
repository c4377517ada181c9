import { invalidArgument } from '../errors.ts';
import { assertLength, assertNotEmpty, LIMITS, shorten } from '../limits.ts';
import type { MetricInput } from '../schemas/metric.ts';

/** A metric as the server takes it. */
export interface WireMetric {
  key: string;
  value: number;
  timestamp: number;
  step: number;
  model_id?: string | undefined;
  dataset_name?: string | undefined;
  dataset_digest?: string | undefined;
}

/**
 * Checks a metric and brings it into the server's form.
 *
 * @param now timestamp for metrics that have none, epoch milliseconds.
 * @throws MlflowError (`invalid-argument`) for a non-finite value: MLflow 3.17 would
 * store it as 0 at timestamp 0, a wrong number that looks like a right one.
 */
export function toWireMetric(metric: MetricInput, now: number): WireMetric {
  const { key, value, timestamp = now, step = 0 } = metric;
  assertNotEmpty('metric key', key);
  assertLength(`metric key "${shorten(key)}"`, key, LIMITS.entityKey);
  const name = `metric "${shorten(key)}"`;
  if (!Number.isFinite(value)) {
    throw invalidArgument(`${name} has the value ${value}; MLflow cannot store it, log finite numbers only`);
  }
  if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
    throw invalidArgument(
      `${name} has the timestamp ${timestamp}; expected whole epoch milliseconds, 0 or later`,
    );
  }
  if (!Number.isSafeInteger(step))
    throw invalidArgument(`${name} has the step ${step}; expected a whole number`);
  return {
    key,
    value,
    timestamp,
    step,
    model_id: metric.modelId,
    dataset_name: metric.datasetName,
    dataset_digest: metric.datasetDigest,
  };
}
