import type { FinishInput } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import { presetOf } from '../contracts/spec/candidates.ts';
import type { TrainedCandidate } from '../contracts/stages.ts';
import { readLabels } from '../lib/data/labels.ts';
import { judged } from '../lib/evaluation/judge-aside.ts';
import { scoreTable } from '../lib/features/transform.ts';
import { composeModel } from '../lib/onnx/compose.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';

/**
 * Makes the model that is served of a candidate's best trial: the trainer's model behind the fitted features. Judged
 * once more on the validation split, by the very graph.
 */
export async function finishCandidate(
  deps: ActivityDependencies,
  input: FinishInput,
  frame: ActivityFrame,
): Promise<TrainedCandidate> {
  const { candidate, outcome, problem, prepared, split, trial } = input;
  if (!outcome.model)
    throw new PerennialError('StageFailed', `The trial ${trial.number} of ${trial.candidate} has no model.`);
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const { onnx, signature } = composeModel(
    await store.bytes(prepared.preprocess),
    await store.bytes(outcome.model),
    {
      task: problem.task,
      classNames: problem.classNames,
      ...(problem.positiveClass === null ? {} : { positiveClass: problem.positiveClass }),
    },
  );
  const model = await store.putBytes(onnx, MEDIA_TYPES.onnx);
  const parquetPath = await store.path(split.validation.artifact);
  const { values } = await scoreTable({
    parquetPath,
    signature,
    modelPath: await store.path(model),
    scratchDir,
    signal: frame.signal,
  });
  const labels = await readLabels({
    parquetPath,
    target: input.target,
    classNames: problem.classNames,
    signal: frame.signal,
  });
  const { metrics: validation } = await judged({ problem, labels, answers: values }, frame.signal);
  return {
    name: candidate.name,
    trainer: candidate.trainer,
    features: presetOf(candidate),
    trial: trial.number,
    mlflowRunId: outcome.mlflowRunId,
    model,
    signature: await store.putJson(signature),
    parameters: outcome.parameters,
    libraries: outcome.libraries,
    iterations: outcome.iterations,
    bestIteration: outcome.bestIteration,
    seconds: outcome.seconds,
    validation,
  };
}
