import { WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';

/** The message with which a workflow refused an update; fails where it was accepted. */
export async function refusal(update: Promise<unknown>): Promise<string> {
  const error = await update.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure)
    return error.cause.message;
  throw new Error(`expected a refusal, found ${error === undefined ? 'an answer' : String(error)}`);
}

/** The innermost failure of a workflow that failed or was cancelled. */
export async function failure(result: Promise<unknown>): Promise<{ type: string; message: string }> {
  const error = await result.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof WorkflowFailedError))
    throw new Error(`expected a failure, found ${error === undefined ? 'a result' : String(error)}`);
  if (error.cause instanceof CancelledFailure) return { type: 'Cancelled', message: error.cause.message };
  let cause: Error | undefined = error.cause;
  while (cause?.cause instanceof Error) cause = cause.cause;
  return {
    type: cause instanceof ApplicationFailure ? (cause.type ?? '') : (cause?.name ?? ''),
    message: cause?.message ?? '',
  };
}
