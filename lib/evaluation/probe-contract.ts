import { z } from 'zod';
import { footprint, robustnessResult } from '../../contracts/evaluation-report.ts';
import type { ModelSignature } from '../../contracts/serving.ts';
import type { MetricName } from '../../contracts/spec/metrics.ts';
import type { Problem } from '../statistics/judge.ts';

/** What happens to features, one at a time. */
export interface Perturbation {
  robustness: 'missing' | 'shift';
  /** Standard deviations of a shift. */
  by: number;
  /** Metrics that are looked at. */
  metrics: MetricName[];
  /** Inputs; `all` of them. */
  features: string[] | 'all';
}

/** What is asked about a model on some rows. */
export interface ProbeQuestion {
  /** The rows, in a Parquet file, and their labels. */
  parquetPath: string;
  labels: Int32Array | Float32Array;
  modelPath: string;
  signature: ModelSignature;
  problem: Problem;
  threshold?: number;
  perturbations: Perturbation[];
  /** Single rows whose answer is timed; 0: none. */
  latencyRows: number;
}

/** What is answered. */
export const probeAnswer = z.strictObject({
  robustness: z.array(robustnessResult),
  latency: footprint.shape.latency,
});
export type ProbeAnswer = z.infer<typeof probeAnswer>;
