import { join } from 'node:path';
import { activityInfo } from '@temporalio/activity';
import { z } from 'zod';
import type { TrialInput } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import { type ArtifactRef, artifactRef, MEDIA_TYPES } from '../contracts/refs.ts';
import type { Candidate, TrainerName } from '../contracts/spec/candidates.ts';
import type { TrainerRequest } from '../contracts/trainer.ts';
import type { TrialOutcome } from '../contracts/trials.ts';
import { judgedOnMatrix } from '../lib/evaluation/matrix-judge.ts';
import { runTrainer, TRAINER_STDERR, type TrainerOutcome } from '../lib/processes/run-program.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { trainerCommand } from '../trainers/catalog.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { RungWatch, StoppedAtRung } from './rung-watch.ts';
import { TrainingProgress } from './training-progress.ts';
import { TrialRecord } from './trial-record.ts';

const progressDetails = z.object({ iteration: z.number(), checkpoint: artifactRef.nullable() });

/**
 * Trains once in a process of its own, and judges the model on the validation rows. An attempt that follows a killed
 * one goes on from the last checkpoint. Where the search holds trials against each other at rungs of iterations, one
 * that is not among the best is stopped, and has no model.
 */
export async function trainTrial(
  deps: ActivityDependencies,
  input: TrialInput,
  frame: ActivityFrame,
): Promise<TrialOutcome> {
  const started = Date.now();
  const seconds = (): number => (Date.now() - started) / 1000;
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const record = await TrialRecord.open(deps.mlflow(), input, activityInfo().attempt);
  const rungs = new RungWatch(deps, input, frame.signal);
  try {
    const resumedFrom = await lastCheckpoint(store);
    const request = await trainerRequest(store, input, scratchDir, resumedFrom);
    const progress = new TrainingProgress(
      resumedFrom,
      (path) => store.putFile(path, 'application/octet-stream'),
      frame.report,
    );
    // Checkpoints are waited for after an abort too: the last one was written because of it.
    const trained = await runTrainer({
      ...trainerCommand(shipped(input.candidate), { python: deps.config.python }),
      request,
      scratchDir,
      signal: rungs.signal,
      onEvent: (event) => {
        progress.note(event);
        if (event.event !== 'progress') return;
        record.progress(event.iteration, event.metrics);
        rungs.note(event.iteration, event.metrics);
      },
    }).finally(() => progress.stored());
    const outcome = await judged(store, input, trained, request, scratchDir, frame.signal);
    const whole: TrialOutcome = { ...outcome, mlflowRunId: record.runId, seconds: seconds() };
    await record.finish(whole, join(scratchDir, TRAINER_STDERR));
    return whole;
  } catch (error) {
    if (error instanceof StoppedAtRung) {
      const stopped = stoppedOutcome(input, record.runId, error, seconds());
      await record.finish(stopped, join(scratchDir, TRAINER_STDERR));
      return stopped;
    }
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

const stoppedOutcome = (
  { parameters }: TrialInput,
  mlflowRunId: string,
  { iteration }: StoppedAtRung,
  seconds: number,
): TrialOutcome => ({
  state: 'stopped',
  mlflowRunId,
  model: null,
  answers: null,
  parameters,
  libraries: {},
  iterations: iteration,
  bestIteration: iteration,
  seconds,
  validation: {},
});

async function judged(
  store: ArtifactStore,
  { problem, training, trial }: TrialInput,
  { result, modelPath }: TrainerOutcome,
  { validation }: TrainerRequest,
  scratchDir: string,
  signal: AbortSignal,
): Promise<Omit<TrialOutcome, 'mlflowRunId' | 'seconds'>> {
  // Out-of-fold answers are kept: calibration, threshold and stacking are fitted on them.
  const answersPath = trial.fold === null ? undefined : `${scratchDir}/answers.npy`;
  const metrics = await judgedOnMatrix(
    {
      problem,
      modelPath,
      featuresPath: validation?.features ?? '',
      labelsPath: validation?.labels ?? '',
      threads: training.threads,
      ...(answersPath === undefined ? {} : { answersPath }),
    },
    signal,
  );
  return {
    state: 'trained',
    model: await store.putFile(modelPath, MEDIA_TYPES.onnx),
    answers:
      answersPath === undefined
        ? null
        : await store.putFile(answersPath, MEDIA_TYPES.npy, { encrypt: problem.sensitive }),
    parameters: result.parameters,
    libraries: result.libraries,
    iterations: result.iterations,
    bestIteration: result.bestIteration,
    validation: metrics,
  };
}

async function trainerRequest(
  store: ArtifactStore,
  { candidate, parameters, maxSeconds, problem, training, data }: TrialInput,
  scratchDir: string,
  resumedFrom: ArtifactRef | undefined,
): Promise<TrainerRequest> {
  const paths = async (part: 'train' | 'validation') => ({
    features: await store.path(data[part].features),
    labels: await store.path(data[part].labels),
  });
  return {
    schemaVersion: 1,
    task: problem.task,
    trainer: candidate.trainer,
    train: await paths('train'),
    validation: await paths('validation'),
    featureNames: z.array(z.string()).parse(await store.json(data.featureNames)),
    classNames: problem.classNames,
    parameters,
    seed: training.seed,
    threads: training.threads,
    maxIterations: candidate.maxIterations,
    ...(maxSeconds === null ? {} : { maxSeconds }),
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
