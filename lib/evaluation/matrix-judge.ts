import { z } from 'zod';
import { type MetricValues, metricValues } from '../../contracts/reports.ts';
import { Aside } from '../processes/aside.ts';
import { ownScript } from '../processes/own-script.ts';
import type { Problem } from '../statistics/judge.ts';

/** A trainer's model and the rows that it is judged on; all paths are of files that exist. */
export interface MatrixQuestion {
  problem: Problem;
  /** The trainer's ONNX model: `features [batch, f]` in, `probabilities` or `prediction` out. */
  modelPath: string;
  /** float32 `[n, f]` and class indices or numbers `[n]`, as `.npy`. */
  featuresPath: string;
  labelsPath: string;
  threads: number;
  /** Where the answers are to be written as a `.npy` file of float64, in the shape that judges take. */
  answersPath?: string;
}

const judges = new Aside(
  () => ownScript(import.meta.url, './matrix-judge-process.ts'),
  'judges a trained model',
);

/**
 * Metrics of a trainer's model on rows that are features already. The model runs in a process of its own: one that
 * never returns, or crashes the engine, harms nobody but its candidate.
 *
 * @param signal aborting kills the process
 * @throws PerennialError `ModelInvalid` where the model breaks the trainer contract or fails on the rows,
 *   `TrainerContract` where its answers are no probabilities, `StageFailed` where they cannot be judged
 * @example const metrics = await judgedOnMatrix({ problem, modelPath, featuresPath, labelsPath, threads: 2 });
 */
export async function judgedOnMatrix(question: MatrixQuestion, signal?: AbortSignal): Promise<MetricValues> {
  const { metrics } = z.object({ metrics: metricValues }).parse(await judges.ask(question, signal));
  return metrics;
}
