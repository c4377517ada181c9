import type { ColumnComparison, ComparedColumn } from '../../contracts/distribution-report.ts';
import type { Database } from '../duckdb/database.ts';
import { compareCategories } from './category-drift.ts';
import { compareNumbers } from './number-drift.ts';
import { usableValue } from './usable-value.ts';

/** Columns whose missing values are counted in one statement. */
const COUNTED_AT_ONCE = 200;

/** What {@link compareTables} compares. */
export interface TablePair {
  /** An SQL relation, such as `read_parquet('champion.parquet')`. */
  reference: string;
  /** An SQL relation with the same columns. */
  current: string;
  columns: readonly ComparedColumn[];
  /** Quantile bins of a number column for PSI and Jensen-Shannon; default 10. */
  bins?: number;
}

/**
 * Compares the distributions of two tables, column by column. Each column is read once per table (and once more to
 * count what is missing); sorting and grouping happen in DuckDB, out of core.
 *
 * Numbers and moments: exact Kolmogorov-Smirnov statistic; PSI and Jensen-Shannon over the reference's quantile bins
 * (see {@link SortedWalk}). Categories and booleans: PSI, Jensen-Shannon, chi-square, new categories. Missing values
 * (NULL, and NaN of a number) are left out of all these and compared by their share.
 *
 * @returns one entry for each column, in their order; a statistic is null where a side has no values
 * @throws PerennialError `ColumnInvalid` where a column is missing or cannot be read as its kind
 * @example
 * const [age] = await compareTables(database, {
 *   reference: "read_parquet('champion.parquet')",
 *   current: "read_parquet('now.parquet')",
 *   columns: [{ name: 'age', kind: 'numeric' }],
 * });
 * age.psi; // 0.034
 */
export async function compareTables(database: Database, pair: TablePair): Promise<ColumnComparison[]> {
  const { columns, bins = 10 } = pair;
  const reference = await countValues(database, pair.reference, columns);
  const current = await countValues(database, pair.current, columns);
  const isNumber = ({ kind }: ComparedColumn): boolean => kind === 'numeric' || kind === 'datetime';
  const categories = await compareCategories(
    database,
    pair,
    columns.filter((column) => !isNumber(column)),
  );
  const nothing = {
    psi: null,
    jensenShannon: null,
    ks: null,
    chiSquare: null,
    newCategories: null,
    bins: [],
  };
  const compare = async (column: ComparedColumn, index: number): Promise<ColumnComparison> => {
    const before = reference.values[index] ?? 0;
    const after = current.values[index] ?? 0;
    const found =
      before === 0 || after === 0
        ? nothing
        : isNumber(column)
          ? await compareNumbers(database, pair, column, before, after, bins)
          : categories.get(column.name);
    return {
      ...column,
      values: { reference: before, current: after },
      missing: { reference: share(reference.rows, before), current: share(current.rows, after) },
      ...nothing,
      ...found,
    };
  };
  const compared: ColumnComparison[] = [];
  // In twos: the engine sorts one column while the other one is walked through.
  for (let at = 0; at < columns.length; at += 2)
    compared.push(
      ...(await Promise.all(columns.slice(at, at + 2).map((column, i) => compare(column, at + i)))),
    );
  return compared;
}

const share = (rows: number, values: number): number => (rows === 0 ? 0 : (rows - values) / rows);

async function countValues(
  database: Database,
  relation: string,
  columns: readonly ComparedColumn[],
): Promise<{ rows: number; values: number[] }> {
  const values: number[] = [];
  let rows = 0;
  for (let from = 0; from === 0 || from < columns.length; from += COUNTED_AT_ONCE) {
    const counts = columns
      .slice(from, from + COUNTED_AT_ONCE)
      .map((column, index) => `, count(${usableValue(column)}) AS c${index}`);
    const row = await database.row(
      `SELECT count(*) AS n${counts.join('')} FROM ${relation}`,
      'ColumnInvalid',
      'the comparison of two tables',
    );
    rows = Number(row.n);
    values.push(...counts.map((_, index) => Number(row[`c${index}`])));
  }
  return { rows, values };
}
