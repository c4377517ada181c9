import { WorkflowNotFoundError } from '@temporalio/client';
import type { AlertState } from '../../contracts/alerts.ts';
import { durationMs } from '../../contracts/durations.ts';
import type { EndpointState } from '../../contracts/endpoint.ts';
import type { MonitorSettings, ObservedWindow } from '../../contracts/monitoring.ts';
import type { MonitoringActivities, MonitoringPlan } from '../../contracts/monitoring-activities.ts';
import { endpointWorkflowId, QUERIES } from '../../contracts/names.ts';
import { servedSince } from '../../domain/monitoring/served.ts';
import {
  endedWindows,
  filledWindows,
  type Progress,
  windowStart,
  withLabelled,
} from '../../domain/monitoring/windows.ts';
import { MonitorRecords } from '../../lib/monitoring/monitor-records.ts';
import { windowStarts } from '../../lib/monitoring/prediction-windows.ts';
import { channelsOf } from '../../lib/notices/settings.ts';
import type { ActivityDependencies } from '../dependencies.ts';
import type { ActivityFrame } from '../frame.ts';

type Question = Parameters<MonitoringActivities['planMonitoring']>[0];

/** Windows that one plan names: the next plan has the others. */
const AT_ONCE = 20;

const NO_ALERTS: AlertState = { open: [], silences: [], outbox: [] };

/** What of an endpoint is to be looked at by now. */
export async function planMonitoring(
  deps: ActivityDependencies,
  { endpoint, asOf, again }: Question,
  frame: ActivityFrame,
): Promise<MonitoringPlan> {
  const { documents } = await deps.store();
  const records = new MonitorRecords(documents);
  const settings = await records.settings(endpoint);
  const state = await records.state(endpoint);
  const alerts = state?.alerts ?? NO_ALERTS;
  const shared = {
    alerts,
    champion: await championOf(deps, endpoint),
    served: state?.served ?? servedSince(state?.trend ?? []),
    channels: channelsOf(deps.config),
    replayed: deps.config.predictions?.replay === true,
    url: state?.tracking?.url ?? null,
  };
  if (settings === undefined || (settings.paused && !again))
    return { settings: null, due: [], more: false, ...shared };
  const earlier = (state?.trend ?? []).map(({ window }) => window);
  const progress = { next: state?.next ?? settings.since, index: state?.index ?? 0 };
  const due = again
    ? recorded(earlier, again).map((window) => ({ window, labelled: window }))
    : withLabelled(
        await ended(deps, settings, progress, settled(settings, asOf), frame),
        { earlier, judgedThrough: state?.judgedThrough ?? null, since: settings.since },
        settings.monitoring.groundTruthDelay,
      );
  return { settings, due: due.slice(0, AT_ONCE), more: due.length > AT_ONCE, ...shared };
}

/** Before what moment windows must have ended to be looked at. */
const settled = ({ monitoring: { lateness } }: MonitorSettings, asOf: string): string =>
  lateness === undefined ? asOf : new Date(Date.parse(asOf) - durationMs(lateness)).toISOString();

/** One more than a plan names. */
async function ended(
  { config }: ActivityDependencies,
  { endpoint, monitoring: { window } }: MonitorSettings,
  progress: Progress,
  asOf: string,
  frame: ActivityFrame,
): Promise<ObservedWindow[]> {
  if (typeof window === 'string') return endedWindows(window, progress, asOf, AT_ONCE + 1);
  const starts = await windowStarts(
    config,
    endpoint,
    { since: progress.next, before: asOf, rows: window.rows, limit: AT_ONCE + 1 },
    { scratchDir: await frame.scratch(), memoryLimit: frame.duckdbMemory },
  );
  return filledWindows(starts, progress);
}

/** Windows that are on record and ended in a time: they are looked at again as they were, whatever the spec says now. */
function recorded(
  earlier: readonly ObservedWindow[],
  { from, before }: { from: string; before: string },
): ObservedWindow[] {
  const [first, last] = [Date.parse(from), Date.parse(before)];
  return earlier.filter((window) => Date.parse(window.before) > first && Date.parse(window.before) <= last);
}

/** The version in production, as the endpoint's workflow says; `null` where there is none. */
async function championOf(deps: ActivityDependencies, endpoint: string): Promise<string | null> {
  try {
    const handle = deps.client().workflow.getHandle(endpointWorkflowId(endpoint));
    const { current } = await handle.query<EndpointState>(QUERIES.endpoint);
    return current?.version ?? null;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

/** Where the first window of an endpoint begins. */
export const firstWindow = (window: MonitorSettings['monitoring']['window'], since: string): string =>
  typeof window === 'string' ? new Date(windowStart(window, Date.parse(since))).toISOString() : since;

/** How often an endpoint is looked at, in milliseconds. */
export function lookEvery({ window, every }: MonitorSettings['monitoring']): number {
  if (every !== undefined) return durationMs(every);
  return typeof window === 'string' && /^\d/.test(window) ? durationMs(window) : 3_600_000;
}
