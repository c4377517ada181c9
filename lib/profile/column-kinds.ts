import type { ProfileKind } from '../../contracts/profile.ts';
import { quoteIdent } from '../duckdb/sql.ts';

const INTEGER = /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/;

/** A column as the profile's queries see it. */
export interface ProfiledColumn {
  name: string;
  type: string;
  kind: ProfileKind;
  /** Whether its type holds whole numbers only. */
  whole: boolean;
  /** SQL of a value: NaN is missing, a moment is a TIMESTAMP. */
  sql: string;
  /** SQL of a value as DOUBLE (a moment: seconds since 1970 UTC); null for kinds that have none. */
  number: string | null;
}

/** What a profile makes of a column, by its DuckDB type. */
export function profiledColumn({ name, type }: { name: string; type: string }): ProfiledColumn {
  const kind = kindOf(type);
  const column = quoteIdent(name);
  const isFloat = /^(FLOAT|DOUBLE)$/.test(type);
  const sql = isFloat
    ? `nullif(${column}, 'NaN'::${type})`
    : kind === 'moment'
      ? `CAST(${column} AS TIMESTAMP)`
      : column;
  return {
    name,
    type,
    kind,
    whole: INTEGER.test(type),
    sql,
    number: kind === 'number' ? `CAST(${sql} AS DOUBLE)` : kind === 'moment' ? `epoch(${sql})` : null,
  };
}

function kindOf(type: string): ProfileKind {
  if (INTEGER.test(type) || /^(FLOAT|DOUBLE|DECIMAL\(.*)$/.test(type)) return 'number';
  if (type === 'BOOLEAN') return 'boolean';
  if (/^(DATE$|TIMESTAMP)/.test(type)) return 'moment';
  return /^(VARCHAR|ENUM\(.*\)|UUID)$/s.test(type) ? 'text' : 'other';
}

/** Parts of a list, one after another: a statement over hundreds of columns would take too long to plan. */
export function partsOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
}

/** Seconds since 1970 as ISO 8601, UTC. Moments beyond JavaScript's range stay numbers of seconds. */
export function isoMoment(seconds: number): string | number {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? seconds : date.toISOString().replace(/\.000Z$/, 'Z');
}
