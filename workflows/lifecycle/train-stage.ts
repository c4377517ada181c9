import { executeChild } from '@temporalio/workflow';
import { trainingWorkflowId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { RunIdentity, Tracking } from '../../contracts/run.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { PrepareOutput, SplitOutput, TrainOutput } from '../../contracts/stages.ts';
import type { training } from '../training/training.ts';

/** Trains the candidates of a spec by a workflow of its own. */
export function trainedBySearch(
  spec: PipelineSpec,
  split: SplitOutput,
  prepared: PrepareOutput,
  tracking: Tracking,
  run: RunIdentity,
): Promise<TrainOutput> {
  return executeChild<typeof training>(WORKFLOW_TYPES.training, {
    workflowId: trainingWorkflowId(run.workflowId, run.runId),
    args: [
      {
        candidates: spec.candidates,
        task: spec.task,
        target: spec.columns.target,
        pipeline: { name: spec.name, privacy: spec.privacy },
        metric: spec.evaluation.metric,
        training: spec.training,
        split,
        prepared,
        tracking,
        run,
      },
    ],
    staticSummary: `Train ${spec.candidates.map((candidate) => candidate.name).join(', ')}`,
  });
}
