import type { WindowSummary } from '../../contracts/monitoring.ts';
import type { ServedSince } from '../../contracts/monitoring-activities.ts';

type Seen = Pick<WindowSummary, 'version' | 'window'>;

/** Goes on by one window: the version that answered most of it has served since then, or since before. */
export function servedAfter(served: ServedSince | null, { version, window }: Seen): ServedSince | null {
  if (version === null || version === served?.version) return served;
  return { version, since: window.from };
}

/**
 * The version that answered most of the latest window, and since which window it does, in the time of the log: recorded
 * data have another than the clock.
 *
 * @param windows the earliest first
 */
export const servedSince = (windows: readonly Seen[]): ServedSince | null =>
  windows.reduce<ServedSince | null>(servedAfter, null);
