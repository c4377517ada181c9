import {
  type Client,
  isGrpcServiceError,
  ScheduleAlreadyRunning,
  type ScheduleOptions,
} from '@temporalio/client';
import { durationMs } from '../contracts/durations.ts';
import { PerennialError } from '../contracts/errors.ts';
import { retrainingScheduleId, WORKFLOW_TYPES } from '../contracts/names.ts';
import type { NewDataInput, RetrainingSettings, RetrainingTriggerInput } from '../contracts/retraining.ts';
import { removeSchedule } from './schedule-removal.ts';

/** A month's retraining that an outage of the server swallowed is caught up; the next look for new data comes anyway. */
const SCHEDULE_POLICIES = { overlap: 'SKIP', catchupWindow: '7d' } as const;
const POLL_POLICIES = { overlap: 'SKIP', catchupWindow: '1h' } as const;
const SHORTEST_POLL_MS = 1_000;
/** Of gRPC. */
const INVALID_ARGUMENT = 3;

/**
 * Makes the schedules of a pipeline what its spec asks for. One that a person paused stays paused; one that is not asked
 * for any more is deleted.
 *
 * @throws PerennialError `SpecInvalid` where `retraining.on.schedule` is no cron expression
 */
export async function ensureSchedules(
  client: Client,
  taskQueue: string,
  { pipeline, retraining: { on } }: Pick<RetrainingSettings, 'pipeline' | 'retraining'>,
): Promise<void> {
  const { schedule: cron, newData } = on;
  const triggerInput: RetrainingTriggerInput = {
    pipeline,
    trigger: { kind: 'schedule', reason: `schedule ${cron} (UTC)` },
  };
  const newDataInput: NewDataInput = { pipeline };
  const schedule = retrainingScheduleId(pipeline, 'schedule');
  if (cron === undefined) await removeSchedule(client, schedule);
  else
    await ensured(client, {
      scheduleId: schedule,
      // What stands behind # is kept as a comment; of the expression itself the server keeps a calendar.
      spec: { cronExpressions: [`${cron} # cron ${cron}`], timezone: 'UTC' },
      action: {
        type: 'startWorkflow',
        workflowType: WORKFLOW_TYPES.retrainingTrigger,
        workflowId: schedule,
        taskQueue,
        args: [triggerInput],
      },
      policies: SCHEDULE_POLICIES,
    }).catch((error: unknown) => {
      throw invalidCron(pipeline, cron, error);
    });
  const poll = retrainingScheduleId(pipeline, 'new-data');
  if (newData === undefined) await removeSchedule(client, poll);
  else
    await ensured(client, {
      scheduleId: poll,
      spec: { intervals: [{ every: Math.max(SHORTEST_POLL_MS, durationMs(newData.poll)) }] },
      action: {
        type: 'startWorkflow',
        workflowType: WORKFLOW_TYPES.newData,
        workflowId: poll,
        taskQueue,
        args: [newDataInput],
      },
      policies: POLL_POLICIES,
    });
}

/** Deletes the schedules of a pipeline that is not trained anew any more. */
export async function removeSchedules(client: Client, pipeline: string): Promise<void> {
  await removeSchedule(client, retrainingScheduleId(pipeline, 'schedule'));
  await removeSchedule(client, retrainingScheduleId(pipeline, 'new-data'));
}

async function ensured({ schedule: schedules }: Client, options: ScheduleOptions): Promise<void> {
  const { scheduleId, spec, action, policies } = options;
  try {
    await schedules.create(options);
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    // The state is a person's: whether it is paused, and what they noted.
    await schedules.getHandle(scheduleId).update(({ state }) => ({
      spec,
      action: { ...action, workflowId: action.workflowId ?? scheduleId },
      ...(policies ? { policies } : {}),
      state,
    }));
  }
}

/** The server alone knows its cron expressions; what it says of one comes as a `TypeError` or as an argument refused. */
function invalidCron(pipeline: string, cron: string, error: unknown): unknown {
  const cause = error instanceof Error ? error.cause : undefined;
  const refused = isGrpcServiceError(cause) && cause.code === INVALID_ARGUMENT ? cause.details : undefined;
  const words = error instanceof TypeError ? error.message : refused;
  if (words === undefined) return error;
  return new PerennialError(
    'SpecInvalid',
    `retraining.on.schedule of ${pipeline}: "${cron}" is no cron expression that Temporal takes (${words}); write minute, hour, day of month, month, day of week, such as 0 3 1 * *`,
    false,
    { cause: error },
  );
}
