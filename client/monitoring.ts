import type { Client } from '@temporalio/client';
import { PerennialError } from '../contracts/errors.ts';
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
    // Who asks for other windows is not answered by a look that goes on.
    workflowId: `${monitorScheduleId(input.endpoint)}-${input.again ? `again/${input.again.from}/${input.again.before}` : 'now'}`,
    taskQueue,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `Look at ${input.endpoint} ${input.again ? 'again' : 'now'}`,
  });
  return monitorResult.parse(result);
}

/**
 * Looks at the windows of an endpoint that are on record and ended in a stretch of time again, with the truth of today.
 *
 * @throws PerennialError `InputInvalid` where none is on record
 */
export async function lookAgain(
  client: Client,
  taskQueue: string,
  endpoint: string,
  again: NonNullable<MonitorInput['again']>,
): Promise<MonitorResult> {
  const result = await lookNow(client, taskQueue, { endpoint, again });
  if (result.looked > 0) return result;
  throw new PerennialError(
    'InputInvalid',
    `no window of ${endpoint} that ended from ${again.from} to ${again.before} is on record, so that none was looked at again; windows that nobody has looked at yet are looked at by \`perennial monitor ${endpoint} --now\``,
  );
}

/**
 * What a version would have answered for what was asked of an endpoint, held against the truth beside what was answered.
 *
 * @param dataDir where the prediction log lies
 * @throws PerennialError `InputInvalid` for an endpoint that is not watched, a version that was never registered
 */
export const lookBack = (question: HindsightQuestion, dataDir: string): Promise<Hindsight> =>
  askDataEngine('hindsight', question, hindsight, dataDir, mlflowEnvironment(dataDir));
