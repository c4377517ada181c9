import { MASKED, MAX_EXAMPLES, type RuleExamples } from '../../contracts/validation-report.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { type Check, numberedBase } from './check.ts';
import type { Flags } from './flags.ts';
import { type CheckedTable, ROW } from './table.ts';
import { columnsOf } from './words.ts';

/** Columns of an example at the most, and characters of a value. */
const MAX_COLUMNS = 20;
const MAX_TEXT = 200;

/** Types whose JavaScript value is the value itself; all else is shown as the engine writes it. */
const PLAIN = /^(U?(TINYINT|SMALLINT|INTEGER)|FLOAT|DOUBLE|BOOLEAN)$/;

type Row = RuleExamples['rows'][number];
type Cell = Row['values'][string];

/**
 * The first violating rows of each check of one table, by index of the check: one scan finds them all, a second
 * one fetches them.
 *
 * @param personal columns whose values are masked
 */
export async function examplesOf(
  database: Database,
  table: CheckedTable,
  checks: readonly Check[],
  flags: Flags,
  personal: readonly string[],
): Promise<RuleExamples[]> {
  const found = await firstRows(database, table, checks, flags);
  const numbers = [...new Set([...found.values()].flat())];
  if (numbers.length === 0) return [];
  const cells = table.columns.map(({ name, type }) =>
    PLAIN.test(type) ? quoteIdent(name) : `CAST(${quoteIdent(name)} AS VARCHAR) AS ${quoteIdent(name)}`,
  );
  const rows = await database.rows(
    `SELECT ${ROW}, ${cells.join(', ')} FROM ${table.numbered} WHERE ${ROW} IN (${numbers.join(', ')})`,
  );
  const byNumber = new Map(rows.map((row) => [Number(row[ROW]), row]));
  return checks.flatMap((check) => {
    const own = columnsOf(check.rule).filter((name) => table.columns.some((column) => column.name === name));
    const others = table.columns.map((column) => column.name).filter((name) => !own.includes(name));
    const columns = [...own, ...others].slice(0, MAX_COLUMNS);
    const examples = (found.get(check.index) ?? []).flatMap((number): Row[] => {
      const row = byNumber.get(number);
      if (!row) return [];
      const values = columns.map((name): [string, Cell] => [
        name,
        personal.includes(name) && row[name] !== null ? MASKED : cellOf(row[name]),
      ]);
      return [{ row: number + 1, values: Object.fromEntries(values) }];
    });
    return examples.length > 0 ? [{ result: check.index, columns, rows: examples }] : [];
  });
}

async function firstRows(
  database: Database,
  table: CheckedTable,
  checks: readonly Check[],
  flags: Flags,
): Promise<Map<number, number[]>> {
  const found = new Map<number, number[]>();
  const conditions = checks.filter((check) => check.condition !== undefined);
  if (conditions.length > 0) {
    const items = conditions.map(
      ({ condition, index }) => `min(${ROW}, ${MAX_EXAMPLES}) FILTER (WHERE ${condition}) AS e${index}`,
    );
    const row = await database.row(`SELECT ${items.join(', ')} FROM ${numberedBase(table, conditions)}`);
    for (const { index } of conditions) {
      const list = row[`e${index}`];
      found.set(index, Array.isArray(list) ? list.map(Number) : []);
    }
  }
  for (const check of checks) {
    const flagged = flags.tableOf(check);
    if (flagged === undefined) continue;
    const rows = await database.rows(`SELECT ${ROW} FROM ${flagged} ORDER BY 1 LIMIT ${MAX_EXAMPLES}`);
    found.set(
      check.index,
      rows.map((row) => Number(row[ROW])),
    );
  }
  return found;
}

function cellOf(value: unknown): Cell {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  const text = String(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
}
