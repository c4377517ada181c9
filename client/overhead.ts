import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';

/** Start and end in epoch milliseconds. */
type Interval = readonly [number, number];

const ms = (time: { seconds?: unknown; nanos?: number | null } | null | undefined): number =>
  Number(time?.seconds ?? 0) * 1000 + (time?.nanos ?? 0) / 1e6;

/** Total length of what the intervals cover together. */
export function covered(intervals: readonly Interval[]): number {
  let total = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const [start, end] of [...intervals].sort((a, b) => a[0] - b[0])) {
    total += Math.max(0, end - Math.max(start, until));
    until = Math.max(until, end);
  }
  return total;
}

/** Where a run's wall time went, in milliseconds. */
export interface TimeSpent {
  wall: number;
  /** In which at least one activity worked. */
  work: number;
  /** In which it waited for a person. */
  waited: number;
  /** What is left: the engine itself. */
  overhead: number;
}

/**
 * The engine's own overhead, from the histories of a run and its children: wall time less the time in which
 * activities worked and less the wait for a person.
 */
export async function timeSpent(client: Client, workflowId: string, waitedMs: number): Promise<TimeSpent> {
  const events = (await client.workflow.getHandle(workflowId).fetchHistory()).events ?? [];
  const work = [...activityIntervals(events)];
  for (const event of events) {
    const child = event.childWorkflowExecutionStartedEventAttributes?.workflowExecution;
    if (!child?.workflowId) continue;
    const history = await client.workflow
      .getHandle(child.workflowId, child.runId ?? undefined)
      .fetchHistory();
    work.push(...activityIntervals(history.events ?? []));
  }
  const wall = ms(events.at(-1)?.eventTime) - ms(events[0]?.eventTime);
  const busy = covered(work);
  return { wall, work: busy, waited: waitedMs, overhead: Math.max(0, wall - busy - waitedMs) };
}

function activityIntervals(events: readonly temporal.api.history.v1.IHistoryEvent[]): Interval[] {
  const started = new Map<string, number>();
  const intervals: Interval[] = [];
  for (const event of events) {
    if (event.activityTaskStartedEventAttributes) started.set(String(event.eventId), ms(event.eventTime));
    const ended =
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes ??
      event.activityTaskCanceledEventAttributes;
    const start = started.get(String(ended?.startedEventId));
    if (ended && start !== undefined) intervals.push([start, ms(event.eventTime)]);
  }
  return intervals;
}
