import { ActivityFailure, ChildWorkflowFailure } from '@temporalio/workflow';

/** The words of what failed, not those of Temporal about it. */
export function words(error: unknown): string {
  if ((error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) && error.cause)
    return words(error.cause);
  return error instanceof Error ? error.message : String(error);
}
