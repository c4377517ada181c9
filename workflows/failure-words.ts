import { ActivityFailure, ChildWorkflowFailure, TimeoutFailure } from '@temporalio/workflow';

/** The words of what failed, not those of Temporal about it. */
export function words(error: unknown): string {
  const isWrapped =
    error instanceof ActivityFailure ||
    error instanceof ChildWorkflowFailure ||
    // What was tried until there was no time left says why it did not work.
    error instanceof TimeoutFailure;
  if (isWrapped && error.cause) return words(error.cause);
  return error instanceof Error ? error.message : String(error);
}
