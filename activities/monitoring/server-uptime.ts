import type { Client } from '@temporalio/client';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import { WORKFLOW_TYPES } from '../../contracts/names.ts';
import { coveredShare } from '../../lib/monitoring/operations.ts';

/**
 * The share of a window in which at least one model server held its lease, as the history of leases says.
 *
 * @returns `null` where nothing is known of the time: no lease of it is kept (any more)
 */
export async function serverUptime(
  client: Client,
  taskQueue: string,
  { from, before }: ObservedWindow,
): Promise<number | null> {
  const leases: { from: number; before: number }[] = [];
  const query = `WorkflowType = '${WORKFLOW_TYPES.modelServer}' AND TaskQueue = '${taskQueue}' AND StartTime < '${before}' AND (CloseTime > '${from}' OR ExecutionStatus = 'Running')`;
  for await (const { startTime, closeTime } of client.workflow.list({ query }))
    leases.push({ from: startTime.getTime(), before: closeTime?.getTime() ?? Date.now() });
  return leases.length === 0
    ? null
    : coveredShare({ from: Date.parse(from), before: Date.parse(before) }, leases);
}
