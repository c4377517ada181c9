import type { ColumnComparison, ComparedColumn } from '../../contracts/distribution-report.ts';
import type { Database } from '../duckdb/database.ts';
import { chiSquareHomogeneity, jensenShannon, populationStability } from './count-distances.ts';
import { usableValue } from './usable-value.ts';

/** Commonest categories that are told apart; the others count as one. */
export const MAX_CATEGORIES = 10_000;
/** Categories that a report names or plots. */
const MAX_NAMED = 20;
/** Columns in one statement. */
const AT_ONCE = 32;

/** A category of two tables. */
export interface Category {
  /** Null for the rest. */
  name: string | null;
  reference: number;
  current: number;
  /** Categories in it that the reference does not have, and their rows. */
  fresh: number;
  freshRows: number;
}

export type CategoryStatistics = Pick<
  ColumnComparison,
  'psi' | 'jensenShannon' | 'chiSquare' | 'newCategories' | 'bins'
>;

/** PSI, Jensen-Shannon, chi-square and new categories of columns, by name; see `compareTables`. */
export async function compareCategories(
  database: Database,
  tables: { reference: string; current: string },
  columns: readonly ComparedColumn[],
): Promise<Map<string, CategoryStatistics>> {
  const found = new Map<string, CategoryStatistics>();
  for (let from = 0; from < columns.length; from += AT_ONCE) {
    const part = columns.slice(from, from + AT_ONCE);
    const rows = await database.rows(
      part.map((column, index) => `(${countsOf(tables, column, index)})`).join(' UNION ALL '),
      'ColumnInvalid',
      'the comparison of two tables',
    );
    for (const [index, column] of part.entries())
      found.set(
        column.name,
        categoryStatistics(
          rows
            .filter((row) => row.i === index)
            .map((row) => ({
              name: row.v === null ? null : String(row.v),
              reference: Number(row.r),
              current: Number(row.k),
              fresh: Number(row.fresh),
              freshRows: Number(row.fresh_rows),
            })),
        ),
      );
  }
  return found;
}

function countsOf(
  tables: { reference: string; current: string },
  column: ComparedColumn,
  index: number,
): string {
  const value = usableValue(column);
  const side = (relation: string, counts: string): string =>
    `SELECT ${value} AS v, ${counts} FROM ${relation} WHERE ${value} IS NOT NULL GROUP BY 1`;
  return `SELECT ${index} AS i, CASE WHEN place <= ${MAX_CATEGORIES} THEN CAST(v AS VARCHAR) END AS v,
      sum(r)::DOUBLE AS r, sum(k)::DOUBLE AS k, count(*) FILTER (WHERE r = 0) AS fresh,
      coalesce(sum(k) FILTER (WHERE r = 0), 0)::DOUBLE AS fresh_rows
    FROM (
      SELECT v, sum(r) AS r, sum(k) AS k, row_number() OVER (ORDER BY sum(r) + sum(k) DESC, v) AS place
      FROM (${side(tables.reference, 'count(*) AS r, 0 AS k')} UNION ALL ${side(tables.current, '0 AS r, count(*) AS k')})
      GROUP BY v
    ) GROUP BY ALL`;
}

/**
 * What is told of categories by their counts.
 *
 * @param leastRows a category with fewer rows, on both sides together, is counted and not named: it may be one person's
 */
export function categoryStatistics(categories: readonly Category[], leastRows = 1): CategoryStatistics {
  const named = [...categories].sort(
    (a, b) => b.reference - a.reference || b.current - a.current || compare(a.name, b.name),
  );
  const rows = categories.reduce((total, category) => total + category.current, 0);
  const fresh = categories.reduce((total, category) => total + category.fresh, 0);
  const freshRows = categories.reduce((total, category) => total + category.freshRows, 0);
  const chiSquare = chiSquareHomogeneity(categories);
  const isNamed = ({ name, reference, current }: Category): boolean =>
    name === null || reference + current >= leastRows;
  const shown = named.filter(isNamed).slice(0, MAX_NAMED);
  const others = named.filter((category) => !shown.includes(category));
  const sum = (side: 'reference' | 'current'): number =>
    others.reduce((total, category) => total + category[side], 0);
  return {
    psi: populationStability(categories),
    jensenShannon: jensenShannon(categories),
    chiSquare,
    newCategories: {
      count: fresh,
      rows: freshRows,
      share: rows === 0 ? 0 : freshRows / rows,
      names: named
        .filter((category) => category.reference === 0 && category.name !== null && isNamed(category))
        .slice(0, MAX_NAMED)
        .map((category) => category.name ?? ''),
    },
    bins: [
      ...shown.map(({ name, reference, current }) => ({ label: name ?? 'other', reference, current })),
      ...(others.length === 0
        ? []
        : [{ label: 'other', reference: sum('reference'), current: sum('current') }]),
    ],
  };
}

const compare = (a: string | null, b: string | null): number => {
  const [first, second] = [a ?? '', b ?? ''];
  return first < second ? -1 : first > second ? 1 : 0;
};
