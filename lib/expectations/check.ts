import type { Expectation } from '../../contracts/spec/expectations.ts';
import type { Database } from '../duckdb/database.ts';
import type { CheckedTable } from './table.ts';

/** What was found out about one rule. */
export interface Finding {
  /** Violating rows, or 0 or 1 of a rule about the whole table. */
  violations: number;
  /** Whether a rule about the whole table holds; of a row-wise rule the share decides. */
  passed?: boolean;
  value?: number | null;
  /** In words, without values of rows. */
  observed?: string;
  note?: string;
}

/** A rule, compiled for one table. */
export interface Check {
  index: number;
  /** For messages, such as `expectations[3] range age [0, 120]`. */
  where: string;
  rule: Expectation;
  table: CheckedTable;
  /** Row-wise: SQL that is true for a violating row of {@link base}. */
  condition?: string;
  /** People's SQL or a look-up, computed as a column of its own that `condition` and `aggregates` may name. */
  projection?: { name: string; sql: string };
  /** Aggregates over {@link base} that take part in the table's one scan. */
  aggregates: readonly string[];
  /** A statement of its own, for what no aggregate can tell. */
  statement?: (database: Database) => Promise<Finding>;
  /** A query that gives the row numbers ({@link ROW}) of violating rows, where no condition on a row can tell them. */
  flagged?: string;
  /** Judges the values of `aggregates`; `undefined` where the statement is needed after all. */
  judge?: (values: readonly unknown[], rows: number) => Finding | undefined;
}

const withProjections = (from: string, checks: readonly Check[]): string => {
  const columns = checks.flatMap(({ projection }) =>
    projection ? [`(${projection.sql}\n) AS ${projection.name}`] : [],
  );
  return columns.length === 0 ? from : `(SELECT *, ${columns.join(', ')} FROM ${from})`;
};

/** The table with the columns that its checks compute. */
export const base = (table: CheckedTable, checks: readonly Check[]): string =>
  withProjections(table.from, checks);

/** {@link base} with row numbers. */
export const numberedBase = (table: CheckedTable, checks: readonly Check[]): string =>
  withProjections(table.numbered, checks);

/** A count as a plain number. */
export const countOf = (value: unknown): number => Number(value ?? 0);
