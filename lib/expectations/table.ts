import { PerennialError } from '../../contracts/errors.ts';
import type { TableRef } from '../../contracts/refs.ts';
import { missingColumn } from '../data/missing-column.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';

/** Column of the row number, from 0 in file order, in {@link CheckedTable.numbered}. */
export const ROW = '__perennial_row';

/** What a column can hold, as far as rules care. */
export type TypeFamily = 'integer' | 'decimal' | 'text' | 'boolean' | 'date' | 'timestamp' | 'other';

const INTEGERS = /^U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)$/;

/** @example familyOf('TIMESTAMP WITH TIME ZONE') === 'timestamp' */
export function familyOf(type: string): TypeFamily {
  if (INTEGERS.test(type)) return 'integer';
  if (/^(DOUBLE|FLOAT|DECIMAL\(\d+,\d+\))$/.test(type)) return 'decimal';
  if (/^(VARCHAR|ENUM\(.*\)|UUID)$/s.test(type)) return 'text';
  if (type === 'BOOLEAN') return 'boolean';
  if (type === 'DATE') return 'date';
  return /^TIMESTAMP( WITH TIME ZONE|_S|_MS|_NS)?$/.test(type) ? 'timestamp' : 'other';
}

/** A table that rules are checked on. */
export interface CheckedTable {
  /** The source's name; `null` for the joined table. */
  name: string | null;
  /** SQL that can stand behind FROM. */
  from: string;
  /** The same with the column {@link ROW}. */
  numbered: string;
  columns: TableRef['columns'];
  /** Parquet knows the range of its columns without a scan, and its row numbers without an order. */
  parquet: boolean;
}

/** A Parquet file, or any relation with the files that it reads. */
export type TableInput = { path: string } | { relation: string; files: readonly string[] };

/** Opens a table: names and types of its columns. */
export async function openTable(
  database: Database,
  name: string | null,
  input: TableInput,
): Promise<CheckedTable> {
  const parquet = 'path' in input;
  const from = parquet ? `read_parquet(${quoteLiteral(input.path)})` : input.relation;
  const columns = await database.columns(from, 'SourceUnreadable', name ?? 'the joined table');
  const taken = columns.find((column) => column.name.startsWith('__perennial_'));
  if (taken)
    throw new PerennialError(
      'ColumnInvalid',
      `the column name ${taken.name} is taken by the validation; rename it in data.sql`,
    );
  // A column of that name would hide the file's own row number.
  const own = columns.some((column) => column.name === 'file_row_number');
  const number = parquet && !own ? 'file_row_number' : 'row_number() OVER () - 1';
  return {
    name,
    from,
    numbered: `(SELECT ${columns.map((column) => quoteIdent(column.name)).join(', ')}, ${number} AS ${ROW} FROM ${from})`,
    columns,
    parquet,
  };
}

/** The type of a column. @throws PerennialError `ColumnMissing` with the nearest name */
export function typeOf(table: CheckedTable, column: string, where: string): string {
  const found = table.columns.find((item) => item.name === column);
  if (found) return found.type;
  throw missingColumn(
    table.name ? `${where} (source ${table.name})` : where,
    column,
    table.columns.map((item) => item.name),
  );
}

/** @throws PerennialError `ColumnInvalid` where the column's type is of none of the families */
export function requireFamily(
  table: CheckedTable,
  column: string,
  families: readonly TypeFamily[],
  where: string,
  remedy: string,
): TypeFamily {
  const type = typeOf(table, column, where);
  const family = familyOf(type);
  if (!families.includes(family))
    throw new PerennialError('ColumnInvalid', `${where}: ${column} is ${type}; ${remedy}`);
  return family;
}

export const NUMBERS: readonly TypeFamily[] = ['integer', 'decimal'];
export const TIMES: readonly TypeFamily[] = ['date', 'timestamp'];
