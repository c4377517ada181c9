import { PerennialError } from '../../contracts/errors.ts';
import type { SliceSpec } from '../../contracts/spec/slices.ts';
import type { Database } from '../duckdb/database.ts';
import { checkCondition } from '../expectations/people-sql.ts';
import type { CheckedTable } from '../expectations/table.ts';
import type { CodedColumn } from '../statistics/coded-column.ts';
import { columnCodes, readCodes } from './column-codes.ts';
import type { DeclaredSlices } from './parts.ts';

/** Slices that one entry makes at the most. */
const MOST_SLICES = 500;

/** Where slices are declared, and how numbers and dates are put into bins. */
export interface SliceSurroundings {
  /** For messages; default `evaluation.slices`. */
  at?: string;
  /** Edges between the bins of a column, where they do not depend on the table; `undefined` where they do. */
  edgesOf?: (column: string, bins: number) => number[] | undefined;
}

/**
 * The slices that the spec declares, with the slice of each row.
 *
 * @param database one that can read the table and nothing else: conditions are people's SQL
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`, `SqlInvalid`
 */
export async function declaredSlices(
  database: Database,
  table: CheckedTable,
  specs: readonly SliceSpec[],
  { at = 'evaluation.slices', edgesOf = () => undefined }: SliceSurroundings = {},
): Promise<DeclaredSlices[]> {
  const slices: DeclaredSlices[] = [];
  for (const [index, spec] of specs.entries()) {
    const where = `${at}[${index}]`;
    slices.push(
      'where' in spec
        ? await byCondition(database, table, spec, `${where}.where`)
        : await byColumns(database, table, spec, `${where}.columns`, edgesOf),
    );
  }
  return slices;
}

/**
 * Tries the conditions of slices, so that a slip in one ends a run before anything is trained. Columns are looked at by
 * `columnProblem`.
 *
 * @param database, table as in {@link declaredSlices}
 * @throws PerennialError `SqlInvalid`
 */
export async function checkConditions(
  database: Database,
  table: CheckedTable,
  specs: readonly SliceSpec[],
): Promise<void> {
  for (const [index, spec] of specs.entries())
    if ('where' in spec) await byCondition(database, table, spec, `evaluation.slices[${index}].where`);
}

async function byCondition(
  database: Database,
  table: CheckedTable,
  { name, where: condition, minRows, mandatory }: Extract<SliceSpec, { where: string }>,
  where: string,
): Promise<DeclaredSlices> {
  await checkCondition(database, condition, table, where);
  const [codes = new Uint16Array()] = await readCodes(
    database,
    table,
    [`CASE WHEN (${condition}\n) THEN 0 ELSE 1 END`],
    undefined,
    where,
  );
  return { names: [name], codes, minRows, mandatory, unnamed: null };
}

async function byColumns(
  database: Database,
  table: CheckedTable,
  { columns: names, bins, minRows, mandatory }: Extract<SliceSpec, { columns: string[] }>,
  where: string,
  edgesOf: NonNullable<SliceSurroundings['edgesOf']>,
): Promise<DeclaredSlices> {
  const columns = await columnCodes(
    database,
    table,
    names.map((name) => ({ name, where, edges: Array.isArray(bins) ? undefined : edgesOf(name, bins) })),
    { bins, minRows, most: MOST_SLICES, beyond: 'refused', rows: { from: 0, step: 1 } },
  );
  const combined = combinations(columns);
  const large = [...combined.rows].filter(([key, rows]) => rows >= minRows && combined.isNamed(key));
  if (large.length > MOST_SLICES)
    throw new PerennialError(
      'ColumnInvalid',
      `${where}: they make ${large.length} slices of at least ${minRows} rows, at most ${MOST_SLICES} are judged; raise minRows, or lower bins`,
    );
  const order = new Map(large.sort((a, b) => b[1] - a[1] || a[0] - b[0]).map(([key], code) => [key, code]));
  const codes = Uint16Array.from(combined.keys, (key) => order.get(key) ?? order.size);
  const named = large.reduce((sum, [, rows]) => sum + rows, 0);
  const small = combined.rows.size - large.length;
  // Of one column each value counts; of several the combinations that can be told apart.
  const [only, ...others] = columns;
  const lumped = others.length === 0 && only && only.unnamed > 0 ? only.unnamed - 1 : 0;
  return {
    names: [...order.keys()].map((key) => combined.nameOf(key)),
    codes,
    minRows,
    mandatory,
    unnamed:
      small > 0
        ? {
            name: `${names.join(', ')}: ${small + lumped} with fewer than ${minRows} rows`,
            groups: small + lumped,
            rows: codes.length - named,
          }
        : null,
  };
}

/** The combinations of values that rows have; a key tells the code of each column. */
function combinations(columns: readonly CodedColumn[]) {
  const widths = columns.map(({ labels }) => labels.length + 1);
  const length = columns[0]?.codes.length ?? 0;
  const keys = new Float64Array(length);
  for (const [i, { codes }] of columns.entries())
    for (let row = 0; row < length; row++)
      keys[row] = (keys[row] ?? 0) * (widths[i] ?? 1) + (codes[row] ?? 0);
  const rows = new Map<number, number>();
  for (const key of keys) rows.set(key, (rows.get(key) ?? 0) + 1);
  const codesOf = (key: number): number[] => {
    let rest = key;
    return widths
      .map((_, i) => {
        const width = widths[widths.length - 1 - i] ?? 1;
        const code = rest % width;
        rest = Math.floor(rest / width);
        return code;
      })
      .reverse();
  };
  return {
    keys,
    rows,
    isNamed: (key: number): boolean =>
      codesOf(key).every((code, i) => code < (columns[i]?.labels.length ?? 0)),
    nameOf: (key: number): string =>
      codesOf(key)
        .map((code, i) => columns[i]?.labels[code] ?? '')
        .join(' and '),
  };
}
