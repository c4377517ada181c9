import type { ErrorCode } from '../../contracts/errors.ts';
import type { ModelSignature } from '../../contracts/serving.ts';
import type { BatchingLimits } from '../micro-batcher.ts';
import type { SentBatch } from './packed-columns.ts';

/** The first message to a model's process: what to load. */
export interface LoadMessage {
  readonly bytes: Uint8Array;
  /** The digest that the bytes must have. */
  readonly sha256: string;
  readonly version: string;
  readonly signature: ModelSignature;
  readonly threads: number;
  readonly batching?: BatchingLimits | undefined;
}

/** Every further message: one batch. */
export interface RunMessage extends SentBatch {
  /** Given back with the answer. */
  readonly id: number;
}

/** A failure with a code, in words without a value out of a request. */
export interface FailedWords {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryable: boolean;
}

/** What a model's process says: the answer to a batch, or, without an id, to the loading. */
export interface ProcessMessage {
  readonly id?: number;
  readonly outputs?: unknown;
  readonly failed?: FailedWords;
}
