import { type Client, WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { CancelledFailure, TerminatedFailure } from '@temporalio/common';
import { lifecycleResult } from '../contracts/lifecycle.ts';
import type { RunEnd } from '../contracts/monitoring-activities.ts';

const LONGEST_MESSAGE = 1_000;

/** How a lifecycle run ended; `null` while it goes on. One that Temporal has forgotten has failed, as far as anybody knows. */
export async function runEndOf(client: Client, workflowId: string): Promise<{ end: RunEnd | null }> {
  const handle = client.workflow.getHandle(workflowId);
  try {
    if ((await handle.describe()).status.name === 'RUNNING') return { end: null };
    const result = lifecycleResult.parse(await handle.result());
    const used = result.outputs.train?.search.used;
    return {
      end: {
        outcome: result.outcome,
        message: result.message.slice(0, LONGEST_MESSAGE),
        modelName: result.modelName,
        version: result.version,
        rollout: result.outputs.deploy?.rollout.workflowId ?? null,
        seconds: used?.seconds ?? 0,
        cost: used?.cost ?? 0,
        cancelled: false,
      },
    };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError)
      return { end: failed('the run is not known any more, nor how it ended', true) };
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (cause instanceof CancelledFailure || cause instanceof TerminatedFailure)
      return { end: failed('the run was cancelled', true) };
    return { end: failed(innermost(cause), false) };
  }
}

const failed = (message: string, cancelled: boolean): RunEnd => ({
  outcome: 'failed',
  message: message.slice(0, LONGEST_MESSAGE),
  modelName: null,
  version: null,
  rollout: null,
  seconds: 0,
  cost: 0,
  cancelled,
});

/** The words of what failed, not those of Temporal about it. */
const innermost = (error: unknown): string =>
  error instanceof Error ? (error.cause instanceof Error ? innermost(error.cause) : error.message) : '';
