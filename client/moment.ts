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
  const [, date, time] = /^(\d{4}-\d\d-\d\d)(?:[T ](.+))?$/.exec(text.trim()) ?? [];
  const offset = time === undefined || /(Z|[+-]\d\d:?\d\d)$/.test(time) ? '' : 'Z';
  const at = new Date(
    date === undefined ? Number.NaN : time === undefined ? date : `${date}T${time}${offset}`,
  );
  if (!Number.isNaN(at.getTime())) return at.toISOString();
  throw new PerennialError(
    'InputInvalid',
    `${option}: expected a time such as 2026-11-22 or 2026-11-22T10:00Z`,
  );
}
