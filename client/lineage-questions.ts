import { randomBytes } from 'node:crypto';
import { type ArtifactState, artifactStates, type LineageInput } from '../contracts/lineage.ts';
import { reproductionWorkflowId, WORKFLOW_TYPES } from '../contracts/names.ts';
import {
  type ReproductionInput,
  type ReproductionResult,
  reproductionResult,
} from '../contracts/reproduction.ts';
import type { PerennialClient } from './perennial-client.ts';

type Asked = Pick<PerennialClient, 'temporal' | 'taskQueue'>;

/** What became of artifacts, by digest: the workers ask their store. */
export async function statesOf(
  { temporal, taskQueue }: Asked,
  digests: readonly string[],
): Promise<Map<string, ArtifactState>> {
  const input: LineageInput = { digests: [...new Set(digests)] };
  const answer = await temporal.workflow.execute(WORKFLOW_TYPES.lineage, {
    taskQueue,
    workflowId: `lineage-${randomBytes(4).toString('hex')}`,
    args: [input],
    staticSummary: 'What became of artifacts',
  });
  return new Map(artifactStates.parse(answer).states.map((state) => [state.sha256, state]));
}

/**
 * Makes a registered version again; see workflow `reproduction`.
 *
 * @returns the id of the run at once, and its result
 * @throws WorkflowFailedError by `result`, where a snapshot is gone or a stage fails
 * @example const { result } = await startReproduction(perennial, { modelName: 'flights-delay', version: '3' });
 */
export async function startReproduction(
  { temporal, taskQueue }: Asked,
  input: ReproductionInput,
): Promise<{ workflowId: string; result(): Promise<ReproductionResult> }> {
  const { modelName, version } = input;
  const workflowId = reproductionWorkflowId(`${modelName}/${version}/${randomBytes(3).toString('hex')}`);
  const handle = await temporal.workflow.start(WORKFLOW_TYPES.reproduction, {
    taskQueue,
    workflowId,
    args: [input],
    staticSummary: `Make version ${version} of ${modelName} again`,
  });
  return { workflowId, result: async () => reproductionResult.parse(await handle.result()) };
}
