import type { CategorySketch, SketchedColumn } from '../../contracts/monitoring-reference.ts';
import type { FeatureKind } from '../../contracts/spec/features.ts';
import type { Database } from '../duckdb/database.ts';
import { sortAscending } from '../statistics/ascending.ts';
import { MAX_CATEGORIES } from '../statistics/category-drift.ts';
import { sketchNumbers } from '../statistics/number-sketch.ts';
import { type AskedValues, isNumber, MISSING, present, UNKNOWN, type Values } from './column-values.ts';

/** A column to be sketched: its SQL in a relation. */
export interface ColumnToSketch {
  name: string;
  kind: FeatureKind;
  sql: string;
  /** Of `textSql`. */
  text: string | undefined;
}

/** Columns in one statement. */
const AT_ONCE = 32;

/** The commonest categories of columns, by name; numbers are passed over. */
export async function sketchCategories(
  database: Database,
  relation: string,
  columns: readonly ColumnToSketch[],
  rows: number,
): Promise<Map<string, CategorySketch>> {
  const wanted = columns.filter(({ kind }) => !isNumber(kind));
  const sketches = new Map<string, CategorySketch>();
  for (let from = 0; from < wanted.length; from += AT_ONCE) {
    const part = wanted.slice(from, from + AT_ONCE);
    const found = await database.rows(
      part
        .map(
          ({ sql }, i) => `(SELECT ${i} AS i, CASE WHEN place <= ${MAX_CATEGORIES} THEN v END AS v,
            sum(n)::DOUBLE AS n, count(*)::DOUBLE AS names
          FROM (SELECT v, count(*) AS n, row_number() OVER (ORDER BY count(*) DESC, v) AS place
            FROM (SELECT CAST(${sql} AS VARCHAR) AS v FROM ${relation}) WHERE v IS NOT NULL GROUP BY v)
          GROUP BY ALL)`,
        )
        .join(' UNION ALL '),
      'ColumnInvalid',
      'the categories of the reference',
    );
    for (const [i, { name }] of part.entries()) {
      const own = found
        .filter((row) => row.i === i)
        .map((row) => ({
          name: row.v === null ? null : String(row.v),
          rows: Number(row.n),
          names: Number(row.names),
        }));
      sketches.set(name, categorySketch(own, rows));
    }
  }
  return sketches;
}

function categorySketch(
  found: readonly { name: string | null; rows: number; names: number }[],
  rows: number,
): CategorySketch {
  const named = found
    .filter((one) => one.name !== null)
    .sort((a, b) => b.rows - a.rows || ((a.name ?? '') < (b.name ?? '') ? -1 : 1));
  const rest = found.find(({ name }) => name === null);
  const values = found.reduce((sum, one) => sum + one.rows, 0);
  return {
    of: 'categories',
    rows: values,
    missing: rows - values,
    names: named.map(({ name }) => name ?? ''),
    counts: named.map((one) => one.rows),
    rest: { names: rest?.names ?? 0, rows: rest?.rows ?? 0 },
  };
}

/**
 * How a sketched column is read: its categories as codes of those that the sketch names.
 *
 * @param text of `textSql`
 */
export const askedAs = (
  kind: FeatureKind,
  sketch: SketchedColumn['sketch'] | undefined,
  isAnswer: boolean,
  text?: string,
): AskedValues['as'] =>
  isNumber(kind)
    ? isAnswer || kind === 'datetime'
      ? 'double'
      : 'float'
    : { categories: sketch?.of === 'categories' ? sketch.names : [], text };

/** The sketch of a column of numbers. */
export function sketchOfNumbers(values: Values): SketchedColumn['sketch'] {
  if (values instanceof Uint16Array) throw new TypeError('codes of categories are no numbers');
  const kept = present(values);
  return sketchNumbers(sortAscending(kept), values.length - kept.length);
}

/** The same categories in a part of the rows, by their codes. */
export function partOf(sketch: CategorySketch, codes: Values): CategorySketch {
  const counts = sketch.names.map(() => 0);
  let [missing, rest] = [0, 0];
  for (const code of codes) {
    if (code === MISSING) missing++;
    else if (code === UNKNOWN) rest++;
    else counts[code] = (counts[code] ?? 0) + 1;
  }
  return {
    ...sketch,
    rows: codes.length - missing,
    missing,
    counts,
    rest: { names: rest > 0 ? sketch.rest.names : 0, rows: rest },
  };
}
