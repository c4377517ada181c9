import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { activityInfo } from '@temporalio/activity';
import { z } from 'zod';
import type { TrainCandidateInput } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import { type ArtifactRef, artifactRef, MEDIA_TYPES } from '../contracts/refs.ts';
import { type Candidate, presetOf, type TrainerName } from '../contracts/spec/candidates.ts';
import type { TrainedCandidate } from '../contracts/stages.ts';
import type { TrainerRequest } from '../contracts/trainer.ts';
import { preparedFor } from '../domain/prepared-features.ts';
import { readLabels } from '../lib/data/labels.ts';
import { judged } from '../lib/evaluation/judge-aside.ts';
import { scoreTable } from '../lib/features/transform.ts';
import { composeModel } from '../lib/onnx/compose.ts';
import { runTrainer, TRAINER_STDERR } from '../lib/processes/run-program.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { trainerCommand } from '../trainers/catalog.ts';
import { CandidateRecord } from './candidate-record.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { TrainingProgress } from './training-progress.ts';

const progressDetails = z.object({ iteration: z.number(), checkpoint: artifactRef.nullable() });

/**
 * Trains one candidate in a process of its own, composes it with the fitted features, and judges it on the
 * validation split. An attempt that follows a killed one goes on from the last checkpoint.
 */
export async function trainCandidate(
  deps: ActivityDependencies,
  input: TrainCandidateInput,
  frame: ActivityFrame,
): Promise<TrainedCandidate> {
  const { candidate, split } = input;
  const prepared = preparedFor(input.prepared, presetOf(candidate));
  const started = Date.now();
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const record = await CandidateRecord.open(deps.mlflow(), input);
  try {
    const resumedFrom = await lastCheckpoint(store);
    const request = await trainerRequest(store, input, scratchDir, resumedFrom);
    const progress = new TrainingProgress(
      resumedFrom,
      (path) => store.putFile(path, 'application/octet-stream'),
      frame.report,
    );
    // Checkpoints are waited for after an abort too: the last one was written because of it.
    const { result, modelPath, stderrPath } = await runTrainer({
      ...trainerCommand(shipped(candidate), { python: deps.config.python }),
      request,
      scratchDir,
      signal: frame.signal,
      onEvent: (event) => {
        progress.note(event);
        if (event.event === 'progress') record.progress(event.iteration, event.metrics);
      },
    }).finally(() => progress.stored());

    const { onnx, signature } = composeModel(
      await store.bytes(prepared.preprocess),
      await readFile(modelPath),
      {
        task: input.task,
        classNames: split.classNames,
        ...(split.positiveClass === null ? {} : { positiveClass: split.positiveClass }),
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
      classNames: split.classNames,
      signal: frame.signal,
    });
    const { classNames, positiveClass, baseline } = split;
    const problem = { task: input.task, classNames, positiveClass, baseline };
    const { metrics: validation } = await judged({ problem, labels, answers: values }, frame.signal);
    const seconds = (Date.now() - started) / 1000;
    await record.finish({
      parameters: result.parameters,
      libraries: result.libraries,
      validation,
      seconds,
      stderrPath,
      iterations: result.iterations,
      bestIteration: result.bestIteration,
    });
    return {
      name: candidate.name,
      trainer: candidate.trainer,
      features: presetOf(candidate),
      mlflowRunId: record.runId,
      model,
      signature: await store.putJson(signature),
      iterations: result.iterations,
      bestIteration: result.bestIteration,
      seconds,
      validation,
    };
  } catch (error) {
    await record.fail(frame.signal.aborted ? 'KILLED' : 'FAILED', join(scratchDir, TRAINER_STDERR));
    throw error;
  } finally {
    record.close();
  }
}

function shipped({ trainer }: Candidate): TrainerName {
  if (trainer !== 'command' && trainer !== 'activity') return trainer;
  throw new PerennialError('InputInvalid', `The trainer ${trainer} is not supported yet.`);
}

async function trainerRequest(
  store: ArtifactStore,
  { candidate, task, training, split, prepared: variants }: TrainCandidateInput,
  scratchDir: string,
  resumedFrom: ArtifactRef | undefined,
): Promise<TrainerRequest> {
  const prepared = preparedFor(variants, presetOf(candidate));
  const paths = async (part: 'train' | 'validation') => ({
    features: await store.path(prepared[part].features),
    labels: await store.path(prepared[part].labels),
  });
  return {
    schemaVersion: 1,
    task,
    trainer: candidate.trainer,
    train: await paths('train'),
    validation: await paths('validation'),
    featureNames: z.array(z.string()).parse(await store.json(prepared.featureNames)),
    classNames: split.classNames,
    parameters: candidate.parameters,
    seed: training.seed,
    threads: training.threads,
    maxIterations: candidate.maxIterations,
    ...(resumedFrom ? { resumeFrom: await store.path(resumedFrom) } : {}),
    checkpointDir: `${scratchDir}/checkpoints`,
    outputDir: `${scratchDir}/output`,
  };
}

/** The checkpoint that an earlier attempt's last heartbeat named, where its bytes are still there. */
async function lastCheckpoint(store: ArtifactStore): Promise<ArtifactRef | undefined> {
  const details = progressDetails.safeParse(activityInfo().heartbeatDetails);
  const checkpoint = details.success ? details.data.checkpoint : null;
  return checkpoint && (await store.has(checkpoint)) ? checkpoint : undefined;
}
