import { getExternalWorkflowHandle } from '@temporalio/workflow';
import { retrainingWorkflowId } from '../../contracts/names.ts';
import { type NewDataResult, newDataInput, type Trigger } from '../../contracts/retraining.ts';
import { lookForNewData } from '../activities.ts';
import { handlers } from '../handlers.ts';
import { parseInput } from '../parse.ts';

/**
 * Looks whether the sources of a pipeline have anything new, and tells its retraining. Scheduled at the interval of
 * `retraining.on.newData.poll`.
 *
 * @param argument see `newDataInput` in contracts/retraining.ts
 * @returns whether there was anything, and what, in words
 */
export async function newData(argument: unknown): Promise<NewDataResult> {
  const { pipeline } = parseInput(newDataInput, argument, 'the argument of workflow newData');
  const look = await lookForNewData({ pipeline });
  if (look.found) {
    const trigger: Trigger = { kind: 'new-data', reason: look.words.slice(0, 1_000) };
    await getExternalWorkflowHandle(retrainingWorkflowId(pipeline)).signal(handlers.trigger, trigger);
  }
  return look;
}
