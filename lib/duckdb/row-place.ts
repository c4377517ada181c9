import { quoteIdent, quoteLiteral } from './sql.ts';

/** Hexadecimal digits of a place that are compared: 48 bits. */
const DIGITS = 12;

/**
 * SQL of a row's place: the MD5 of its key columns as text, evenly spread and the same whatever else is in the data,
 * on any version of DuckDB. Places are compared as text with {@link placeBound}.
 *
 * @param keys the columns that identify what has a place, at least one
 * @param salt another salt gives other places
 */
export function placeSql(keys: readonly string[], salt: string): string {
  const texts = keys.map((key) => `coalesce(CAST(${quoteIdent(key)} AS VARCHAR), chr(0))`);
  return `md5(concat_ws(chr(31), ${[...(salt === '' ? [] : [quoteLiteral(salt)]), ...texts].join(', ')}))`;
}

/**
 * SQL text such that the given share of all places stand before it: `placeSql(…) < ${placeBound(0.6)}`.
 *
 * @param share from 0 to 1
 */
export function placeBound(share: number): string {
  if (share >= 1) return "'g'";
  const digits = Math.round(share * 16 ** DIGITS)
    .toString(16)
    .padStart(DIGITS, '0');
  return quoteLiteral(digits);
}

/** SQL of a number from 0 to `folds` - 1: equal parts of the places. */
export function foldSql(keys: readonly string[], salt: string, folds: number): string {
  const place = placeSql(keys, salt);
  const passed = Array.from(
    { length: folds - 1 },
    (_, index) => `CAST(${place} >= ${placeBound((index + 1) / folds)} AS INTEGER)`,
  );
  return passed.length === 0 ? '0' : `(${passed.join(' + ')})`;
}
