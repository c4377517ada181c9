/** What a file of the archive holds. */
export type LogKind = 'predictions' | 'truth';

/** The parts of a file's place in the archive. */
export interface LogFile {
  readonly endpoint: string;
  readonly kind: LogKind;
  /** The day in UTC, `2026-11-22`. */
  readonly date: string;
  readonly key: string;
}

const KEY = /^([^/]+)\/(predictions|truth)\/date=(\d{4}-\d\d-\d\d)\/[^/]+\.parquet$/;

/** A name that is safe as a file name everywhere: anything but letters, digits, `_` and `-` is percent-encoded. */
export const fileName = (text: string): string =>
  Array.from(new TextEncoder().encode(text), (byte) => {
    const char = String.fromCharCode(byte);
    return /[\w-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');

/**
 * Where a file of the archive lies.
 *
 * @param origin the segment that it is made of
 * @example logFile('churn', 'predictions', '2026-11-22', 'server-1~a1b2.7.1-000001')
 *   // 'churn/predictions/date=2026-11-22/server-1~a1b2.7.1-000001.parquet'
 */
export const logFile = (endpoint: string, kind: LogKind, date: string, origin: string): string =>
  `${fileName(endpoint)}/${kind}/date=${date}/${origin}.parquet`;

/** `undefined` where a file is none of ours. */
export function parseLogFile(key: string): LogFile | undefined {
  const [, endpoint, kind, date] = KEY.exec(key) ?? [];
  if (endpoint === undefined || date === undefined || (kind !== 'predictions' && kind !== 'truth'))
    return undefined;
  return { endpoint: decodeURIComponent(endpoint), kind, date, key };
}
