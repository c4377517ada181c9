import { z } from 'zod';
import { double, int64, text } from './wire.ts';

/** One measured value as the server keeps it. */
export interface Metric {
  readonly key: string;
  /** May be NaN or infinite when another client logged it so. */
  readonly value: number;
  /** Epoch milliseconds. */
  readonly timestamp: number;
  readonly step: number;
  /** Dataset it was measured on, when one was named. */
  readonly datasetName: string | undefined;
  readonly datasetDigest: string | undefined;
  /** Logged model it belongs to, when one was named. */
  readonly modelId: string | undefined;
  /** Run that logged it, where the endpoint says so. */
  readonly runId: string | undefined;
}

/** One value to log. */
export interface MetricInput {
  /** Up to 250 characters. */
  readonly key: string;
  /** Finite: MLflow 3.17 would store NaN and infinities as 0 at timestamp 0. */
  readonly value: number;
  /** Epoch milliseconds. Default: now. */
  readonly timestamp?: number | undefined;
  /** Default 0. */
  readonly step?: number | undefined;
  /** Dataset it was measured on. */
  readonly datasetName?: string | undefined;
  readonly datasetDigest?: string | undefined;
  /** Logged model it belongs to. */
  readonly modelId?: string | undefined;
}

export const metricSchema = z
  .object({
    key: z.string(),
    // Protobuf leaves zeros out where the field is not marked present.
    value: double.default(0),
    timestamp: int64.default(0),
    step: int64.default(0),
    dataset_name: text,
    dataset_digest: text,
    model_id: text,
    run_id: text,
  })
  .transform(
    (wire): Metric => ({
      key: wire.key,
      value: wire.value,
      timestamp: wire.timestamp,
      step: wire.step,
      datasetName: wire.dataset_name,
      datasetDigest: wire.dataset_digest,
      modelId: wire.model_id,
      runId: wire.run_id,
    }),
  );
