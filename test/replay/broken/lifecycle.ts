import { workflowInfo } from '@temporalio/workflow';
import type { LifecycleResult } from '../../../contracts/lifecycle.ts';
import { lifecycleInput } from '../../../contracts/lifecycle.ts';
import { pipelineSpec } from '../../../contracts/spec/pipeline.ts';
import * as activities from '../../../workflows/activities.ts';
import { LifecycleRun } from '../../../workflows/lifecycle/lifecycle-run.ts';
import { parseInput } from '../../../workflows/parse.ts';
import * as summaries from '../../../workflows/summaries.ts';

/** The beginning of the lifecycle with two steps in the wrong order: it validates before the MLflow run is open. */
export async function lifecycle(argument: unknown): Promise<LifecycleResult> {
  const run = new LifecycleRun(workflowInfo(), argument);
  const input = parseInput(lifecycleInput, argument, 'the argument of workflow lifecycle');
  const spec = parseInput(pipelineSpec, input.spec, 'the pipeline spec', 'SpecInvalid');
  run.named(spec.name);
  await run.stage('ingest', summaries.ingest, () => activities.ingest({ spec, cache: { mode: 'off' } }));
  run.tracked(await activities.openTracking({ spec, code: input.code, startedBy: '', run: run.identity }));
  return run.end('rejected', 'the rest of the story does not matter here');
}
