import type { MonitorState, WindowReport, WindowSummary } from '../../contracts/monitoring.ts';
import { windowReport } from '../../contracts/monitoring.ts';
import type { MonitoringActivities } from '../../contracts/monitoring-activities.ts';
import { servedAfter, servedSince } from '../../domain/monitoring/served.ts';
import { trendOf } from '../../domain/monitoring/trend.ts';
import { MonitorRecords, TREND_WINDOWS } from '../../lib/monitoring/monitor-records.ts';
import type { ActivityDependencies } from '../dependencies.ts';

type Question = Parameters<MonitoringActivities['recordWindow']>[0];

/**
 * Puts a window on record: its place in the trend, the alerts, and what the next window begins with. A window that is on
 * record is not counted again; `recorded` is false where it is another look's.
 */
export async function recordWindow(
  deps: ActivityDependencies,
  { settings: { endpoint, since }, summary, alerts }: Question,
): ReturnType<MonitoringActivities['recordWindow']> {
  const store = await deps.store();
  const { carriedOver } = windowReport.parse(await store.json(summary.report));
  const state = await new MonitorRecords(store.documents).changeState(endpoint, (known) => {
    if (alerts === null) return corrected(known, summary);
    const isRecorded = known !== undefined && known.index > summary.window.index;
    return isRecorded ? undefined : continued(known, { endpoint, summary, alerts, carriedOver });
  });
  // Asked again after an answer that was lost, it finds its own.
  const isOwn = alerts === null || state?.latest?.report.sha256 === summary.report.sha256;
  return { recorded: isOwn, next: state?.next ?? since, index: state?.index ?? 0 };
}

interface Recorded extends Pick<WindowReport, 'carriedOver'> {
  endpoint: string;
  summary: WindowSummary;
  alerts: NonNullable<Question['alerts']>;
}

const continued = (
  known: MonitorState | undefined,
  { endpoint, summary, alerts, carriedOver }: Recorded,
): MonitorState => ({
  endpoint,
  next: summary.window.before,
  index: summary.window.index + 1,
  trend: [...(known?.trend ?? []), trendOf(summary)].slice(-TREND_WINDOWS),
  latest: summary,
  judgedThrough: summary.labelled?.before ?? known?.judgedThrough ?? null,
  served: servedAfter(known?.served ?? servedSince(known?.trend ?? []), summary),
  // People may have asked for silence meanwhile.
  alerts: { ...alerts, silences: known?.alerts.silences ?? [] },
  undelivered: known?.undelivered ?? [],
  detector: carriedOver.detector,
  // Servers that are gone are forgotten; where none was asked, what was read last still counts.
  counters: Object.keys(carriedOver.counters).length > 0 ? carriedOver.counters : (known?.counters ?? {}),
  tracking: known?.tracking ?? null,
  unlogged: known?.unlogged ?? summary.window.index,
});

/** A window that was looked at again takes the place of what was seen first. */
function corrected(known: MonitorState | undefined, summary: WindowSummary): MonitorState | undefined {
  const { index } = summary.window;
  if (!known?.trend.some(({ window }) => window.index === index)) return undefined;
  return {
    ...known,
    trend: known.trend.map((one) => (one.window.index === index ? trendOf(summary) : one)),
    latest: known.latest?.window.index === index ? summary : known.latest,
    unlogged: Math.min(known.unlogged, index),
  };
}
