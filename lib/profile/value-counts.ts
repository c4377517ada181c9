import type { ColumnProfile } from '../../contracts/profile.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { isoMoment, type ProfiledColumn, partsOf } from './column-kinds.ts';

const TOP = 24;
const BINS = 30;
/** Columns in one statement; each is a branch that reads its own column only. */
const AT_ONCE = 32;

/** One SELECT with one row of named columns for each item, joined by UNION ALL. */
async function union<T>(
  database: Database,
  items: readonly T[],
  branch: (item: T, index: number) => string,
): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  for (const [part, batch] of partsOf(items, AT_ONCE).entries())
    rows.push(
      ...(await database.rows(
        batch.map((item, index) => `(${branch(item, part * AT_ONCE + index)})`).join(' UNION ALL '),
      )),
    );
  return rows;
}

/** Distinct values, exactly, and the commonest of each column. For columns with few of them. */
export async function commonValues(
  database: Database,
  relation: string,
  columns: readonly ProfiledColumn[],
): Promise<{ distinct: number; top: ColumnProfile['top'] }[]> {
  const rows = await union(
    database,
    columns,
    ({ sql }, index) =>
      `SELECT ${index} AS i, CAST(v AS VARCHAR) AS v, n, count(*) OVER () AS d
       FROM (SELECT ${sql} AS v, count(*) AS n FROM ${relation} WHERE ${sql} IS NOT NULL GROUP BY 1)
       ORDER BY n DESC, v LIMIT ${TOP}`,
  );
  return columns.map((_, index) => {
    const own = rows.filter((row) => row.i === index);
    return {
      distinct: Number(own[0]?.d ?? 0),
      top: own
        .map((row) => ({ value: String(row.v), rows: Number(row.n) }))
        .sort((a, b) => b.rows - a.rows || (a.value < b.value ? -1 : 1)),
    };
  });
}

/** Distinct values of columns, exactly. */
export async function exactDistinct(
  database: Database,
  relation: string,
  columns: readonly ProfiledColumn[],
): Promise<number[]> {
  const rows = await union(
    database,
    columns,
    ({ sql }, index) => `SELECT ${index} AS i, count(DISTINCT ${sql}) AS d FROM ${relation}`,
  );
  return columns.map((_, index) => Number(rows.find((row) => row.i === index)?.d ?? 0));
}

/** A column with the range that its bins cover: extremes, and where most values lie. */
export interface Binned {
  column: ProfiledColumn;
  range: [number, number];
  most: [number, number];
}

/** Rows in 30 bins of equal width over where most values lie; what is outside falls into the outer bins. */
export async function histograms(
  database: Database,
  relation: string,
  items: readonly Binned[],
): Promise<ColumnProfile['histogram'][]> {
  const plans = items.map(planOf);
  const rows = await union(database, items, ({ column }, index) => {
    const { low, width, bins } = plans[index] ?? { low: 0, width: 1, bins: 1 };
    const bin = `CAST(least(greatest(floor((${column.number} - '${low}'::DOUBLE) / '${width}'::DOUBLE), 0), ${bins - 1}) AS INTEGER)`;
    return `SELECT ${index} AS i, ${bin} AS b, count(*) AS n FROM ${relation} WHERE isfinite(${column.number}) GROUP BY ALL`;
  });
  return items.map(({ column, range }, index) => {
    const { low, width, bins } = plans[index] ?? { low: 0, width: 1, bins: 1 };
    const counts = new Map(
      rows.filter((row) => row.i === index).map((row) => [Number(row.b), Number(row.n)]),
    );
    const bound = (value: number): number | string =>
      column.kind === 'moment' ? isoMoment(Math.round(value)) : value;
    return Array.from({ length: bins }, (_, bin) => ({
      from: bound(bin === 0 ? Math.min(low, range[0]) : low + bin * width),
      to: bound(bin === bins - 1 ? Math.max(low + bins * width, range[1]) : low + (bin + 1) * width),
      rows: counts.get(bin) ?? 0,
    }));
  });
}

function planOf({ column, range, most }: Binned): { low: number; width: number; bins: number } {
  // A few far outliers would press all others into one bin.
  const [low, high] = range[1] - range[0] > 3 * (most[1] - most[0]) && most[1] > most[0] ? most : range;
  if (column.whole && high - low < BINS) return { low, width: 1, bins: high - low + 1 };
  // A whole width lets every bin of whole numbers hold equally many of them.
  const width = column.whole ? Math.ceil((high - low + 1) / BINS) : (high - low) / BINS;
  return width > 0 && Number.isFinite(width) ? { low, width, bins: BINS } : { low, width: 1, bins: 1 };
}

/** Whether columns never turn back, in file order. A streaming window: one scan, no sort. */
export async function orders(
  database: Database,
  relation: string,
  columns: readonly ProfiledColumn[],
): Promise<ColumnProfile['order'][]> {
  if (columns.length === 0) return [];
  const row = await database.row(
    `SELECT ${columns.map((_, i) => `count_if(c${i} < p${i}) AS down${i}, count_if(c${i} > p${i}) AS up${i}`).join(', ')}
     FROM (SELECT ${columns.map((_, i) => `c${i}, lag(c${i}) OVER () AS p${i}`).join(', ')}
     FROM (SELECT ${columns.map(({ sql }, i) => `${sql} AS c${i}`).join(', ')} FROM ${relation}))`,
  );
  return columns.map((_, i) => {
    const [down, up] = [Number(row[`down${i}`]), Number(row[`up${i}`])];
    if (down === 0 && up > 0) return 'increasing';
    return up === 0 && down > 0 ? 'decreasing' : null;
  });
}

/** Texts that do not match their pattern, by column. */
export async function mismatches(
  database: Database,
  relation: string,
  items: readonly { column: ProfiledColumn; pattern: string }[],
): Promise<number[]> {
  if (items.length === 0) return [];
  const row = await database.row(
    `SELECT ${items.map(({ column, pattern }, i) => `count_if(NOT regexp_full_match(CAST(${column.sql} AS VARCHAR), ${quoteLiteral(pattern)})) AS m${i}`).join(', ')} FROM ${relation}`,
  );
  return items.map((_, i) => Number(row[`m${i}`]));
}
