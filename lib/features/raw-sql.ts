import { PerennialError } from '../../contracts/errors.ts';
import { isTextInput } from '../../contracts/serving.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { DATE_RANGE, MISSING_WORDS, type RawColumn } from './feature-plan.ts';
import { requireReadable } from './kinds.ts';

/** The DuckDB type of each column by name, as `DESCRIBE` gives it. */
export type SqlTypes = ReadonlyMap<string, string>;

/**
 * An SQL condition: the text is a value, none of {@link MISSING_WORDS}. Word by word: of a list of five the engine makes
 * a join, which takes longer and gives row groups out of their order.
 */
const isValue = (text: string): string =>
  MISSING_WORDS.map((word) => `${text} <> ${quoteLiteral(word)}`).join(' AND ');

/**
 * SQL of one raw column as a value or NULL, by the rules for missing values that hold everywhere: NULL, NaN and
 * infinity are no number, {@link MISSING_WORDS} no category, years before 1 and after 9999 no date.
 *
 * The types are those of the model's inputs: FLOAT (booleans 0 and 1), VARCHAR, DOUBLE (epoch seconds, UTC).
 * Text that is no number, boolean or date gives NULL.
 *
 * @param sqlType the column's DuckDB type: dates are read from DATE, TIMESTAMP (UTC), TIMESTAMPTZ, ISO-8601 text
 *   (UTC where no offset stands) and numbers (epoch seconds)
 * @throws PerennialError `ColumnInvalid` where a column of that type cannot be read as that kind
 */
export function valueOrNullSql(column: RawColumn, sqlType: string): string {
  requireReadable(column.name, column.kind, sqlType);
  const name = quoteIdent(column.name);
  switch (column.kind) {
    case 'numeric': {
      const number = sqlType === 'FLOAT' ? name : `TRY_CAST(${name} AS FLOAT)`;
      return isExact(sqlType) ? number : `CASE WHEN isfinite(${number}) THEN ${number} END`;
    }
    case 'boolean': {
      const flag = `CAST(TRY_CAST(${name} AS BOOLEAN) AS FLOAT)`;
      return isFloating(sqlType) ? `CASE WHEN isfinite(${name}) THEN ${flag} END` : flag;
    }
    case 'datetime': {
      const seconds = epochSql(name, sqlType);
      return `CASE WHEN ${seconds} >= ${DATE_RANGE.from} AND ${seconds} < ${DATE_RANGE.before} THEN ${seconds} END`;
    }
    case 'categorical':
    case 'text': {
      const text = sqlType === 'VARCHAR' ? name : `CAST(${name} AS VARCHAR)`;
      return `CASE WHEN ${isValue(text)} THEN ${text} END`;
    }
  }
}

/**
 * The SELECT expressions that turn table columns into the model's raw inputs, in order and under their names:
 * numbers with NaN for missing, text with `''` for missing; never NULL. Training, evaluation and batch scoring read
 * tables by these alone.
 *
 * @param columns raw columns, for example `plan.columns` or a model signature's `inputs`
 * @param types the table's own types; a column that the table lacks is read as missing
 * @example `SELECT ${rawColumnsSql(plan.columns, types)} FROM read_parquet('rows.parquet')`
 */
export function rawColumnsSql(columns: readonly RawColumn[], types: SqlTypes): string {
  return columns
    .map((column) => {
      const sqlType = types.get(column.name);
      const value = sqlType === undefined ? 'NULL' : valueOrNullSql(column, sqlType);
      return `${orMissingSql(column, value)} AS ${quoteIdent(column.name)}`;
    })
    .join(',\n');
}

/** SQL that is not NULL for rows whose text should be a number, a boolean or a date and is none. */
export function unreadableSql(
  { name, kind }: RawColumn,
  sqlType: string | undefined,
  valueSql: string,
): string {
  if (sqlType !== 'VARCHAR' || isTextInput(kind)) return 'NULL';
  return `CASE WHEN ${isValue(quoteIdent(name))} AND (${valueSql}) IS NULL THEN 1 END`;
}

/** @throws PerennialError `ColumnInvalid` where there are rows that {@link unreadableSql} finds */
export function requireReadableText({ name, kind }: RawColumn, unreadable: number, rows: number): void {
  if (unreadable === 0) return;
  const word = {
    numeric: 'number',
    boolean: 'true or false',
    datetime: 'ISO-8601 date',
    categorical: 'text',
    text: 'text',
  }[kind];
  throw new PerennialError(
    'ColumnInvalid',
    `Column "${name}" is text, and in ${unreadable} of ${rows} training rows it is no ${word}: convert it in the data's SQL, or make it categorical under features.columns.`,
  );
}

function orMissingSql({ kind }: RawColumn, value: string): string {
  if (isTextInput(kind)) return `coalesce(${value}, '')`;
  return `coalesce(${value}, 'nan'::${kind === 'datetime' ? 'DOUBLE' : 'FLOAT'})`;
}

function epochSql(name: string, sqlType: string): string {
  if (/^(DATE|TIMESTAMP)/.test(sqlType)) return `epoch(${name})`;
  if (sqlType !== 'VARCHAR') return `TRY_CAST(${name} AS DOUBLE)`;
  // DuckDB ignores the offset in a text cast to TIMESTAMP, and takes the session's zone for one without in TIMESTAMPTZ.
  const withOffset = `regexp_matches(${name}, ':.*([zZ]|[+-][0-9:]+)\\s*$')`;
  return `CASE WHEN ${withOffset} THEN epoch(TRY_CAST(upper(${name}) AS TIMESTAMPTZ)) ELSE epoch(TRY_CAST(${name} AS TIMESTAMP)) END`;
}

const isFloating = (sqlType: string): boolean => sqlType === 'FLOAT' || sqlType === 'DOUBLE';
const isExact = (sqlType: string): boolean => /^(U?(TINY|SMALL|BIG)INT|U?INTEGER|BOOLEAN)$/.test(sqlType);
