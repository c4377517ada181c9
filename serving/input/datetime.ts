const ISO_8601 =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?(?:([Zz])|([+-])(\d{2}):?(\d{2}))?)?$/;

/** Epoch seconds of 0001-01-01 and 9999-12-31T23:59:59: the years that ISO 8601 writes with four digits. */
export const FIRST_SECOND = -62_135_596_800;
export const LAST_SECOND = 253_402_300_799;

/**
 * Epoch seconds of an ISO 8601 date or date-time; without an offset, UTC is meant (never the machine's own zone).
 *
 * @returns seconds since 1970-01-01T00:00Z with fractions, or `undefined` where the text is no existing instant
 * @example parseIsoSeconds('2024-02-29') === 1709164800
 * @example parseIsoSeconds('2024-02-29T12:00:00+01:00') === 1709204400
 */
export function parseIsoSeconds(text: string): number | undefined {
  const match = ISO_8601.exec(text);
  if (!match) return undefined;
  const part = (index: number): number => Number(match[index] ?? 0);
  const [year, month, day] = [part(1), part(2), part(3)];
  const [hour, minute, second] = [part(4), part(5), part(6)];
  const [offsetHour, offsetMinute] = [part(10), part(11)];
  if (year === 0 || hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59)
    return undefined;
  const date = new Date(0);
  // Date.UTC would read the years 1 to 99 as 1901 to 1999.
  date.setUTCFullYear(year, month - 1, day);
  // A day that does not exist, such as 30 February, rolls over into the next month.
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const offset = (match[9] === '-' ? -1 : 1) * (offsetHour * 3600 + offsetMinute * 60);
  return date.getTime() / 1000 + hour * 3600 + minute * 60 + second + part(7) - offset;
}

/** Whether a number can be epoch seconds of a year from 1 to 9999; milliseconds of our days cannot. */
export function isEpochSeconds(value: number): boolean {
  return value >= FIRST_SECOND && value <= LAST_SECOND;
}
