import type { ModelSignature } from '../../contracts/serving.ts';
import { oneCondition } from '../data/join.ts';
import { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import type { ColumnBatch } from '../onnx/tabular-session.ts';
import type { ExplainJob } from './explain-job.ts';
import { categories } from './grid.ts';
import { type Slice, sizeOf } from './importance.ts';

/** A segment needs so many rows, and a column so few categories, that the pictures say something. */
const LEAST_ROWS = 50;
const MOST_SEGMENTS = 4;
const MOST_CATEGORIES = 12;

/** The rows of the slices that the spec declares. @param chosen rows of the job's table that are looked at */
export async function declaredSlices(
  { testPath, slices }: Pick<ExplainJob, 'testPath' | 'slices'>,
  chosen: Uint32Array,
): Promise<Slice[]> {
  if (slices.length === 0) return [];
  const database = await Database.create({ tempDir: `${testPath}.spill`, onlyPaths: [testPath] });
  try {
    const found: Slice[] = [];
    for (const { name, where } of slices) {
      const table = `SELECT * FROM read_parquet(${quoteLiteral(testPath)})`;
      await oneCondition(database, where, table, `evaluation.slices ${name}`);
      const rows = await database.rows(
        `SELECT coalesce(CAST((${where}\n) AS BOOLEAN), false) AS member FROM read_parquet(${quoteLiteral(testPath)}, file_row_number = true) ORDER BY file_row_number`,
        'SqlInvalid',
        `evaluation.slices ${name}`,
      );
      const slice = { name, rows: Uint8Array.from(chosen, (row) => (rows[row]?.member === true ? 1 : 0)) };
      if (sizeOf(slice) >= LEAST_ROWS) found.push(slice);
    }
    return found;
  } finally {
    database.close();
  }
}

/** The rows of each frequent category of the most important column that has few. */
export function segments(
  batch: ColumnBatch,
  signature: ModelSignature,
  byImportance: readonly string[],
): Slice[] {
  for (const name of byImportance) {
    const kind = signature.inputs.find((input) => input.name === name)?.kind;
    const column = batch.columns.get(name);
    if (kind !== 'categorical' || column === undefined) continue;
    if (column instanceof Float32Array || column instanceof Float64Array) continue;
    const found = categories(column);
    if (found.length < 2 || found.length > MOST_CATEGORIES) continue;
    const slices = found.slice(0, MOST_SEGMENTS).map((category) => ({
      name: `${name} = ${category}`,
      rows: Uint8Array.from(column, (value) => (value === category ? 1 : 0)),
    }));
    const large = slices.filter((slice) => sizeOf(slice) >= LEAST_ROWS);
    if (large.length >= 2) return large;
  }
  return [];
}
