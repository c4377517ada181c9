/** A column as PostgreSQL describes it. */
export interface PostgresColumn {
  name: string;
  typeId: number;
  /** `atttypmod`; -1 where the type has none. */
  modifier: number;
}

/** The types with a counterpart, by `pg_type.oid`; fixed since they exist. */
const TYPES: Readonly<Record<number, string>> = {
  16: 'BOOLEAN',
  20: 'BIGINT',
  21: 'SMALLINT',
  23: 'INTEGER',
  26: 'UINTEGER', // oid
  700: 'FLOAT',
  701: 'DOUBLE',
  1082: 'DATE',
  1083: 'TIME',
  1114: 'TIMESTAMP',
  1184: 'TIMESTAMP WITH TIME ZONE',
  2950: 'UUID',
};

const NUMERIC = 1700;
const BYTEA = 17;
/** Digits of DuckDB's largest DECIMAL. */
const MAX_PRECISION = 38;

/**
 * The DuckDB type of a column; `undefined` for binary data, which no model reads. What has no counterpart (JSON,
 * arrays, enums, intervals, ranges, network addresses) is text, as PostgreSQL writes it.
 *
 * `numeric(p, s)` up to 38 digits is exact, any other `numeric` a DOUBLE.
 *
 * @see https://www.postgresql.org/docs/current/catalog-pg-type.html
 */
export function duckdbType({ typeId, modifier }: PostgresColumn): string | undefined {
  if (typeId === BYTEA) return undefined;
  if (typeId !== NUMERIC) return TYPES[typeId] ?? 'VARCHAR';
  if (modifier < 4) return 'DOUBLE';
  const precision = ((modifier - 4) >> 16) & 0xffff;
  // Eleven bits with a sign, since PostgreSQL 15.
  const scale = (((modifier - 4) & 0x7ff) ^ 1024) - 1024;
  return precision <= MAX_PRECISION && scale >= 0 && scale <= precision
    ? `DECIMAL(${precision}, ${scale})`
    : 'DOUBLE';
}
