import { randomBytes } from 'node:crypto';
import type { Client } from '@temporalio/client';
import {
  type MaterializationInput,
  type MaterializationResult,
  materializationResult,
} from '../contracts/feature-store.ts';
import { featuresScheduleId, WORKFLOW_TYPES } from '../contracts/names.ts';

/**
 * Brings the online features of a pipeline up to date now, instead of waiting for their schedule, or fills them from an
 * earlier time on.
 *
 * @example
 * await materialize(client, 'perennial', { pipeline: 'flights-delay', from: '2026-01-01T00:00:00Z' });
 */
export async function materialize(
  client: Client,
  taskQueue: string,
  input: MaterializationInput,
): Promise<MaterializationResult> {
  const result = await client.workflow.execute(WORKFLOW_TYPES.materialization, {
    workflowId: `${featuresScheduleId(input.pipeline)}-by-hand-${randomBytes(4).toString('hex')}`,
    taskQueue,
    args: [input],
    staticSummary: `Features of ${input.pipeline}, asked for by hand`,
  });
  return materializationResult.parse(result);
}
