const ZONE = /(Z|[+-]\d\d:?\d\d)$/i;

/** Epoch milliseconds of ISO 8601; without an offset it is UTC. */
export function epochOf(text: string): number {
  return Date.parse(text.includes('T') && !ZONE.test(text) ? `${text}Z` : text);
}

/** A clock that was set by less than this is not followed: what was told by both clocks stays in order. */
const STEP_MS = 5;

let offset = performance.timeOrigin;

/**
 * When something happened, epoch milliseconds with fractions. `Date.now()` knows whole milliseconds only, too few to
 * tell what came first; the same moment always gives the same number, until somebody sets the machine's clock.
 *
 * @param at milliseconds of `performance.now()`
 * @example epochMs(call.arrived)
 */
export function epochMs(at: number = performance.now()): number {
  const before = performance.now();
  const now = Date.now();
  // Where the process lost its turn between the two clocks they say nothing of each other.
  const isOneMoment = performance.now() - before < STEP_MS / 2;
  if (isOneMoment && Math.abs(now - before - offset) > STEP_MS) offset = now - before;
  return offset + at;
}
