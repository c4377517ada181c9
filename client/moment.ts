import { PerennialError } from '../contracts/errors.ts';

/**
 * A moment as people write it; without an offset it is UTC.
 *
 * @param option named in the message
 * @returns ISO 8601
 * @throws PerennialError `InputInvalid` where it is none
 * @example momentOf('2026-11-22', '--from') // 2026-11-22T00:00:00.000Z
 */
export function momentOf(text: string, option: string): string {
  const whole = /T.*(Z|[+-]\d\d:?\d\d)$/.test(text) || !text.includes('T') ? text : `${text}Z`;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? new Date(whole) : new Date(Number.NaN);
  if (!Number.isNaN(at.getTime())) return at.toISOString();
  throw new PerennialError(
    'InputInvalid',
    `${option}: expected a time such as 2026-11-22 or 2026-11-22T10:00Z`,
  );
}
