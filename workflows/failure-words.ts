import { ActivityFailure } from '@temporalio/workflow';

/** The words of what failed, not those of Temporal about it. */
export function words(error: unknown): string {
  const cause = error instanceof ActivityFailure && error.cause ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
