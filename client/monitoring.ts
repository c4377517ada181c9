import type { Client } from '@temporalio/client';
import { type Hindsight, type HindsightQuestion, hindsight } from '../contracts/hindsight.ts';
import { type MonitorInput, type MonitorResult, monitorResult } from '../contracts/monitoring.ts';
import { monitorScheduleId, WORKFLOW_TYPES } from '../contracts/names.ts';
import { mlflowEnvironment } from './context.ts';
import { askDataEngine } from './data-engine.ts';

/**
 * Looks at an endpoint's windows now, instead of waiting for its schedule.
 *
 * @returns what was looked at, when all of it is on record
 * @example
 * await lookNow(client, 'perennial', { endpoint: 'churn' });
 */
export async function lookNow(
  client: Client,
  taskQueue: string,
  input: MonitorInput,
): Promise<MonitorResult> {
  const result = await client.workflow.execute(WORKFLOW_TYPES.monitor, {
    workflowId: `${monitorScheduleId(input.endpoint)}-now`,
    taskQueue,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `Look at ${input.endpoint} now`,
  });
  return monitorResult.parse(result);
}

/**
 * What a version would have answered for what was asked of an endpoint, held against the truth beside what was answered.
 *
 * @param dataDir where the prediction log lies
 * @throws PerennialError `InputInvalid` for an endpoint that is not watched, a version that was never registered
 */
export const lookBack = (question: HindsightQuestion, dataDir: string): Promise<Hindsight> =>
  askDataEngine('hindsight', question, hindsight, dataDir, mlflowEnvironment(dataDir));
