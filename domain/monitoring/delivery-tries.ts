const MINUTE = 60_000;
const DAY = 86_400_000;

/** After a refusal: settings and secrets are mended by people, in half an hour or in a week. */
const FIRST_MS = 30 * MINUTE;
const NEXT_MS = 60 * MINUTE;
/** So long an alert is worth telling. */
const PATIENCE_MS = 30 * DAY;

/**
 * When a channel that refuses an alert is tried again: after half an hour, then each hour, for thirty days.
 *
 * @param tries that failed
 * @param spentMs milliseconds since the first
 * @returns milliseconds to wait; `null`: not any more
 */
export function nextTry(tries: number, spentMs: number): number | null {
  const pause = tries <= 1 ? FIRST_MS : NEXT_MS;
  return spentMs + pause > PATIENCE_MS ? null : pause;
}
