import type { TableRef } from '../../../contracts/refs.ts';
import type { Database } from '../../duckdb/database.ts';
import { quoteIdent } from '../../duckdb/sql.ts';
import { type TypeFamily, typeFamily } from '../column-types.ts';
import { NEEDLE_KINDS, type Needles, needlesOf, noNeedles, scanNeedles } from './needles.ts';

/** Distinct values of a column that are looked at. */
const MAX_VALUES = 8_000;
/** Columns with no more distinct values than this are looked at whole. */
const WHOLE = 20_000;
/** Characters of a value that are looked at as a whole; longer ones are free text. */
const MAX_LENGTH = 400;
/** Numbers below it are neither phones, cards nor national ids. */
const LEAST_NUMBER = 1_000_000;
/** Columns of one scan: the statement stays small. */
const COLUMNS_PER_SCAN = 200;

/** A number of distinct values that is not known yet. */
const UNKNOWN = Number.POSITIVE_INFINITY;

/** A distinct value with the number of rows that have it. */
export interface SampledValue {
  text: string;
  rows: number;
}

/** What is known of a column before anything is judged. */
export interface ColumnSample {
  name: string;
  family: TypeFamily;
  /** Rows with a value; 0 for columns that are not looked into. */
  present: number;
  /** Estimated number of distinct values. */
  distinct: number;
  /** Texts: rows with an `@`. */
  withAt: number;
  values: SampledValue[];
  /** Rows that the values stand for: all where the column was looked at whole. */
  sampledRows: number;
  emails: Needles;
  numbers: Needles;
  codes: Needles;
  /** Dates: least and greatest year. */
  years?: { min: number; max: number };
}

const isNumber = (family: TypeFamily): boolean =>
  family === 'integer' || family === 'decimal' || family === 'float';

/** A column as text. Whole numbers in a column of floats had a missing value among them once. */
function textOf(column: string, family: TypeFamily): string {
  if (family === 'text') return column;
  if (!isNumber(family)) return `CAST(${column} AS VARCHAR)`;
  return `CASE WHEN ${column} BETWEEN ${LEAST_NUMBER} AND 1e19 AND ${column} = trunc(${column}) THEN CAST(CAST(${column} AS HUGEINT) AS VARCHAR) END`;
}

/**
 * Looks at all columns: counts in one scan, values of a deterministic sample, e-mail addresses and numbers inside of
 * long texts in all rows.
 *
 * The sample takes values by their hash, not rows by their place: the same values give the same sample in whatever
 * order they come, and each stands with all of its rows.
 */
export async function sampleColumns(
  database: Database,
  relation: string,
  columns: TableRef['columns'],
): Promise<ColumnSample[]> {
  const samples: ColumnSample[] = [];
  for (let from = 0; from < columns.length; from += COLUMNS_PER_SCAN)
    samples.push(...(await counted(database, relation, columns.slice(from, from + COLUMNS_PER_SCAN))));
  for (const sample of samples) if (sample.distinct > 0) await addValues(database, relation, sample);
  return samples;
}

/** The aggregates of a column by name. */
function aggregates(column: string, family: TypeFamily): Record<string, string> {
  const present = `count(${column})`;
  if (family === 'text')
    return {
      present,
      distinct: `approx_count_distinct(${column})`,
      at: `count(*) FILTER (WHERE contains(${column}, '@'))`,
    };
  if (family === 'nested') {
    const text = `CAST(${column} AS VARCHAR)`;
    return {
      present,
      distinct: `approx_count_distinct(${text})`,
      at: `count(*) FILTER (WHERE contains(${text}, '@'))`,
    };
  }
  // Parquet has the extremes in its statistics: they cost no scan.
  if (isNumber(family)) return { greatest: `max(${column})` };
  if (family === 'date' || family === 'timestamp')
    return { first: `year(min(${column}))`, last: `year(max(${column}))` };
  return {};
}

async function counted(
  database: Database,
  relation: string,
  columns: TableRef['columns'],
): Promise<ColumnSample[]> {
  const families = columns.map(({ type }) => typeFamily(type));
  const selected = columns.flatMap(({ name }, i) =>
    Object.entries(aggregates(quoteIdent(name), families[i] ?? 'other')).map(
      ([key, expression]) => `${expression} AS ${key}_${i}`,
    ),
  );
  const row = await database.row(
    `SELECT ${['count(*) AS all_rows', ...selected].join(', ')} FROM ${relation}`,
    'ColumnInvalid',
    'privacy',
  );
  return columns.map(({ name }, i) => {
    const family = families[i] ?? 'other';
    const count = (key: string): number => Number(row[`${key}_${i}`] ?? 0);
    return {
      name,
      family,
      present: count('present'),
      // Of numbers that can be more than numbers, distinct ones are counted later; NaN is the greatest of all.
      distinct: isNumber(family) && !(count('greatest') < LEAST_NUMBER) ? UNKNOWN : count('distinct'),
      withAt: count('at'),
      values: [],
      sampledRows: 0,
      emails: noNeedles(),
      numbers: noNeedles(),
      codes: noNeedles(),
      ...(typeof row[`first_${i}`] === 'number'
        ? { years: { min: count('first'), max: count('last') } }
        : {}),
    };
  });
}

async function addValues(database: Database, relation: string, sample: ColumnSample): Promise<void> {
  const column = quoteIdent(sample.name);
  const text = textOf(column, sample.family);
  if (sample.distinct === UNKNOWN) {
    const row = await database.row(
      `SELECT approx_count_distinct(${column}) AS n, count(${column}) AS present FROM ${relation}`,
    );
    sample.distinct = Number(row.n);
    sample.present = Number(row.present);
  }
  const whole = sample.distinct <= WHOLE;
  const every = whole ? 1 : Math.max(1, Math.floor(sample.distinct / MAX_VALUES));
  const rows = await database.rows(
    `SELECT text, rows FROM (
       SELECT left(${text}, ${MAX_LENGTH + 1}) AS text, count(*) AS rows FROM ${relation}
       WHERE ${column} IS NOT NULL${every > 1 ? ` AND hash(${column}) % ${every} = 0` : ''} GROUP BY ALL
     ) WHERE text IS NOT NULL ORDER BY hash(text) LIMIT ${
       // The number of distinct values is an estimate: a few more are asked for.
       2 * (whole ? WHOLE : MAX_VALUES)
     }`,
    'ColumnInvalid',
    `privacy, column ${sample.name}`,
  );
  sample.values = rows.map((row) => ({ text: String(row.text), rows: Number(row.rows) }));
  sample.sampledRows = sample.values.reduce((sum, value) => sum + value.rows, 0);
  if (isNumber(sample.family)) return;
  const long = sample.values.some((value) => value.text.length > MAX_LENGTH);
  if (whole && !long) for (const kind of NEEDLE_KINDS) sample[kind] = needlesOf(sample.values, kind);
  else await scanNeedles(database, `(SELECT ${text} AS text FROM ${relation})`, sample);
}
