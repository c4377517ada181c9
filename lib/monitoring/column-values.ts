import { PerennialError } from '../../contracts/errors.ts';
import type { FeatureKind } from '../../contracts/spec/features.ts';
import { type Database, refused } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { copyNumbers } from '../duckdb/vectors.ts';
import { valueOrNullSql } from '../features/raw-sql.ts';

/** Codes of rows whose category is not among those that are known, and of rows without one. */
export const UNKNOWN = 65_534;
export const MISSING = 65_535;

/** Values that are read at once, of all columns together: about 250 MiB. */
const VALUES_AT_ONCE = 60_000_000;

/** Where rows stand: an SQL relation, and the column of it that holds a feature. */
export interface Rows {
  /** Such as `read_parquet('rows.parquet')`, or the name of a view. */
  relation: string;
  /** By the name of a feature or an output; a column that the relation lacks is read as missing. */
  columnOf: (name: string) => string;
}

/** Whether a kind is looked at by rank, as a number, or by value, as a category. */
export const isNumber = (kind: FeatureKind): boolean => kind === 'numeric' || kind === 'datetime';

/** A column as it is read. */
export interface AskedValues {
  /** SQL of its value, or NULL. */
  sql: string;
  /** `float` is what a model takes numbers as; moments and answers are `double`. */
  as: 'float' | 'double' | { categories: readonly string[]; text?: string | undefined };
}

/** The values of a column, `[n]`: NaN, or {@link MISSING}, where there is none. */
export type Values = Float32Array | Float64Array | Uint16Array;

/**
 * SQL of the value of a column as the model takes it, by the rules that hold everywhere (`valueOrNullSql`); of
 * categories and booleans a text.
 *
 * @throws PerennialError `ColumnInvalid` where a column of that type cannot be read as that kind
 */
export function valueSql(
  { columnOf }: Pick<Rows, 'columnOf'>,
  { name, kind }: { name: string; kind: FeatureKind },
  types: ReadonlyMap<string, string>,
): string {
  const column = columnOf(name);
  const type = types.get(column);
  if (type === undefined) return isNumber(kind) ? 'NULL::DOUBLE' : 'NULL::VARCHAR';
  const value = valueOrNullSql({ name: column, kind }, type);
  return kind === 'boolean' ? `CASE ${value} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END` : value;
}

/** SQL of a category as it stands, whether it is a value or a word for none; `undefined` where {@link valueSql} is it. */
export function textSql(
  { columnOf }: Pick<Rows, 'columnOf'>,
  { name, kind }: { name: string; kind: FeatureKind },
  types: ReadonlyMap<string, string>,
): string | undefined {
  const type = types.get(columnOf(name));
  if (type === undefined || (kind !== 'categorical' && kind !== 'text')) return undefined;
  return type === 'VARCHAR' ? quoteIdent(columnOf(name)) : `CAST(${quoteIdent(columnOf(name))} AS VARCHAR)`;
}

/** Names and types of the columns of a relation. */
export async function typesOf(database: Database, relation: string): Promise<Map<string, string>> {
  const columns = await database.columns(relation, 'ColumnInvalid', 'the rows that are watched');
  return new Map(columns.map(({ name, type }) => [name, type]));
}

const readSql = ({ sql, as }: AskedValues): string => {
  if (as === 'float') return `coalesce(CAST(${sql} AS FLOAT), 'nan'::FLOAT)`;
  if (as === 'double') return `coalesce(CAST(${sql} AS DOUBLE), 'nan'::DOUBLE)`;
  const { categories, text = sql } = as;
  const rest = `CASE WHEN (${sql}) IS NULL THEN ${MISSING}::USMALLINT ELSE ${UNKNOWN}::USMALLINT END`;
  if (categories.length === 0) return rest;
  // A text that is known has a value: of the others alone it is asked whether they have one.
  return `coalesce(CAST(enum_code(TRY_CAST(${text} AS ENUM(${categories.map(quoteLiteral).join(', ')}))) AS USMALLINT), ${rest})`;
};

const arrayFor = ({ as }: AskedValues, rows: number): Values =>
  as === 'float' ? new Float32Array(rows) : as === 'double' ? new Float64Array(rows) : new Uint16Array(rows);

/** Of so many rows, columns are read a few at a time: those that are there are worked on while the next ones are read. */
const MANY_ROWS = 100_000;
const COLUMNS_AT_ONCE = 6;

/**
 * Reads columns of a relation as arrays, in the order of the rows. Of many rows a few columns at a time.
 *
 * @param rows of the relation, where they are known: without them all columns are read at once
 * @throws PerennialError `ColumnInvalid` where the engine refuses
 */
export async function readValues(
  database: Database,
  relation: string,
  asked: readonly AskedValues[],
  rows = 0,
): Promise<Values[]> {
  const read: Values[] = [];
  for await (const { values } of eachColumn(database, relation, asked, rows)) read.push(values);
  return read;
}

/** The same, column by column as they come. */
export async function* eachColumn(
  database: Database,
  relation: string,
  asked: readonly AskedValues[],
  rows: number,
): AsyncGenerator<{ index: number; values: Values }> {
  const most = Math.max(1, Math.floor(VALUES_AT_ONCE / Math.max(1, rows)));
  const width = Math.min(most, rows >= MANY_ROWS ? COLUMNS_AT_ONCE : Math.max(1, asked.length));
  const group = (from: number): Promise<Values[]> | undefined => {
    if (from >= asked.length) return undefined;
    const reading = readGroup(database, relation, asked.slice(from, from + width));
    // Whoever asks no further is not told of what fails then.
    reading.catch(() => undefined);
    return reading;
  };
  let reading = group(0);
  for (let from = 0; reading; from += width) {
    const arrays: Values[] = await reading;
    reading = group(from + width);
    for (const [i, values] of arrays.entries()) yield { index: from + i, values };
  }
}

async function readGroup(
  database: Database,
  relation: string,
  asked: readonly AskedValues[],
): Promise<Values[]> {
  const columns = asked.map((one, i) => `${readSql(one)} AS ${quoteIdent(`c${i}`)}`);
  const result = await database.connection
    .run(`SELECT ${columns.join(', ')} FROM ${relation}`)
    .catch(refused('ColumnInvalid', 'the rows that are watched'));
  const arrays = asked.map((one) => arrayFor(one, result.rowCount));
  let done = 0;
  for (let at = 0; at < result.chunkCount; at++) {
    const chunk = result.getChunk(at);
    for (const [i, target] of arrays.entries()) copyNumbers(chunk, i, 0, chunk.rowCount, target, done);
    done += chunk.rowCount;
  }
  if (done !== result.rowCount)
    throw new PerennialError('StageFailed', `the engine gave ${done} of ${result.rowCount} rows`);
  return arrays;
}

/** The values that are there, in an array of its own. */
export function present(values: Float32Array | Float64Array): Float32Array | Float64Array {
  const kept = values.slice();
  let count = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Number.NaN;
    if (!Number.isNaN(value)) kept[count++] = value;
  }
  return kept.subarray(0, count);
}
