import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';

const ATTEMPTS = 10;
const WAIT_MS = 200;

/** What the server says of an update that it dropped together with the workflow task that held it. */
const DROPPED = /unexpected workflow task failure/;

/**
 * An update of a workflow, and its answer. Where a workflow ends a run, or continues as new, in the very task that an
 * update came with while a signal came in between, Temporal throws that task away and the update with it, and leaves
 * it to the caller to send it again. Here it is sent again, under the same id, so that it counts once.
 *
 * @throws what `WorkflowHandle.executeUpdate` throws
 *
 * @example
 * const handle = client.workflow.getHandle('lifecycle-1');
 * await executeUpdate<{ votes: number }>(handle, 'review', { args: [{ decision: 'approve', by: 'ada', candidate }] });
 */
export async function executeUpdate<Answer>(
  handle: Pick<WorkflowHandle, 'executeUpdate'>,
  update: string,
  { args, updateId = randomUUID() }: { args?: [unknown]; updateId?: string } = {},
): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    try {
      return args
        ? await handle.executeUpdate<Answer, [unknown]>(update, { args, updateId })
        : await handle.executeUpdate<Answer, []>(update, { updateId });
    } catch (error) {
      if (!wasDropped(error) || attempt >= ATTEMPTS) throw error;
      await sleep(WAIT_MS);
    }
  }
}

/** Whether an update was never taken up, so that it can be sent again. */
export const wasDropped = (error: unknown): boolean =>
  error instanceof Error && (DROPPED.test(error.message) || wasDropped(error.cause));
