import { z } from 'zod';

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
const PATTERN = /^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)$/;

/** Ten years. Temporal takes no time-out of 0, and a date in the far future is none that JavaScript can write. */
const LONGEST_MS = 3_650 * UNITS.d;

/**
 * A duration such as `500ms`, `90s`, `10m`, `1.5h`, `7d` or `2w`: from 1 ms to ten years.
 *
 * @example `timeout: 7d`
 */
export const duration = z
  .string()
  .regex(PATTERN, { error: 'a duration such as 30s, 10m, 2h or 7d', abort: true })
  .refine((text) => durationMs(text) >= 1 && durationMs(text) <= LONGEST_MS, 'a duration from 1ms to 3650d')
  .meta({ description: 'A duration: a number and one of ms, s, m, h, d, w; for example 10m.' });

/**
 * Milliseconds of a duration that {@link duration} accepted.
 *
 * @throws RangeError where the text is not a duration
 * @example durationMs('10m') === 600_000
 */
export function durationMs(text: string): number {
  const match = PATTERN.exec(text);
  const unit = match?.[2];
  if (!match || !(unit && unit in UNITS))
    throw new RangeError(`"${text}" is not a duration; write 30s, 10m, 2h or 7d`);
  return Number(match[1]) * UNITS[unit as keyof typeof UNITS];
}
