import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { PerennialError } from '../contracts/errors.ts';
import { withoutValues } from '../lib/duckdb/engine-words.ts';
import { OnlineStoreError } from '../lib/feature-store/online-store.ts';
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
  if (error instanceof OnlineStoreError) return failure('FeaturesUnavailable', error.message, true);
  return failure('StageFailed', `an unexpected ${nameOf(error)}; see the worker's log`, true);
}

/**
 * What the log says of an error: the words of ours, and of any other its kind and where it happened. What an engine
 * or a parser says may quote rows of the data.
 */
export function logFields(error: unknown): Record<string, unknown> {
  if (error instanceof PerennialError || error instanceof MlflowError)
    return { code: error.code, reason: error.message };
  if (error instanceof OnlineStoreError) return { code: 'FeaturesUnavailable', reason: error.message };
  if (error instanceof ApplicationFailure) return { code: error.type, reason: error.message };
  if (!(error instanceof Error)) return { error: nameOf(error) };
  return { error: nameOf(error), reason: withoutValues(error.message), at: framesOf(error) };
}

/** `SyntaxError`, `Error ENOSPC`: a class and a code of the system, no words of the error. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code = 'code' in error && /^[A-Z][A-Z0-9_]+$/.test(String(error.code)) ? ` ${error.code}` : '';
  return `${error.constructor.name}${code}`;
}

/** The lines of the stack without the message, which stands before them. */
const framesOf = ({ stack = '', message }: Error): string[] =>
  stack
    .replace(message, () => '')
    .split('\n')
    .filter((line) => /^ {4}at /.test(line))
    .map((line) => line.trim());

const failure = (type: string, message: string, retryable: boolean): ApplicationFailure =>
  ApplicationFailure.create({ type, message, nonRetryable: !retryable });
