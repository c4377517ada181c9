import { ScheduleAlreadyRunning, type ScheduleOptions, ScheduleOverlapPolicy } from '@temporalio/client';
import { durationMs } from '../contracts/durations.ts';
import { featuresScheduleId, WORKFLOW_TYPES } from '../contracts/names.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { ActivityDependencies } from './dependencies.ts';

/** The next run takes in whatever came meanwhile. */
const CATCH_UP = '1m';

/**
 * Has the features of a pipeline brought up to date as often as the most demanding of its views says. A schedule that
 * somebody paused stays paused. Where recorded traffic is replayed, whoever replays it says up to when.
 */
export async function ensureFeatureSchedule(
  { client, config }: Pick<ActivityDependencies, 'client' | 'config'>,
  { name: pipeline, featureViews }: PipelineSpec,
): Promise<void> {
  if (config.predictions?.replay) return;
  const { schedule: schedules } = client();
  const scheduleId = featuresScheduleId(pipeline);
  const every = Math.min(...Object.values(featureViews).map(({ online }) => durationMs(online.every)));
  const wanted = {
    spec: { intervals: [{ every }], jitter: Math.min(10_000, Math.floor(every / 10)) },
    action: {
      type: 'startWorkflow',
      workflowType: WORKFLOW_TYPES.materialization,
      workflowId: scheduleId,
      taskQueue: config.taskQueue,
      args: [{ pipeline }],
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: CATCH_UP },
  } as const satisfies Omit<ScheduleOptions, 'scheduleId'>;
  try {
    await schedules.create({ scheduleId, ...wanted });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await schedules.getHandle(scheduleId).update(({ state }) => ({ ...wanted, state }));
  }
}
