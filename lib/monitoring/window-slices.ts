import { randomUUID } from 'node:crypto';
import type { NumberSketch, ReferenceProfile, SketchedColumn } from '../../contracts/monitoring-reference.ts';
import type { FeatureKind } from '../../contracts/spec/features.ts';
import type { SliceSpec } from '../../contracts/spec/slices.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { declaredSlices } from '../evaluation/declared-slices.ts';
import { openTable } from '../expectations/table.ts';
import { unpackNumbers } from '../statistics/packed-numbers.ts';
import { typesOf, type Values } from './column-values.ts';

/** Numbers with so few different values are taken one by one, as in the evaluation. */
const FEW_VALUES = 12;
const DAY = 86_400;

/** A part of the rows of a table. */
export interface Slice {
  name: string;
  /** Places in the table, ascending. */
  rows: Uint32Array;
}

/** Rows that stay where they are: a view may give them in another order each time it is read. */
export interface SlicedTable {
  relation: string;
  slices: Slice[];
  drop: () => Promise<void>;
}

/**
 * Puts rows into a table of their own and finds the slices in it.
 *
 * @param featureOf the column that holds a feature; people’s conditions name the features themselves
 */
export async function slicedTable(
  database: Database,
  relation: string,
  features: readonly SketchedColumn[],
  featureOf: (name: string) => string,
  specs: readonly SliceSpec[],
): Promise<SlicedTable> {
  const name = quoteIdent(`sliced_${randomUUID()}`);
  await database.run(`CREATE TEMP TABLE ${name} AS SELECT * FROM ${relation}`, 'ColumnInvalid', 'slices');
  const drop = (): Promise<void> => database.run(`DROP TABLE IF EXISTS ${name}`);
  try {
    return { relation: name, slices: await slicesIn(database, name, features, featureOf, specs), drop };
  } catch (error) {
    await drop();
    throw error;
  }
}

async function slicesIn(
  database: Database,
  table: string,
  features: readonly SketchedColumn[],
  featureOf: (name: string) => string,
  specs: readonly SliceSpec[],
): Promise<Slice[]> {
  const types = await typesOf(database, table);
  const columns = features.flatMap(({ name, kind }) => {
    const type = types.get(featureOf(name));
    return type === undefined ? [] : [`${plainSql(featureOf(name), kind, type)} AS ${quoteIdent(name)}`];
  });
  if (columns.length === 0) return [];
  const plain = `(SELECT ${columns.join(', ')} FROM ${table})`;
  const declared = await declaredSlices(
    database,
    await openTable(database, null, { relation: plain, files: [] }),
    specs,
    { at: 'monitoring.slices', edgesOf: (column, bins) => edgesOf(features, column, bins) },
  );
  return declared.flatMap(({ names, codes }) =>
    names.map((name, code) => ({
      name,
      rows: Uint32Array.from(codes.keys()).filter((row) => codes[row] === code),
    })),
  );
}

/** The log has moments and booleans as numbers: conditions are about what they mean. */
function plainSql(name: string, kind: FeatureKind, type: string): string {
  const column = quoteIdent(name);
  switch (kind) {
    case 'numeric':
      return column;
    case 'boolean':
      return `CAST(${column} AS BOOLEAN)`;
    case 'datetime':
      return /^(DATE|TIMESTAMP|VARCHAR)/.test(type)
        ? `CAST(${column} AS TIMESTAMP)`
        : `make_timestamp(CAST(${column} * 1e6 AS BIGINT))`;
    case 'categorical':
    case 'text':
      return `CAST(${column} AS VARCHAR)`;
  }
}

/**
 * Edges by the reference’s quantiles, so that a slice is the same part in every window; rounded, since round numbers are
 * easier to read and belong to nobody.
 */
function edgesOf(features: readonly SketchedColumn[], column: string, bins: number): number[] | undefined {
  const { sketch, kind } = features.find(({ name }) => name === column) ?? {};
  if (sketch?.of !== 'numbers' || !sketch.summary) return undefined;
  const values = unpackNumbers(sketch.values);
  if (sketch.exact && values.length <= FEW_VALUES) return undefined;
  const { min, max } = sketch.summary;
  const edges = Array.from({ length: bins - 1 }, (_, i) => {
    const edge = quantileOf(sketch, values, (i + 1) / bins);
    return kind === 'datetime' ? Math.floor(edge / DAY) * DAY : Number(edge.toPrecision(3));
  });
  const distinct = [...new Set(edges)].filter((edge) => edge > min && edge <= max);
  return distinct.length > 0 ? distinct : undefined;
}

function quantileOf({ upTo, rows }: NumberSketch, values: Float64Array, share: number): number {
  const ranks = unpackNumbers(upTo);
  const place = ranks.findIndex((rank) => rank >= share * rows);
  return values[place < 0 ? values.length - 1 : place] ?? 0;
}

/** The values of some rows. */
export function valuesAt(values: Values, rows: Uint32Array): Values {
  const own = values.slice(0, rows.length);
  for (const [i, row] of rows.entries()) own[i] = values[row] ?? 0;
  return own;
}

/** The reference’s answers in a slice; none where it was made without it. */
export const referenceSlice = (
  { slices }: ReferenceProfile,
  name: string,
): ReferenceProfile['slices'][number] | undefined => slices.find((slice) => slice.name === name);
