import type { Database } from '../duckdb/database.ts';
import type { Check } from './check.ts';
import { ROW } from './table.ts';

/** Row numbers of rows that violate a rule which no condition on a single row can tell. */
export class Flags {
  readonly #tables = new Map<number, string>();

  private constructor() {}

  /** Computes the row numbers for those of the checks that need them. */
  static async create(database: Database, checks: readonly Check[]): Promise<Flags> {
    const flags = new Flags();
    for (const { index, flagged, where } of checks) {
      if (flagged === undefined) continue;
      const name = `__perennial_flags_${index}`;
      await database.run(`CREATE TEMP TABLE ${name} AS ${flagged}`, 'ColumnInvalid', where);
      flags.#tables.set(index, name);
    }
    return flags;
  }

  /** The temporary table of a check's row numbers. */
  tableOf(check: Check): string | undefined {
    return this.#tables.get(check.index);
  }

  /** A condition on a row with its number that is true where the row violates the check. */
  condition(check: Check): string {
    const table = this.tableOf(check);
    return table ? `${ROW} IN (SELECT ${ROW} FROM ${table})` : `coalesce((${check.condition}), false)`;
  }
}
