import type { TableRef } from '../../../contracts/refs.ts';
import type { Database } from '../../duckdb/database.ts';
import { quoteIdent } from '../../duckdb/sql.ts';
import { type TypeFamily, typeFamily } from '../column-types.ts';
import { MAX_LENGTH, NEEDLE_KINDS, type Needles, needlesOf, noNeedles, scanNeedles } from './needles.ts';

/** Distinct values of a column that are looked at. */
const MAX_VALUES = 8_000;
/** Columns with no more distinct values than this are looked at whole. */
const WHOLE = 20_000;
/** Numbers below it are neither phones, cards nor national ids. */
const LEAST_NUMBER = 1_000_000;
/** Columns of one scan: the statement stays small. */
const COLUMNS_PER_SCAN = 200;

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

const isText = (family: TypeFamily): boolean => family === 'text' || family === 'nested';

/** A number as text where it is a whole one: in a column of floats there was a missing value once. */
const wholeNumber = (column: string): string =>
  `CASE WHEN ${column} BETWEEN ${LEAST_NUMBER} AND 1e19 AND ${column} = trunc(${column}) THEN CAST(CAST(${column} AS HUGEINT) AS VARCHAR) END`;

/**
 * Looks at all columns, one after the other: extremes from the statistics of the file, values of a deterministic
 * sample, e-mail addresses and numbers inside of long texts in all rows. One column is held at a time.
 *
 * The sample takes values by their hash, not rows by their place: the same values give the same sample in whatever
 * order they come, and each stands with all of its rows.
 */
export async function* sampleColumns(
  database: Database,
  relation: string,
  columns: TableRef['columns'],
): AsyncGenerator<ColumnSample> {
  for (let from = 0; from < columns.length; from += COLUMNS_PER_SCAN) {
    const some = columns.slice(from, from + COLUMNS_PER_SCAN);
    const known = await extremes(database, relation, some);
    for (const [i, { name, type }] of some.entries()) {
      const family = typeFamily(type);
      const years = known.years(i);
      const sample: ColumnSample = { ...nothing(name, family), ...(years ? { years } : {}) };
      // NaN is the greatest of all numbers.
      const looked = isNumber(family) ? !(known.greatest(i) < LEAST_NUMBER) : isText(family);
      if (looked) await addValues(database, relation, sample, known.rows);
      yield sample;
    }
  }
}

const nothing = (name: string, family: TypeFamily): ColumnSample => ({
  name,
  family,
  present: 0,
  withAt: 0,
  values: [],
  sampledRows: 0,
  emails: noNeedles(),
  numbers: noNeedles(),
  codes: noNeedles(),
});

interface Extremes {
  rows: number;
  /** Of numbers; 0 where there are none. */
  greatest: (column: number) => number;
  years: (column: number) => ColumnSample['years'];
}

/** Number of rows and extremes alone: Parquet has them in its statistics, so that they cost no scan. */
async function extremes(
  database: Database,
  relation: string,
  columns: TableRef['columns'],
): Promise<Extremes> {
  const selected = columns.flatMap(({ name, type }, i) => {
    const family = typeFamily(type);
    const column = quoteIdent(name);
    if (isNumber(family)) return [`max(${column}) AS greatest_${i}`];
    if (family === 'date' || family === 'timestamp')
      return [`year(min(${column})) AS first_${i}`, `year(max(${column})) AS last_${i}`];
    return [];
  });
  const row = await database.row(
    `SELECT ${['count(*) AS all_rows', ...selected].join(', ')} FROM ${relation}`,
    'ColumnInvalid',
    'privacy',
  );
  return {
    rows: Number(row.all_rows),
    greatest: (i) => Number(row[`greatest_${i}`] ?? 0),
    years: (i) =>
      typeof row[`first_${i}`] === 'number'
        ? { min: Number(row[`first_${i}`]), max: Number(row[`last_${i}`]) }
        : undefined,
  };
}

/** One distinct value in so many is taken, so that about {@link MAX_VALUES} are. */
const everyOf = (distinct: number): number =>
  distinct <= WHOLE ? 1 : Math.max(1, Math.floor(distinct / MAX_VALUES));

/**
 * Takes the values. How many distinct ones there are is not known: the first try supposes that all rows differ, which
 * is right for keys and texts; where it meets few values, their number says how many to take in the second one.
 */
async function addValues(
  database: Database,
  relation: string,
  sample: ColumnSample,
  rows: number,
): Promise<void> {
  let every = everyOf(rows);
  await takeValues(database, relation, sample, every);
  const better = everyOf(sample.values.length * every);
  if (every > 1 && sample.present > 0 && better <= every / 2) {
    every = better;
    await takeValues(database, relation, sample, every);
  }
  sample.sampledRows = sample.values.reduce((sum, value) => sum + value.rows, 0);
  if (isNumber(sample.family)) return;
  const long = sample.values.some((value) => value.text.length > MAX_LENGTH);
  if (every === 1 && !long) for (const kind of NEEDLE_KINDS) sample[kind] = needlesOf(sample.values, kind);
  else await scanNeedles(database, textRelation(relation, sample), sample);
}

/** The column as a relation of one column `text`. */
const textRelation = (relation: string, { name, family }: ColumnSample): string =>
  `(SELECT ${family === 'nested' ? `CAST(${quoteIdent(name)} AS VARCHAR)` : quoteIdent(name)} AS text FROM ${relation})`;

async function takeValues(
  database: Database,
  relation: string,
  sample: ColumnSample,
  every: number,
): Promise<void> {
  const text = isText(sample.family);
  const from = textRelation(relation, sample);
  const taken = every > 1 ? `CASE WHEN hash(text) % ${every} = 0 THEN text END` : 'text';
  // What is not taken is one group: the counts of all rows come in the same scan.
  const rows = await database.rows(
    `SELECT ${text ? '' : `${wholeNumber('text')} AS `}text, rows, sum(rows) OVER () AS present, sum(mails) OVER () AS mails
     FROM (
       SELECT ${text ? `left(${taken}, ${MAX_LENGTH + 1})` : taken} AS text, count(*) AS rows,
         ${text ? "count(*) FILTER (WHERE contains(text, '@'))" : '0'} AS mails
       FROM ${from} WHERE text IS NOT NULL GROUP BY 1
     ) ORDER BY text IS NOT NULL, hash(text) LIMIT ${
       // The number of distinct values is an estimate: a few more are asked for.
       2 * (every === 1 ? WHOLE : MAX_VALUES) + 1
     }`,
    'ColumnInvalid',
    `privacy, column ${sample.name}`,
  );
  sample.present = Number(rows[0]?.present ?? 0);
  sample.withAt = Number(rows[0]?.mails ?? 0);
  sample.values = rows.flatMap((row) =>
    row.text === null ? [] : [{ text: String(row.text), rows: Number(row.rows) }],
  );
}
