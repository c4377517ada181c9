import { join } from 'node:path';
import { activityInfo } from '@temporalio/activity';
import { PerennialError } from '../contracts/errors.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import { sizeBytes } from '../contracts/sizes.ts';
import type { Candidate } from '../contracts/spec/candidates.ts';
import type { TrialInput } from '../contracts/training-activities.ts';
import type { TrialOutcome } from '../contracts/trials.ts';
import type { PerennialConfig } from '../lib/config.ts';
import { programCommand } from '../lib/processes/programs.ts';
import { runTrainer, TRAINER_STDERR } from '../lib/processes/run-program.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { trainerCommand } from '../trainers/catalog.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { judgedTrial } from './judged-trial.ts';
import { trainerRequest } from './trainer-request.ts';
import { earlierProgress, TrainingProgress } from './training-progress.ts';
import { TrialRecord } from './trial-record.ts';
import { StoppedAtRung, TrialWatch } from './trial-watch.ts';

/** What an attempt may train although the time is used up: it ends with the model of its checkpoint. */
const LEAST_S = 0.1;

/**
 * Trains once in a process of its own, and judges the model on the validation rows. An attempt that follows a killed
 * one goes on from the last checkpoint, with what is left of the time. Where the search holds trials against each other
 * at rungs of iterations, one that is not among the best is stopped, and has no model.
 */
export async function trainTrial(
  deps: ActivityDependencies,
  whole: TrialInput,
  frame: ActivityFrame,
): Promise<TrialOutcome> {
  const started = Date.now();
  const earlier = earlierProgress(activityInfo().heartbeatDetails);
  const seconds = (): number => earlier.seconds + (Date.now() - started) / 1000;
  const input =
    whole.maxSeconds === null
      ? whole
      : { ...whole, maxSeconds: Math.max(LEAST_S, whole.maxSeconds - earlier.seconds) };
  const scratchDir = await frame.scratch();
  const store = (await deps.store()).within(scratchDir);
  const record = await TrialRecord.open(deps.mlflow(), input, frame);
  const watch = new TrialWatch(deps, input, frame.signal);
  try {
    const resumedFrom = await stillThere(store, earlier.checkpoint);
    const request = await trainerRequest(store, input, scratchDir, resumedFrom);
    const progress = new TrainingProgress(
      resumedFrom,
      (path) => store.putFile(path, 'application/octet-stream'),
      seconds,
      frame.report,
    );
    // Checkpoints are waited for after an abort too: the last one was written because of it.
    const trained = await runTrainer({
      ...programOf(input.candidate, deps.config),
      request,
      scratchDir,
      memoryBytes: sizeBytes(input.training.memory ?? ''),
      signal: watch.signal,
      onEvent: (event) => {
        progress.note(event);
        if (event.event !== 'progress') return;
        record.progress(event.iteration, event.metrics);
        watch.note(event.iteration, event.metrics);
      },
    }).finally(() => progress.stored());
    const judged = await judgedTrial(store, input, trained, scratchDir, frame.signal);
    const outcome: TrialOutcome = { ...judged, mlflowRunId: record.runId, seconds: seconds() };
    await record.finish(outcome, join(scratchDir, TRAINER_STDERR));
    return outcome;
  } catch (error) {
    if (error instanceof StoppedAtRung) {
      const stopped = stoppedOutcome(input, record.runId, error, seconds());
      await record.finish(stopped, join(scratchDir, TRAINER_STDERR));
      return stopped;
    }
    await record.fail(frame.signal.aborted ? 'KILLED' : 'FAILED', join(scratchDir, TRAINER_STDERR));
    throw error;
  } finally {
    watch.close();
    record.close();
  }
}

/** How the candidate's program is started. */
function programOf(candidate: Candidate, config: PerennialConfig) {
  switch (candidate.trainer) {
    case 'command':
      return programCommand(config, candidate);
    case 'activity':
      throw new PerennialError('InputInvalid', 'A trainer that is an activity is called by the workflow.');
    default:
      return trainerCommand(candidate.trainer, { python: config.python });
  }
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

/** The checkpoint of an earlier attempt, where its bytes are still there. */
async function stillThere(
  store: ArtifactStore,
  checkpoint: ArtifactRef | null,
): Promise<ArtifactRef | undefined> {
  return checkpoint && (await store.has(checkpoint)) ? checkpoint : undefined;
}
