import { PerennialError } from '../contracts/errors.ts';
import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { TrainedCandidate } from '../contracts/stages.ts';
import type { ChosenTrial, FinishInput } from '../contracts/training-activities.ts';
import { trialLabel } from '../contracts/trials.ts';
import { preparedFor } from '../domain/prepared-features.ts';
import { type Labels, readLabels } from '../lib/data/labels.ts';
import { collectOutOfFold } from '../lib/data/out-of-fold.ts';
import { judged } from '../lib/evaluation/judge-aside.ts';
import { judgedOnMatrix } from '../lib/evaluation/matrix-judge.ts';
import { scoreTable } from '../lib/features/transform.ts';
import { finished } from '../lib/finishing/finish-aside.ts';
import type { Finishing } from '../lib/finishing/finish-job.ts';
import { readNpy } from '../lib/npy.ts';
import { composeEnsemble } from '../lib/onnx/ensemble.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { findOrCreateRun } from './mlflow-runs.ts';

/**
 * Makes the model that is served of the best trials: the trainers' models behind the fitted features, joined, calibrated,
 * with the threshold that the spec asks for, all in one graph. Judged once more on the validation split, by that graph.
 */
export async function finishCandidate(
  deps: ActivityDependencies,
  input: FinishInput,
  frame: ActivityFrame,
): Promise<TrainedCandidate> {
  const { problem, prepared, members, name } = input;
  const [first] = members;
  if (!first) throw new PerennialError('StageFailed', `There is no trial to make ${name} of.`);
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const finishing = await finishingOf(store, input, scratchDir, frame.signal);
  const { onnx, signature } = composeEnsemble(
    await Promise.all(
      members.map(async (member) => ({
        name: trialLabel(member),
        preprocess: await store.bytes(preparedFor(prepared, member.features).preprocess),
        model: await store.bytes(modelOf(member)),
      })),
    ),
    finishing?.combination ?? { method: 'average' },
    {
      task: problem.task,
      classNames: problem.classNames,
      ...(problem.positiveClass === null ? {} : { positiveClass: problem.positiveClass }),
      ...(finishing?.calibration ? { calibration: finishing.calibration } : {}),
      ...(finishing?.threshold ? { threshold: finishing.threshold.threshold } : {}),
    },
  );
  const model = await store.putBytes(onnx, MEDIA_TYPES.onnx);
  const parquetPath = await store.path(input.split.validation.artifact);
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
  const threshold = finishing?.threshold?.threshold;
  const question = { problem, labels, answers: values, ...(threshold === undefined ? {} : { threshold }) };
  const { metrics: validation } = await judged(question, frame.signal);
  const { outcome } = first;
  const joined = members.length > 1;
  return {
    name,
    trainer: joined ? 'ensemble' : first.trainer,
    features: first.features,
    members: members.map((member) => ({
      candidate: member.candidate,
      number: member.number,
      trainer: member.trainer,
      features: member.features,
      parameters: member.outcome.parameters,
      iterations: member.outcome.iterations,
      model: modelOf(member),
    })),
    mlflowRunId: joined ? await ensembleRun(deps, input, validation) : outcome.mlflowRunId,
    model,
    signature: await store.putJson(signature),
    parameters: joined
      ? { method: input.method, members: members.map(trialLabel).join(', ') }
      : outcome.parameters,
    libraries: Object.assign({}, ...members.map((member) => member.outcome.libraries)),
    iterations: outcome.iterations,
    bestIteration: outcome.bestIteration,
    seconds: members.reduce((sum, member) => sum + member.outcome.seconds, 0),
    validation,
    ...(threshold === undefined ? {} : { threshold }),
    ...(finishing ? { finishing: await store.putJson(finishing) } : {}),
  };
}

function modelOf(member: ChosenTrial) {
  if (member.outcome.model) return member.outcome.model;
  throw new PerennialError('StageFailed', `The trial ${trialLabel(member)} has no model.`);
}

/** What is fitted to answers for rows that the members were not trained on; nothing where the spec asks for nothing. */
async function finishingOf(
  store: ArtifactStore,
  { members, method, problem, training, prepared }: FinishInput,
  scratchDir: string,
  signal: AbortSignal,
): Promise<Finishing | undefined> {
  if (members.length === 1 && training.calibration === 'none' && training.threshold === 0.5) return undefined;
  const answers: Float64Array[] = [];
  let labels: Labels | undefined;
  for (const [index, member] of members.entries()) {
    if (member.folds.length > 0) {
      const folds = await collectOutOfFold(store, member.folds);
      labels ??= folds.labels;
      answers.push(folds.answers);
      continue;
    }
    const { validation } = preparedFor(prepared, member.features);
    const labelsPath = await store.path(validation.labels);
    const answersPath = `${scratchDir}/answers-${index}.npy`;
    await judgedOnMatrix(
      {
        problem,
        modelPath: await store.path(modelOf(member)),
        featuresPath: await store.path(validation.features),
        labelsPath,
        threads: training.threads,
        answersPath,
      },
      signal,
    );
    labels ??= asLabels((await readNpy(labelsPath)).data);
    answers.push(new Float64Array((await readNpy(answersPath)).data));
  }
  return finished({ problem, labels: labels ?? new Int32Array(), answers, method, training }, signal);
}

function asLabels(data: Int32Array | Float32Array | Float64Array): Labels {
  if (!(data instanceof Float64Array)) return data;
  throw new PerennialError('TrainerContract', 'Labels are int32 class indices or float32 numbers.');
}

/** An ensemble has a run of its own beside those of its members. */
async function ensembleRun(
  deps: ActivityDependencies,
  { name, members, method, tracking, run }: FinishInput,
  validation: TrainedCandidate['validation'],
): Promise<string> {
  const mlflow = deps.mlflow();
  const { runId, startTime } = await findOrCreateRun(
    mlflow,
    tracking.experimentId,
    `${run.workflowId}/${run.runId}/${name}`,
    {
      name,
      tags: {
        'mlflow.parentRunId': tracking.runId,
        'perennial.candidate': name,
        'perennial.trainer': 'ensemble',
      },
    },
  );
  await mlflow.runs.logBatch({
    runId,
    params: { trainer: 'ensemble', method, members: members.map(trialLabel).join(', ') },
    metrics: Object.entries(validation).map(([key, value]) => ({
      key: `validation_${key}`,
      value,
      step: 0,
      timestamp: startTime,
    })),
  });
  await mlflow.runs.finish({ runId });
  return runId;
}
