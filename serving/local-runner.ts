import type { ModelSignature } from '../contracts/serving.ts';
import { TabularSession } from '../lib/onnx/tabular-session.ts';
import { type BatchingOptions, MicroBatcher } from './micro-batcher.ts';

/** How a model computes in its process. */
export interface RunnerOptions {
  /** Threads of one run, default 1. */
  readonly threads?: number | undefined;
  /** How requests share runs. */
  readonly batching?: BatchingOptions | undefined;
}

/**
 * A model that computes in this process, warmed up.
 *
 * @throws PerennialError `ModelInvalid`
 */
export async function localRunner(
  bytes: Uint8Array,
  signature: ModelSignature,
  { threads = 1, batching }: RunnerOptions = {},
): Promise<MicroBatcher> {
  return MicroBatcher.create(await TabularSession.create(bytes, signature, { threads }), batching);
}
