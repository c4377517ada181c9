import type { ColumnBatch, OutputColumns } from '../lib/onnx/tabular-session.ts';
import type { QueueDepth } from './batch-queue.ts';

/** Where a version computes: in this process, or in one of its own. */
export interface ModelRunner {
  /** What waits for the model now. */
  readonly depth?: QueueDepth | undefined;
  /**
   * Predicts.
   *
   * @param deadline milliseconds of `performance.now()` after which nobody waits for the answer
   * @throws RequestError 503 where it cannot answer in time or has too much to do; PerennialError `ModelInvalid` where
   *   the model fails
   */
  run(batch: ColumnBatch, deadline?: number): Promise<OutputColumns>;
  /** Frees the memory once the runs under way have ended. Later runs are refused. */
  close(): Promise<void>;
}
