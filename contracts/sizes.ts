import { z } from 'zod';

const UNITS: Readonly<Record<string, number>> = {
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};
const PATTERN = /^([1-9]\d*(?:\.\d+)?) ?([MGT]i?B)$/i;

/** A size such as `512MB`, `4GB` or `1.5 GiB`. */
export const size = z
  .string()
  .regex(PATTERN, 'a size such as 512MB or 4GB')
  .meta({ description: 'A size: a number and one of MB, GB, TB, MiB, GiB, TiB; for example 4GB.' });

/**
 * Bytes of a size that {@link size} accepts.
 *
 * @returns `undefined` where the text is none
 * @example sizeBytes('4GB') === 4e9
 */
export function sizeBytes(text: string): number | undefined {
  const [, count, unit = ''] = PATTERN.exec(text) ?? [];
  return count === undefined ? undefined : Math.floor(Number(count) * (UNITS[unit.toUpperCase()] ?? 0));
}
