import type { DuckDBConnection } from '@duckdb/node-api';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { isTextInput } from '../../contracts/serving.ts';
import { quoteIdent, quoteLiteral } from '../../lib/duckdb/sql.ts';
import type { FeaturePlan } from '../../lib/features/feature-plan.ts';
import { sqlTypes } from '../../lib/features/fit.ts';
import { foldInputName } from '../../lib/features/preprocess-graph.ts';
import { rawColumnsSql } from '../../lib/features/raw-sql.ts';

/** A number that JSON cannot hold is told in words. */
export type Cell = number | string | boolean | null;

/** What the cells of a column are; a moment is epoch seconds. */
export type CellKind = 'text' | 'number' | 'boolean' | 'moment';

const TYPES: Record<CellKind, string> = {
  text: 'VARCHAR',
  number: 'DOUBLE',
  boolean: 'BOOLEAN',
  moment: 'TIMESTAMP',
};

function literal(kind: CellKind, cell: Cell | undefined): string {
  if (cell === null || cell === undefined) return 'NULL';
  if (kind === 'text') return quoteLiteral(String(cell));
  return kind === 'moment' && typeof cell === 'number'
    ? `make_timestamp(${Math.round(cell * 1e6)}::BIGINT)`
    : `'${cell}'::${TYPES[kind]}`;
}

/** Creates a table of columns; numbers and moments may be "inf" and "-inf". */
export async function createTable(
  connection: DuckDBConnection,
  name: string,
  columns: Readonly<Record<string, { kind: CellKind; cells: readonly Cell[] }>>,
): Promise<void> {
  const entries = Object.entries(columns);
  const types = entries.map(([column, { kind }]) => `${quoteIdent(column)} ${TYPES[kind]}`);
  await connection.run(`CREATE OR REPLACE TABLE ${name} (${types.join(', ')})`);
  const rows = entries[0]?.[1].cells.length ?? 0;
  const values = Array.from(
    { length: rows },
    (_, row) => `(${entries.map(([, { kind, cells }]) => literal(kind, cells[row])).join(', ')})`,
  );
  if (rows > 0) await connection.run(`INSERT INTO ${name} VALUES ${values.join(', ')}`);
}

/** The rows of a table through a graph, as named columns. */
export async function matrixOf(
  connection: DuckDBConnection,
  table: string,
  plan: FeaturePlan,
  graph: Uint8Array,
  folds?: readonly number[],
): Promise<Map<string, number[]>> {
  const session = await InferenceSession.create(graph, { logSeverityLevel: 3 });
  const types = await sqlTypes(connection, table);
  const raw = (
    await connection.runAndReadAll(`SELECT ${rawColumnsSql(plan.columns, types)} FROM ${table}`)
  ).getColumnsJS();
  const feeds: Record<string, Tensor> = {};
  plan.columns.forEach(({ name, kind }, index) => {
    const values = raw[index] ?? [];
    feeds[name] = isTextInput(kind)
      ? new Tensor('string', values.map(String), [values.length])
      : new Tensor(kind === 'datetime' ? 'float64' : 'float32', values.map(Number), [values.length]);
  });
  if (folds) feeds[foldInputName(plan)] = new Tensor('float32', [...folds], [folds.length]);
  const [result] = Object.values(await session.run(feeds));
  await session.release();
  const data = Array.from(result?.data ?? [], Number);
  const width = plan.matrix.length;
  return new Map(
    plan.matrix.map(({ name }, column) => [name, data.filter((_, at) => at % width === column)]),
  );
}
