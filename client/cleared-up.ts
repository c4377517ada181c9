import type { WorkflowHandle } from '@temporalio/client';
import { PerennialError } from '../contracts/errors.ts';
import type { RunStatus } from '../contracts/lifecycle.ts';

/**
 * Waits until a run has cleared up behind itself, which it still does when it says that it has failed or was cancelled.
 *
 * @throws PerennialError `InputInvalid` where it goes on
 */
export async function clearedUp(handle: WorkflowHandle, { state }: Pick<RunStatus, 'state'>): Promise<void> {
  if ((await handle.describe()).status.name !== 'RUNNING') return;
  if (state !== 'failed' && state !== 'cancelled')
    throw new PerennialError(
      'InputInvalid',
      `run ${handle.workflowId} is still running; cancel it first with \`perennial cancel ${handle.workflowId}\``,
    );
  await handle.result().catch(() => undefined);
}
