import { MEDIA_TYPES, type RowRange } from '../../contracts/refs.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { ROW_NUMBER } from '../features/table-job.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import type { RowSlice } from './plan.ts';

/**
 * Stores the rows of a table once more, encrypted, in one artifact for each range.
 *
 * @param path the table in the clear
 * @param scratch a path for one of them at a time
 */
export async function storeSlices(
  database: Database,
  store: ArtifactStore,
  { path, scratch }: { path: string; scratch: string },
  ranges: readonly RowRange[],
  onSlice: (done: number) => void,
): Promise<RowSlice[]> {
  const slices: RowSlice[] = [];
  for (const rows of ranges) {
    await database.copyToParquet(
      `SELECT * FROM read_parquet(${quoteLiteral(path)}) WHERE ${ROW_NUMBER} >= ${rows.from} AND ${ROW_NUMBER} < ${rows.before} ORDER BY ${ROW_NUMBER}`,
      scratch,
    );
    slices.push({ rows, artifact: await store.putFile(scratch, MEDIA_TYPES.parquet, { encrypt: true }) });
    onSlice(slices.length);
  }
  return slices;
}
