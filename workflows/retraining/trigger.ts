import { getExternalWorkflowHandle } from '@temporalio/workflow';
import { retrainingWorkflowId } from '../../contracts/names.ts';
import { retrainingTriggerInput } from '../../contracts/retraining.ts';
import { handlers } from '../handlers.ts';
import { parseInput } from '../parse.ts';

/**
 * Tells the retraining of a pipeline a reason. A schedule starts it: a schedule can start workflows and nothing else.
 *
 * @param argument see `retrainingTriggerInput` in contracts/retraining.ts
 * @throws ExternalWorkflowExecutionNotFound where the pipeline has no retraining
 */
export async function retrainingTrigger(argument: unknown): Promise<void> {
  const input = parseInput(retrainingTriggerInput, argument, 'the argument of workflow retrainingTrigger');
  await getExternalWorkflowHandle(retrainingWorkflowId(input.pipeline)).signal(
    handlers.trigger,
    input.trigger,
  );
}
