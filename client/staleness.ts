import { durationMs } from '../contracts/durations.ts';
import type { MonitorView } from '../contracts/monitor-questions.ts';

/** Days of the windows of the calendar, at the most. */
const CALENDAR_DAYS = { week: 7, month: 31 } as const;
const DAY = 86_400_000;
const MINUTE = 60_000;

/** Milliseconds of a window; `null` where it is of so many predictions, which may take any time. */
function lengthOf(window: MonitorView['settings']['monitoring']['window']): number | null {
  if (typeof window !== 'string') return null;
  if (window === 'week' || window === 'month') return CALENDAR_DAYS[window] * DAY;
  return durationMs(window);
}

/**
 * How long ago the latest window ended (or the first began), where that is more than two windows: what is shown is not
 * how the endpoint is now.
 *
 * @param now milliseconds since 1970
 * @returns milliseconds; `null` where it is not late, is paused, or where time is that of recorded traffic
 */
export function staleFor({ settings, state }: MonitorView, now: number): number | null {
  const { monitoring, paused, clock, since } = settings;
  const length = lengthOf(monitoring.window);
  if (length === null || paused || clock === 'event') return null;
  const age = now - Date.parse(state?.latest?.window.before ?? since);
  const wait = [monitoring.lateness, monitoring.every].reduce(
    (sum, one) => sum + (one === undefined ? 0 : durationMs(one)),
    0,
  );
  return age > 2 * length + wait + MINUTE ? age : null;
}

/** @example ageWords(7_500_000) === '2 hours' */
export function ageWords(ms: number): string {
  const minutes = Math.floor(ms / MINUTE);
  if (minutes < 120) return `${minutes} minutes`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`;
}
