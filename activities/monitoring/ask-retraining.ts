import { WorkflowNotFoundError, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { QUERIES, retrainingWorkflowId, SIGNALS, UPDATES } from '../../contracts/names.ts';
import {
  type RetrainingDecision,
  type RetrainingTick,
  retrainingStatus,
  type Trigger,
} from '../../contracts/retraining.ts';
import { isNews } from '../../domain/retraining/news.ts';
import type { ActivityDependencies } from '../dependencies.ts';

type Question = Parameters<MonitoringActivities['askRetraining']>[0];

/**
 * Tells the pipeline's workflow `retraining` how late it is, where that is news to it, and what was seen, all together.
 *
 * @returns `null` where nothing was to be asked, or where the pipeline has no such workflow
 */
export async function askRetraining(
  deps: ActivityDependencies,
  { pipeline, tick, triggers }: Question,
): Promise<{ decision: RetrainingDecision | null }> {
  const handle = deps.client().workflow.getHandle(retrainingWorkflowId(pipeline));
  try {
    // A question leaves nothing in the history of a workflow that lives for years; a tick does, with every window.
    const status = retrainingStatus.parse(await handle.query(QUERIES.retraining));
    if (isNews(status, tick)) await handle.signal<[RetrainingTick]>(SIGNALS.tick, tick);
    if (triggers.length === 0) return { decision: null };
    const decision = await handle.executeUpdate<RetrainingDecision, [Trigger[]]>(UPDATES.trigger, {
      args: [triggers],
    });
    return { decision };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { decision: null };
    if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure)
      throw error.cause;
    throw error;
  }
}
