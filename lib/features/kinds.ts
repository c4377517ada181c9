import { PerennialError } from '../../contracts/errors.ts';
import type { FeatureKind } from '../../contracts/spec/features.ts';

const INTEGER = /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/;
const REAL = /^(FLOAT|DOUBLE)$/;
const DECIMAL = /^DECIMAL\(/;
const TEXT = /^(VARCHAR|ENUM\(.*\)|UUID)$/s;
const MOMENT = /^(DATE$|TIMESTAMP)/;

const READABLE: Record<FeatureKind, readonly RegExp[]> = {
  numeric: [INTEGER, REAL, DECIMAL, /^(BOOLEAN|VARCHAR)$/],
  boolean: [INTEGER, REAL, /^(BOOLEAN|VARCHAR)$/],
  categorical: [INTEGER, REAL, DECIMAL, TEXT, MOMENT, /^BOOLEAN$/],
  text: [TEXT],
  datetime: [MOMENT, INTEGER, REAL, DECIMAL, /^VARCHAR$/],
};

/**
 * What a column of a DuckDB type is to a model, where nobody says otherwise; `undefined` for types that cannot be a
 * feature (lists, structs, blobs, intervals, times of day).
 *
 * @example featureKindOf('DECIMAL(10,2)') === 'numeric'
 */
export function featureKindOf(sqlType: string): FeatureKind | undefined {
  if (INTEGER.test(sqlType) || REAL.test(sqlType) || DECIMAL.test(sqlType)) return 'numeric';
  if (sqlType === 'BOOLEAN') return 'boolean';
  if (MOMENT.test(sqlType)) return 'datetime';
  return TEXT.test(sqlType) ? 'categorical' : undefined;
}

/** @throws PerennialError `ColumnInvalid` where a column of this type cannot be read as that kind */
export function requireReadable(column: string, kind: FeatureKind, sqlType: string): void {
  if (READABLE[kind].some((pattern) => pattern.test(sqlType))) return;
  const proper = featureKindOf(sqlType);
  throw new PerennialError(
    'ColumnInvalid',
    `Column "${column}" has the type ${sqlType}, which cannot be a ${kind} feature: ${
      proper ? `use it as ${proper}, ` : ''
    }convert it in the data's SQL, or set it to "ignored" under features.columns.`,
  );
}
