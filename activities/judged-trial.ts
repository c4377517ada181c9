import { MEDIA_TYPES } from '../contracts/refs.ts';
import type { TrainerResult } from '../contracts/trainer.ts';
import type { TrialInput } from '../contracts/training-activities.ts';
import type { TrialOutcome } from '../contracts/trials.ts';
import { judgedOnMatrix } from '../lib/evaluation/matrix-judge.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { RecordedRows } from './recorded-rows.ts';

/** What a trainer gave: its words, and the file of its model. */
export interface TrainedModel {
  result: Omit<TrainerResult, 'schemaVersion'>;
  modelPath: string;
}

/**
 * Judges a trained model on the validation rows and stores it. The answers for the rows of a fold are kept: calibration,
 * threshold and stacking are fitted on them.
 */
export async function judgedTrial(
  store: ArtifactStore,
  { problem, pipeline, training, trial, data }: TrialInput,
  { result, modelPath }: TrainedModel,
  scratchDir: string,
  signal: AbortSignal,
): Promise<Omit<TrialOutcome, 'mlflowRunId' | 'seconds'>> {
  const answersPath = trial.fold === null ? undefined : `${scratchDir}/answers.npy`;
  const validation = await judgedOnMatrix(
    {
      problem,
      modelPath,
      featuresPath: await store.path(data.validation.features),
      labelsPath: await store.path(data.validation.labels),
      threads: training.threads,
      ...(answersPath === undefined ? {} : { answersPath }),
    },
    signal,
  );
  const answers =
    answersPath === undefined
      ? null
      : await store.putFile(answersPath, MEDIA_TYPES.npy, { encrypt: problem.sensitive });
  if (answers) await new RecordedRows(store).answers(pipeline, answers, data.validation.features);
  return {
    state: 'trained',
    model: await store.putFile(modelPath, MEDIA_TYPES.onnx),
    answers,
    parameters: result.parameters,
    libraries: result.libraries,
    iterations: result.iterations,
    bestIteration: result.bestIteration,
    validation,
  };
}
