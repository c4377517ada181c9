import {
  CancellationScope,
  ChildWorkflowCancellationType,
  ChildWorkflowFailure,
  isCancellation,
  ParentClosePolicy,
  sleep,
  startChild,
  TerminatedFailure,
} from '@temporalio/workflow';
import { z } from 'zod';
import type { LifecycleInput, LifecycleResult } from '../../contracts/lifecycle.ts';
import { WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { RetrainingSettings } from '../../contracts/retraining.ts';
import type { DueRun } from '../../domain/retraining/book.ts';
import type { EndedRun } from '../../domain/retraining/runs.ts';
import { currentChampion, isRunning, registeredVersion } from '../activities.ts';
import { words } from '../failure-words.ts';
import { ROLLOUT_POLL } from '../policies.ts';

const MAX_STARTED_BY = 200;

/**
 * Trains the model of a pipeline on the data of now, by a lifecycle run of its own that outlives this workflow, and waits
 * for its end and that of its roll-out, however long somebody takes to approve.
 *
 * @returns how it ended; a run that fails is an answer, too
 */
export function trainedAnew(settings: RetrainingSettings, due: DueRun): Promise<EndedRun> {
  // A cancellation of this workflow does not reach the run, which is somebody's model.
  return CancellationScope.nonCancellable(async () => {
    const none = { workflowId: due.workflowId, version: null, seconds: 0, cost: 0 };
    try {
      const result = await ran(settings, due);
      const used = result.outputs.train?.search.used;
      return {
        workflowId: due.workflowId,
        ...(await arrived(result)),
        version: result.version,
        seconds: used?.seconds ?? 0,
        cost: used?.cost ?? 0,
      };
    } catch (error) {
      if (wasEnded(error))
        return { ...none, outcome: 'failed', message: 'the run was cancelled', cancelled: true };
      return { ...none, outcome: 'failed', message: words(error) };
    }
  });
}

/**
 * What became of a candidate whose roll-out went on after its run: no other run is to begin before that is known, or its
 * candidate would be in the way of this one.
 */
async function arrived({
  outcome,
  message,
  version,
  modelName,
  outputs,
}: LifecycleResult): Promise<Pick<EndedRun, 'outcome' | 'message'>> {
  const rollout = outputs.deploy?.rollout.workflowId;
  if (outcome !== 'rolling_out' || rollout === undefined || version === null || modelName === null)
    return { outcome, message };
  for (let pause: number = ROLLOUT_POLL.firstMs; ; pause = Math.min(2 * pause, ROLLOUT_POLL.lastMs)) {
    const { running } = await isRunning({ workflowId: rollout });
    if (!running) break;
    await sleep(pause);
  }
  const { model } = await currentChampion({ modelName });
  const known = await registeredVersion({ modelName, version });
  // It may have been in production and been replaced since.
  if (model?.version === version || known.outcome === 'deployed')
    return { outcome: 'deployed', message: `version ${version} is in production` };
  const ended = z.enum(['superseded', 'withdrawn', 'rolled_back']).catch('rolled_back').parse(known.outcome);
  return { outcome: ended, message: `the roll-out of version ${version} ended without it in production` };
}

async function ran(settings: RetrainingSettings, due: DueRun): Promise<LifecycleResult> {
  const { pipeline, specRef, code } = settings;
  const kinds = due.reasons.map(({ kind }) => kind).join(', ');
  const child = await startChild<(input: LifecycleInput) => Promise<LifecycleResult>>(
    WORKFLOW_TYPES.lifecycle,
    {
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
    },
  );
  return child.result();
}

/** Whether somebody cancelled or terminated the run: it is not to be tried again. */
const wasEnded = (error: unknown): boolean =>
  error instanceof ChildWorkflowFailure &&
  (isCancellation(error) || error.cause instanceof TerminatedFailure);
