import {
  CancellationScope,
  isCancellation,
  log,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { CachePolicy } from '../../contracts/cache.ts';
import {
  type ReproductionPlan,
  type ReproductionResult,
  reproductionInput,
} from '../../contracts/reproduction.ts';
import type { RunIdentity, Tracking } from '../../contracts/run.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { StageOutputs, TrainedCandidate } from '../../contracts/stages.ts';
import { preparedFor } from '../../domain/prepared-features.ts';
import {
  differences,
  environmentDifferences,
  type Reproduced,
  verdictOf,
} from '../../domain/reproduction.ts';
import * as activities from '../activities.ts';
import { handlers } from '../handlers.ts';
import { parseInput } from '../parse.ts';
import { searchAttributes } from '../search-attributes.ts';
import { trainedBySearch } from './train-stage.ts';

/** Nothing is taken over: what is cached came from the very run that is to be made again. */
const AFRESH: CachePolicy = { mode: 'off' };

/**
 * Makes a registered version again, from the stored snapshots of its sources with what it was trained with, and says
 * whether the same model came of it. Nothing is registered; its own MLflow run says what it found.
 *
 * @param argument see `reproductionInput` in contracts/reproduction.ts
 * @throws ApplicationFailure `InputInvalid`, `ArtifactMissing`, `ArtifactCorrupt`, `ArtifactErased`, and what the stages throw
 */
export async function reproduction(argument?: unknown): Promise<ReproductionResult> {
  const input = parseInput(reproductionInput, argument, 'the argument of workflow reproduction');
  const { workflowId, runId, startTime } = workflowInfo();
  const run: RunIdentity = { workflowId, runId };
  const outputs: StageOutputs = {};
  // The garbage collector asks what a running workflow refers to.
  setHandler(handlers.outputs, () => outputs);
  const plan = await activities.openReproduction({ ...input, run });
  const { tracking } = plan;
  try {
    const spec = parseInput(pipelineSpec, plan.spec, `the spec of version ${input.version}`, 'SpecInvalid');
    upsertSearchAttributes([searchAttributes.pipeline(spec.name)]);
    const made = await again(spec, plan, run, outputs);
    const result: ReproductionResult = {
      modelName: input.modelName,
      version: input.version,
      ...verdictOf(plan.target, made, { erased: plan.erased, environment: changes(plan, made.trained) }),
      run: { workflowId, mlflowRunId: tracking.runId, url: tracking.url },
      seconds: (Date.now() - startTime.getTime()) / 1000,
    };
    await activities.closeReproduction({ tracking, result, status: 'FINISHED' });
    return result;
  } catch (error) {
    await CancellationScope.nonCancellable(() => abandoned(tracking, isCancellation(error)));
    throw error;
  }
}

/** All stages from the snapshots to the judged model. What the checks find stops nothing: it did not stop the run of then. */
async function again(
  spec: PipelineSpec,
  { tracking, asOf }: Pick<ReproductionPlan, 'tracking' | 'asOf'>,
  run: RunIdentity,
  outputs: StageOutputs,
): Promise<Reproduced> {
  const stage = { spec, cache: AFRESH };
  const ingest = await activities.ingest(stage);
  outputs.ingest = ingest;
  const validate = await activities.validate({ ...stage, ingest, asOf, champion: null });
  outputs.validate = validate;
  const protect = await activities.protect({ ...stage, ingest, validate });
  outputs.protect = protect;
  const split = await activities.split({ ...stage, protect });
  outputs.split = split;
  await activities.recordData({ tracking, spec, ingest, protect, split });
  const prepared = await activities.prepare({ ...stage, split });
  outputs.prepare = prepared;
  const output = await trainedBySearch(spec, split, prepared, tracking, run);
  // Of several candidates an ensemble is made, the last one.
  const trained = output.trained.at(-1);
  if (!trained) throw new TypeError('a training that ends has a model');
  const candidates = { ...output, trained: [trained] };
  outputs.train = candidates;
  const evaluate = await activities.evaluate({ spec, split, prepared, train: candidates, tracking });
  outputs.evaluate = evaluate;
  return {
    ingest,
    validate,
    protect,
    split,
    features: preparedFor(prepared, trained.features),
    trained,
    evaluate,
  };
}

/** What software and machine differ in, libraries of the trainer included where both runs named them. */
function changes({ target, environment }: ReproductionPlan, trained: TrainedCandidate) {
  const { libraries } = trained;
  return [
    ...environmentDifferences(environment.was, environment.is),
    ...(target.libraries ? differences(target.libraries, libraries) : []),
  ];
}

/** A run that nobody closes would be shown as running for ever. */
async function abandoned(tracking: Tracking, cancelled: boolean): Promise<void> {
  const status = cancelled ? 'KILLED' : 'FAILED';
  await activities
    .closeReproduction({ tracking, result: null, status })
    .catch((problem: unknown) =>
      log.error('the MLflow run of the reproduction could not be closed', { problem }),
    );
}
