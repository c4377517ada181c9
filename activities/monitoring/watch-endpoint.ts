import {
  type Client,
  ScheduleAlreadyRunning,
  type ScheduleOptions,
  ScheduleOverlapPolicy,
} from '@temporalio/client';
import { durationMs } from '../../contracts/durations.ts';
import type { MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { monitorScheduleId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import type { MonitoringSpec } from '../../contracts/spec/monitoring.ts';
import { FeatureRecords } from '../../lib/feature-store/feature-records.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import { removeSchedule } from '../schedule-removal.ts';
import { firstWindow, lookEvery } from './plan-monitoring.ts';

type Question = Parameters<MonitoringActivities['watchEndpoint']>[0];

/** Missed looks are made up for by the next one, which finds all windows that are due. */
const CATCH_UP = '1h';

/**
 * Puts an endpoint under watch as the spec says: what is on record, and the schedule. A schedule that somebody paused
 * stays paused. A spec without `monitoring` ends the watching that an earlier one asked for.
 */
export async function watchEndpoint(
  deps: ActivityDependencies,
  { spec, since }: Question,
): Promise<{ specRef: ArtifactRef }> {
  const { endpoint } = spec.deployment;
  const { monitoring } = spec;
  const store = await deps.store();
  const specRef = await store.putJson(spec);
  // Views of earlier specs are kept as long as versions with traffic use them.
  if (Object.keys(spec.featureViews).length === 0)
    await new FeatureRecords(store.documents).change(
      spec.name,
      (known) => known && { ...known, current: [] },
    );
  const records = new MonitorRecords(store.documents);
  if (!monitoring) {
    await ended(deps, records, endpoint);
    return { specRef };
  }
  const begins = firstWindow(monitoring.window, monitoring.since ?? since);
  const wasEnded = (await records.settings(endpoint))?.endedAt !== undefined;
  // What nobody watched is not looked at afterwards: other versions answered then.
  if (wasEnded)
    await records.changeState(endpoint, (known) =>
      known && Date.parse(known.next) < Date.parse(begins) ? { ...known, next: begins } : undefined,
    );
  await records.changeSettings(endpoint, (known) => ({
    endpoint,
    pipeline: spec.name,
    specRef,
    monitoring,
    since: known?.since ?? begins,
    paused: known?.endedAt === undefined ? (known?.paused ?? false) : false,
    ...(known?.endedAt === undefined && known?.note ? { note: known.note } : {}),
    ...(deps.config.predictions?.replay ? { clock: 'event' as const } : {}),
  }));
  // Where recorded traffic is replayed, whoever replays it says how late it is.
  if (!deps.config.predictions?.replay)
    await ensureSchedule(
      deps.client(),
      deps.config.taskQueue,
      endpoint,
      lookEvery(monitoring),
      latenessOf(monitoring),
    );
  return { specRef };
}

/** Ends the watching of an endpoint. What is on record stays, and so does what is still to be told. */
async function ended(deps: ActivityDependencies, records: MonitorRecords, endpoint: string): Promise<void> {
  if ((await records.settings(endpoint)) === undefined) return;
  await records.changeExistingSettings(endpoint, (known) => ({
    ...known,
    paused: true,
    endedAt: known.endedAt ?? new Date().toISOString(),
  }));
  await removeSchedule(deps.client(), monitorScheduleId(endpoint));
}

async function ensureSchedule(
  { schedule: schedules }: Pick<Client, 'schedule'>,
  taskQueue: string,
  endpoint: string,
  every: number,
  lateness: number,
): Promise<void> {
  const scheduleId = monitorScheduleId(endpoint);
  // When a window has ended, and been archived.
  const offset = lateness % every;
  const wanted = {
    spec: { intervals: [{ every, offset }], jitter: Math.min(10_000, Math.floor(every / 10)) },
    action: {
      type: 'startWorkflow',
      workflowType: WORKFLOW_TYPES.monitor,
      workflowId: scheduleId,
      taskQueue,
      args: [{ endpoint }],
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

const latenessOf = ({ lateness }: MonitoringSpec): number =>
  lateness === undefined ? 0 : durationMs(lateness);
