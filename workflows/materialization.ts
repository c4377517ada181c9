import { patched, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { type MaterializationResult, materializationInput } from '../contracts/feature-store.ts';
import * as activities from './activities.ts';
import { parseInput } from './parse.ts';
import { scheduledFor } from './scheduled-for.ts';
import { searchAttributes } from './search-attributes.ts';

/** Runs that began earlier do not say of which pipeline they are. */
const NAMED = 'materialization-named';

/**
 * Brings the views of a pipeline up to date in the online store. Started by the schedule of its pipeline, or by hand to
 * fill it from an earlier time on.
 *
 * @param argument see `materializationInput` in contracts/feature-store.ts
 * @throws ApplicationFailure with a code of contracts/errors.ts
 */
export async function materialization(argument: unknown): Promise<MaterializationResult> {
  const input = parseInput(materializationInput, argument, 'the argument of workflow materialization');
  if (patched(NAMED)) upsertSearchAttributes([searchAttributes.pipeline(input.pipeline)]);
  const until = input.until ?? scheduledFor() ?? workflowInfo().startTime.toISOString();
  return activities.materializeFeatures({ ...input, until });
}
