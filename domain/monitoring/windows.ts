import { durationMs } from '../../contracts/durations.ts';
import type { ObservedWindow } from '../../contracts/monitoring.ts';
import type { DueWindow } from '../../contracts/monitoring-activities.ts';
import { isCalendar, type MonitoringSpec } from '../../contracts/spec/monitoring.ts';

type Length = MonitoringSpec['window'];
/** A window by time. */
type TimeLength = Extract<Length, string>;

const DAY = 86_400_000;
const WEEK = 7 * DAY;
/** 1970 began on a Thursday, weeks begin on Monday. */
const FIRST_MONDAY = 4 * DAY;

const iso = (ms: number): string => new Date(ms).toISOString();

/** The beginning of the window that a moment lies in, in milliseconds; windows are the same for all endpoints. */
export function windowStart(length: TimeLength, at: number): number {
  if (!isCalendar(length)) {
    const ms = durationMs(length);
    return Math.floor(at / ms) * ms;
  }
  if (length === 'week') return Math.floor((at - FIRST_MONDAY) / WEEK) * WEEK + FIRST_MONDAY;
  const date = new Date(at);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

/** The end of the window that begins at `start`, in milliseconds. */
export function windowEnd(length: TimeLength, start: number): number {
  if (!isCalendar(length)) return start + durationMs(length);
  if (length === 'week') return start + WEEK;
  const date = new Date(start);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}

/** Where the watching of an endpoint stands. */
export interface Progress {
  /** The first moment that no window has covered. */
  next: string;
  /** Index of the next window. */
  index: number;
}

/**
 * Windows by time that have ended by `asOf`, the earliest first: also all those that were missed in an outage.
 *
 * @param limit how many at the most
 * @example
 * endedWindows('1d', { next: '2026-11-20T00:00:00.000Z', index: 7 }, '2026-11-22T09:00:00Z', 10).length // 2
 */
export function endedWindows(
  length: TimeLength,
  { next, index }: Progress,
  asOf: string,
  limit: number,
): ObservedWindow[] {
  const windows: ObservedWindow[] = [];
  const now = Date.parse(asOf);
  let from = windowStart(length, Date.parse(next));
  for (let at = index; windows.length < limit; at++) {
    const before = windowEnd(length, from);
    if (before > now) break;
    windows.push({ index: at, from: iso(from), before: iso(before) });
    from = before;
  }
  return windows;
}

/**
 * Windows of so many rows, from the moments at which each begins: a window is over when the next one has begun.
 *
 * @param starts the earliest first; the first is `next`
 */
export function filledWindows(starts: readonly string[], { index }: Progress): ObservedWindow[] {
  return starts.slice(1).map((before, i) => ({ index: index + i, from: starts[i] ?? before, before }));
}

/**
 * Says for each window which part of the past has its truth by now: from where it was judged last up to the end of the
 * latest window that ended before the delay. Each part is judged once. Where nothing is due it is `null`.
 *
 * @param earlier ends of windows that are on record
 * @param judgedThrough the end of the part that was judged last
 */
export function withLabelled(
  windows: readonly ObservedWindow[],
  earlier: readonly ObservedWindow[],
  judgedThrough: string | null,
  groundTruthDelay: string | undefined,
): DueWindow[] {
  const delay = groundTruthDelay === undefined ? 0 : durationMs(groundTruthDelay);
  const known = [...earlier, ...windows];
  let through = judgedThrough;
  return windows.map((window) => {
    const until = Date.parse(window.before) - delay;
    const waiting = known.filter(
      ({ before }) => Date.parse(before) <= until && (through === null || before > through),
    );
    const [first, last] = [waiting[0], waiting.at(-1)];
    if (!first || !last) return { window, labelled: null };
    through = last.before;
    return { window, labelled: { index: last.index, from: first.from, before: last.before } };
  });
}
