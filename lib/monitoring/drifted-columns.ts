import type { DriftedColumn } from '../../contracts/monitoring.ts';
import type { CategorySketch, NumberSketch, SketchedColumn } from '../../contracts/monitoring-reference.ts';
import type { DriftSpec } from '../../contracts/spec/monitoring.ts';
import { hasDrifted } from '../../domain/monitoring/drifted.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { sortAscending } from '../statistics/ascending.ts';
import { type Category, categoryStatistics, MAX_CATEGORIES } from '../statistics/category-drift.ts';
import { boundText } from '../statistics/number-drift.ts';
import { readSketch } from '../statistics/number-sketch.ts';
import { sketchDistance } from '../statistics/sketch-distance.ts';
import { benjaminiHochberg } from '../statistics/student-t.ts';
import { MISSING, present, UNKNOWN, type Values } from './column-values.ts';

/** A column of the reference with the values of a window: codes are those of the sketch’s names. */
export interface WindowColumn extends SketchedColumn {
  values: Values;
}

/** Categories that the reference does not know, the commonest first. */
export interface FreshCategories {
  named: readonly { name: string; rows: number }[];
  /** Beyond those. */
  rest: { names: number; rows: number };
}

/** A category with fewer rows, in the window and the reference together, is not named: it may be one person's. */
const LEAST_NAMED_ROWS = 5;

const NOTHING = {
  psi: null,
  jensenShannon: null,
  ks: null,
  chiSquare: null,
  newCategories: null,
  wasserstein: null,
  adjustedPValue: null,
  bins: [],
  drifted: false,
} satisfies Partial<DriftedColumn>;

/**
 * Holds the values of a window against the reference’s sketch.
 *
 * @param fresh categories that are not in the sketch; none by default
 */
export function compareColumn(column: WindowColumn, fresh?: FreshCategories): DriftedColumn {
  const { name, kind, sketch, values } = column;
  return sketch.of === 'numbers'
    ? compareNumberColumn({ name, kind }, sketch, values)
    : compareCategoryColumn({ name, kind }, sketch, countsOf(values, sketch.names.length), fresh);
}

const shareOf = (missing: number, values: number): number =>
  missing + values === 0 ? 0 : missing / (missing + values);

function compareNumberColumn(
  column: Pick<DriftedColumn, 'name' | 'kind'>,
  sketch: NumberSketch,
  values: Values,
): DriftedColumn {
  if (values instanceof Uint16Array) throw new TypeError(`${column.name}: codes are no numbers`);
  const ascending = sortAscending(present(values));
  const { bins, bounds: _, ...distances } = sketchDistance(readSketch(sketch), ascending);
  const missing = values.length - ascending.length;
  return {
    ...column,
    values: { reference: sketch.rows, current: ascending.length },
    missing: {
      reference: shareOf(sketch.missing, sketch.rows),
      current: shareOf(missing, ascending.length),
    },
    ...NOTHING,
    ...distances,
    adjustedPValue: distances.ks?.pValue ?? null,
    bins: bins.flatMap(({ reference, current }, i) => {
      if (reference === 0 && current === 0) return [];
      const { end = null, inclusive = false } = sketch.bins[i] ?? {};
      const label = end === null ? 'above' : `${inclusive ? '≤' : '<'} ${boundText(end, column)}`;
      return [{ label, reference, current }];
    }),
  };
}

/** Rows of each code, then of those that are unknown. */
function countsOf(codes: Values, names: number): { named: Float64Array; unknown: number; missing: number } {
  const named = new Float64Array(names);
  let [unknown, missing] = [0, 0];
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i] ?? MISSING;
    if (code === MISSING) missing++;
    else if (code === UNKNOWN) unknown++;
    else named[code] = (named[code] ?? 0) + 1;
  }
  return { named, unknown, missing };
}

function compareCategoryColumn(
  column: Pick<DriftedColumn, 'name' | 'kind'>,
  sketch: CategorySketch,
  counts: ReturnType<typeof countsOf>,
  // Where nobody asked for their names they count as one.
  fresh: FreshCategories = { named: [], rest: { names: Math.min(1, counts.unknown), rows: counts.unknown } },
): DriftedColumn {
  const current = counts.named.reduce((sum, count) => sum + count, counts.unknown);
  const both = {
    ...column,
    values: { reference: sketch.rows, current },
    missing: {
      reference: shareOf(sketch.missing, sketch.rows),
      current: shareOf(counts.missing, current),
    },
    ...NOTHING,
  };
  if (sketch.rows === 0 || current === 0) return both;
  const found = categoryStatistics(categoriesOf(sketch, counts, fresh), LEAST_NAMED_ROWS);
  return {
    ...both,
    ...found,
    // Of more categories than are kept it is not known which ones are new.
    newCategories: sketch.rest.names === 0 ? found.newCategories : null,
    adjustedPValue: found.chiSquare?.pValue ?? null,
  };
}

function categoriesOf(
  sketch: CategorySketch,
  { named, unknown }: ReturnType<typeof countsOf>,
  fresh: FreshCategories,
): Category[] {
  const known = sketch.names.map((name, i) => ({
    name,
    reference: sketch.counts[i] ?? 0,
    current: named[i] ?? 0,
    fresh: 0,
    freshRows: 0,
  }));
  if (unknown === 0 && sketch.rest.rows === 0) return known;
  if (sketch.rest.names > 0)
    return [...known, { name: null, reference: sketch.rest.rows, current: unknown, fresh: 0, freshRows: 0 }];
  return [
    ...known,
    ...fresh.named.map(({ name, rows }) => ({
      name,
      reference: 0,
      current: rows,
      fresh: 1,
      freshRows: rows,
    })),
    ...(fresh.rest.rows === 0
      ? []
      : [
          {
            name: null,
            reference: 0,
            current: fresh.rest.rows,
            fresh: fresh.rest.names,
            freshRows: fresh.rest.rows,
          },
        ]),
  ];
}

/** Whether any value of a column is a category that its sketch does not name. */
export const hasUnknown = ({ values, sketch }: WindowColumn): boolean =>
  sketch.of === 'categories' && values.includes(UNKNOWN);

/**
 * Categories of a column that its sketch does not name.
 *
 * @param sql of the column’s value in the relation
 */
export async function freshCategories(
  database: Database,
  relation: string,
  sql: string,
  sketch: CategorySketch,
): Promise<FreshCategories> {
  const known =
    sketch.names.length === 0 ? '' : `AND v NOT IN (${sketch.names.map(quoteLiteral).join(', ')})`;
  const most = Math.max(1, MAX_CATEGORIES - sketch.names.length);
  const rows = await database.rows(
    `SELECT CASE WHEN place <= ${most} THEN v END AS v, sum(n)::DOUBLE AS n, count(*)::DOUBLE AS names
     FROM (SELECT v, count(*) AS n, row_number() OVER (ORDER BY count(*) DESC, v) AS place
       FROM (SELECT CAST(${sql} AS VARCHAR) AS v FROM ${relation}) WHERE v IS NOT NULL ${known} GROUP BY v)
     GROUP BY ALL`,
    'ColumnInvalid',
    'new categories',
  );
  const rest = rows.find(({ v }) => v === null);
  return {
    named: rows
      .filter(({ v }) => v !== null)
      .map((row) => ({ name: String(row.v), rows: Number(row.n) }))
      .sort((a, b) => b.rows - a.rows || (a.name < b.name ? -1 : 1)),
    rest: { names: Number(rest?.names ?? 0), rows: Number(rest?.n ?? 0) },
  };
}

/**
 * Corrects the p-values of columns for their number, and says which of the columns have drifted by the spec.
 *
 * @param spec `null`: by no limit
 */
export function judged(columns: readonly DriftedColumn[], spec: DriftSpec | null): DriftedColumn[] {
  const tested = columns.filter(({ adjustedPValue }) => adjustedPValue !== null);
  const corrected = benjaminiHochberg(Float64Array.from(tested, ({ adjustedPValue }) => adjustedPValue ?? 1));
  const adjusted = new Map(tested.map(({ name }, i) => [name, corrected[i] ?? 1]));
  return columns.map((column) => {
    const adjustedPValue = adjusted.get(column.name) ?? null;
    return {
      ...column,
      adjustedPValue,
      drifted: spec !== null && hasDrifted(spec, { ...column, adjustedPValue }),
    };
  });
}
