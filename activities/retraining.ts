import { activityInfo, log } from '@temporalio/activity';
import {
  WithStartWorkflowOperation,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { ApplicationFailure, type Workflow } from '@temporalio/common';
import { PerennialError } from '../contracts/errors.ts';
import type { RetrainingActivities, RetrainingEnd } from '../contracts/monitoring-activities.ts';
import { QUERIES, retrainingWorkflowId, UPDATES, WORKFLOW_TYPES } from '../contracts/names.ts';
import type { SourceLook } from '../contracts/new-data.ts';
import {
  type RetrainingInput,
  type RetrainingRetirement,
  type RetrainingSettings,
  type RetrainingStatus,
  retrainingStatus,
} from '../contracts/retraining.ts';
import { type PipelineSpec, pipelineSpec } from '../contracts/spec/pipeline.ts';
import { type LookOptions, lookAtSource } from '../lib/sources/look.ts';
import { sourceOptions } from '../lib/sources/options.ts';
import { RememberedLooks } from '../lib/sources/source-looks.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { eventLogNow } from './event-log.ts';
import { type ActivityFrame, framed } from './frame.ts';
import { ensureSchedules, removeSchedules } from './retraining-schedules.ts';
import { runEndOf } from './run-end.ts';
import { withDatabase } from './with-database.ts';

/** Activities of continuous training. */
export function retrainingActivities(deps: ActivityDependencies): RetrainingActivities {
  const { config } = deps;
  return {
    ensureRetraining: framed(config, async (input) => {
      const { settings } = input;
      if (settings === null) {
        await removeSchedules(deps.client(), input.pipeline);
        await retired(deps, input);
        return;
      }
      // Where recorded traffic is replayed, whoever replays it says how late it is.
      const clock = config.predictions?.replay ? 'event' : settings.clock;
      await configured(deps, { ...settings, clock });
      if (clock === 'wall') await ensureSchedules(deps.client(), config.taskQueue, settings);
    }),

    findRunEnd: framed(config, ({ workflowId }) => runEndOf(deps.client(), workflowId)),

    lookForNewData: framed(config, async ({ pipeline }, frame) => {
      const store = await deps.store();
      const remembered = new RememberedLooks(store.documents);
      const { specRef } = (await statusOf(deps, pipeline)).settings;
      const spec = pipelineSpec.parse(await store.json(specRef));
      const before = await remembered.read(pipeline);
      const now = await lookedAt(deps, spec, before?.sources ?? {}, frame);
      const { workflowId = '', runId = '' } = activityInfo().workflowExecution ?? {};
      return remembered.remember(pipeline, `${workflowId} ${runId}`, before, now);
    }),
  };
}

/** Tells the pipeline's workflow how to go on, and starts it where there is none. */
async function configured(deps: ActivityDependencies, settings: RetrainingSettings): Promise<void> {
  const { pipeline } = settings;
  const input: RetrainingInput = { settings };
  try {
    await deps
      .client()
      .workflow.executeUpdateWithStart<Workflow, RetrainingStatus, [RetrainingSettings]>(UPDATES.configure, {
        args: [settings],
        startWorkflowOperation: new WithStartWorkflowOperation(WORKFLOW_TYPES.retraining, {
          workflowId: retrainingWorkflowId(pipeline),
          taskQueue: deps.config.taskQueue,
          workflowIdConflictPolicy: 'USE_EXISTING',
          args: [input],
          staticSummary: `Retraining of ${pipeline}: when its model is trained anew`,
        }),
      });
  } catch (error) {
    // The workflow's own refusal is the answer; anything else (no worker, no connection) is tried again.
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure)
      throw error.cause;
    log.warn('the retraining of the pipeline did not answer', { pipeline, error });
    throw error;
  }
}

/** Ends the pipeline's workflow, where there is one. */
async function retired(deps: ActivityDependencies, { pipeline, reason }: RetrainingEnd): Promise<void> {
  try {
    await deps
      .client()
      .workflow.getHandle(retrainingWorkflowId(pipeline))
      .executeUpdate<RetrainingStatus, [RetrainingRetirement]>(UPDATES.retire, { args: [{ reason }] });
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return;
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure)
      throw error.cause;
    throw error;
  }
}

/** @throws PerennialError `InputInvalid` where the pipeline has no retraining */
async function statusOf(deps: ActivityDependencies, pipeline: string): Promise<RetrainingStatus> {
  const handle = deps.client().workflow.getHandle(retrainingWorkflowId(pipeline));
  try {
    return retrainingStatus.parse(await handle.query(QUERIES.retraining));
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    throw new PerennialError(
      'InputInvalid',
      `pipeline ${pipeline} has no retraining; give its spec a section retraining and run it`,
      false,
      { cause: error },
    );
  }
}

function lookedAt(
  deps: ActivityDependencies,
  { data }: PipelineSpec,
  before: Readonly<Record<string, SourceLook>>,
  frame: ActivityFrame,
): Promise<Record<string, SourceLook>> {
  return withDatabase(frame, async (database, scratchDir) => {
    const options: LookOptions = {
      ...sourceOptions(deps.config, scratchDir, frame.signal),
      head: async ({ events }) => {
        const { batches, rows } = await eventLogNow(deps.client(), events);
        return `events:${batches}/${rows}`;
      },
    };
    const looks: Record<string, SourceLook> = {};
    for (const [name, source] of Object.entries(data.sources))
      looks[name] = await lookAtSource(database, name, source, before[name], options);
    return looks;
  });
}
