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
 * Windows by time that have ended by `asOf`, the earliest first: also all those that were missed in an outage. The first
 * one begins where the last one ended: after a change of the length it is shorter, so that nothing is looked at twice.
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
  let from = Date.parse(next);
  for (let at = index; windows.length < limit; at++) {
    const before = windowEnd(length, windowStart(length, from));
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

/** What is known of the windows of the past. */
export interface Past {
  /** Windows that are on record, the earliest first; those of long ago may be forgotten. */
  earlier: readonly ObservedWindow[];
  /** The end of the part that was judged last; `null`: none was. */
  judgedThrough: string | null;
  /** Where the first window began; needed only where windows may be forgotten. */
  since?: string;
}

/**
 * Says for each window which part of the past has its truth by now: from where it was judged last up to the end of the
 * latest window that ended before the delay. Each part is judged once. Where nothing is due it is `null`. A delay may be
 * longer than windows are remembered: then the part ends where the delay says, between the ends of windows that nobody
 * knows any more.
 */
export function withLabelled(
  windows: readonly ObservedWindow[],
  { earlier, judgedThrough, since }: Past,
  groundTruthDelay: string | undefined,
): DueWindow[] {
  const delay = groundTruthDelay === undefined ? 0 : durationMs(groundTruthDelay);
  const known = [...earlier, ...windows];
  let through = judgedThrough === null ? null : Date.parse(judgedThrough);
  const begin = since === undefined ? null : Date.parse(since);
  return windows.map((window) => {
    const until = Date.parse(window.before) - delay;
    const last = lastBefore(known, until);
    const first = Date.parse(known[0]?.from ?? window.from);
    const from = through ?? Math.min(begin ?? first, first);
    if (!last || last.end <= from) return { window, labelled: null };
    through = last.end;
    return { window, labelled: { index: last.index, from: iso(from), before: iso(last.end) } };
  });
}

/** The end of the latest window that ended by a moment, or the moment where those of that time are forgotten. */
function lastBefore(
  known: readonly ObservedWindow[],
  until: number,
): { index: number; end: number } | undefined {
  const ended = known.findLast(({ before }) => Date.parse(before) <= until);
  if (ended) return { index: ended.index, end: Date.parse(ended.before) };
  const [first, last] = [known[0], known.at(-1)];
  if (!first || !last || first.index === 0) return undefined;
  const begin = Date.parse(first.from);
  const end = Math.min(begin, until);
  const length = (Date.parse(last.before) - begin) / known.length;
  // About the index that it had: windows of a length of time are all as long, those of rows are not.
  return { index: Math.max(0, first.index - 1 - Math.round((begin - end) / length)), end };
}
