import {
  CancellationScope,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  type ChildWorkflowHandle,
  getExternalWorkflowHandle,
  isCancellation,
  log,
  ParentClosePolicy,
  sleep,
  startChild,
  TerminatedFailure,
} from '@temporalio/workflow';
import { z } from 'zod';
import type { LifecycleInput, LifecycleResult } from '../../contracts/lifecycle.ts';
import type { RunEnd } from '../../contracts/monitoring-activities.ts';
import { WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { RetrainingSettings } from '../../contracts/retraining.ts';
import type { DueRun } from '../../domain/retraining/book.ts';
import type { EndedRun } from '../../domain/retraining/runs.ts';
import { currentChampion, findRunEnd, isRunning, registeredVersion } from '../activities.ts';
import { words } from '../failure-words.ts';
import { ROLLOUT_POLL } from '../policies.ts';

const MAX_STARTED_BY = 200;

type Lifecycle = (input: LifecycleInput) => Promise<LifecycleResult>;

/**
 * Trains the model of a pipeline on the data of now, by a lifecycle run of its own that outlives this workflow, and waits
 * for its end and that of its roll-out, however long somebody takes to approve.
 *
 * @param begun told when the run has begun, or could not: from then on {@link endOf} finds it as well
 * @returns how it ended; a run that fails is an answer, too
 */
export function trainedAnew(settings: RetrainingSettings, due: DueRun, begun: () => void): Promise<EndedRun> {
  const { workflowId } = due;
  // A cancellation of this workflow does not reach the run, which is somebody's model.
  return CancellationScope.nonCancellable(async () => {
    try {
      const child = await started(settings, due).finally(begun);
      return await arrived(workflowId, endIn(await child.result()));
    } catch (error) {
      return failed(workflowId, wasEnded(error) ? 'the run was cancelled' : words(error), wasEnded(error));
    }
  });
}

/**
 * Waits for the end of a run that an earlier workflow of this entity started.
 *
 * @returns as {@link trainedAnew}
 */
export function endOf(workflowId: string): Promise<EndedRun> {
  return CancellationScope.nonCancellable(async () => {
    try {
      for (let pause: number = ROLLOUT_POLL.firstMs; ; pause = Math.min(2 * pause, ROLLOUT_POLL.lastMs)) {
        const { end } = await findRunEnd({ workflowId });
        if (end) return await arrived(workflowId, end);
        await sleep(pause);
      }
    } catch (error) {
      return failed(workflowId, words(error), false);
    }
  });
}

/** Asks a run to end. It may be over already. */
export async function cancelled(workflowId: string): Promise<void> {
  await CancellationScope.nonCancellable(() => getExternalWorkflowHandle(workflowId).cancel()).catch(
    (error: unknown) => log.warn(`run ${workflowId} was not cancelled: ${words(error)}`),
  );
}

const failed = (workflowId: string, message: string, wasCancelled: boolean): EndedRun => ({
  workflowId,
  outcome: 'failed',
  message,
  version: null,
  seconds: 0,
  cost: 0,
  ...(wasCancelled ? { cancelled: true } : {}),
});

function endIn({ outcome, message, modelName, version, outputs }: LifecycleResult): RunEnd {
  const used = outputs.train?.search.used;
  return {
    outcome,
    message,
    modelName,
    version,
    rollout: outputs.deploy?.rollout.workflowId ?? null,
    seconds: used?.seconds ?? 0,
    cost: used?.cost ?? 0,
    cancelled: false,
  };
}

/**
 * What became of a candidate whose roll-out went on after its run: no other run is to begin before that is known, or its
 * candidate would be in the way of this one.
 */
async function arrived(workflowId: string, end: RunEnd): Promise<EndedRun> {
  const { outcome, message, version, modelName, rollout, seconds, cost } = end;
  const ended = { workflowId, outcome, message, version, seconds, cost };
  if (end.cancelled) return { ...ended, cancelled: true };
  if (outcome !== 'rolling_out' || rollout === null || version === null || modelName === null) return ended;
  for (let pause: number = ROLLOUT_POLL.firstMs; ; pause = Math.min(2 * pause, ROLLOUT_POLL.lastMs)) {
    const { running } = await isRunning({ workflowId: rollout });
    if (!running) break;
    await sleep(pause);
  }
  const { model } = await currentChampion({ modelName });
  const known = await registeredVersion({ modelName, version });
  // It may have been in production and been replaced since.
  if (model?.version === version || known.outcome === 'deployed')
    return { ...ended, outcome: 'deployed', message: `version ${version} is in production` };
  return {
    ...ended,
    outcome: z.enum(['superseded', 'withdrawn', 'rolled_back']).catch('rolled_back').parse(known.outcome),
    message: `the roll-out of version ${version} ended without it in production`,
  };
}

function started(settings: RetrainingSettings, due: DueRun): Promise<ChildWorkflowHandle<Lifecycle>> {
  const { pipeline, specRef, code } = settings;
  const kinds = due.reasons.map(({ kind }) => kind).join(', ');
  return startChild<Lifecycle>(WORKFLOW_TYPES.lifecycle, {
    workflowId: due.workflowId,
    args: [
      {
        specRef,
        asOf: due.asOf,
        code,
        startedBy: `retraining of ${pipeline}: ${kinds}`.slice(0, MAX_STARTED_BY),
      },
    ],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    cancellationType: ChildWorkflowCancellationType.ABANDON,
    staticSummary: `Lifecycle of ${pipeline}, trained anew: ${kinds}`,
  });
}

/** Whether somebody cancelled or terminated the run: it is not to be tried again. */
const wasEnded = (error: unknown): boolean =>
  error instanceof ChildWorkflowFailure &&
  (isCancellation(error) || error.cause instanceof TerminatedFailure);
