import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { PerennialError } from '../contracts/errors.ts';
import { MlflowError } from '../packages/mlflow-client-ts/src/index.ts';

/**
 * The failure that Temporal is told: a code of contracts/errors.ts, a message for people, retryable only where
 * trying again can help. Causes are left out: they may quote data.
 */
export function toFailure(error: unknown): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (error instanceof PerennialError) return failure(error.code, error.message, error.retryable);
  if (error instanceof MlflowError) {
    const code = error.retryable ? 'TrackerUnavailable' : 'TrackerRejected';
    return ApplicationFailure.create({
      type: code,
      message: error.message,
      nonRetryable: !error.retryable,
      ...(error.retryAfterMs === undefined ? {} : { nextRetryDelay: error.retryAfterMs }),
    });
  }
  return failure('StageFailed', error instanceof Error ? error.message : String(error), true);
}

const failure = (type: string, message: string, retryable: boolean): ApplicationFailure =>
  ApplicationFailure.create({ type, message, nonRetryable: !retryable });
