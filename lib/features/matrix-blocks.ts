import type { OnnxGraphBuilder } from '../onnx/graph.ts';

/** A group of matrix columns that one chain of nodes computes. */
export type Block =
  | 'number'
  | 'bin'
  | 'missing'
  | 'sine'
  | 'cosine'
  | 'dateMissing'
  | 'code'
  | 'onehot'
  | 'term';

/**
 * The parts of the feature matrix while its graph is built: blocks `[rows, batch]`, feature-major, and for each raw
 * column the rows that are its matrix columns, in their order.
 */
export class MatrixBlocks {
  readonly #blocks = new Map<Block, { value: string; length: number }>();
  readonly #places = new Map<string, { block: Block; row: number }[]>();

  /** Adds the float value `[length, batch]` of a block. */
  add(block: Block, value: string, length: number): void {
    this.#blocks.set(block, { value, length });
  }

  /** Says that the next matrix column of a raw column is this row of a block. */
  place(column: string, block: Block, row: number): void {
    const rows = this.#places.get(column) ?? [];
    rows.push({ block, row });
    this.#places.set(column, rows);
  }

  /** How many matrix columns there are. */
  get length(): number {
    return [...this.#places.values()].reduce((sum, rows) => sum + rows.length, 0);
  }

  /** Joins the blocks into one value `[matrix columns, batch]`, in the order of the columns `names`. */
  joined(graph: OnnxGraphBuilder, names: readonly string[]): string {
    const wanted = new Set([...this.#places.values()].flatMap((rows) => rows.map(({ block }) => block)));
    const used = [...this.#blocks].filter(([block]) => wanted.has(block));
    const offsets = new Map<Block, number>();
    let total = 0;
    for (const [block, { length }] of used) {
      offsets.set(block, total);
      total += length;
    }
    const rows = names.flatMap((name) =>
      (this.#places.get(name) ?? []).map(({ block, row }) => (offsets.get(block) ?? 0) + row),
    );
    const all = join(
      graph,
      used.map(([, { value }]) => value),
    );
    return pick(graph, all, rows, total);
  }
}

/** Rank-1 inputs of one type as the rows of `[columns, batch]`: one concatenation instead of a reshape per column. */
export function stack(graph: OnnxGraphBuilder, columns: readonly { name: string }[]): string {
  const rows = graph.initializer('rows', { type: 'int64', dims: [2], data: [columns.length, -1] });
  return graph.op('Reshape', [
    join(
      graph,
      columns.map(({ name }) => name),
    ),
    rows,
  ]);
}

/** Values of the same columns one under the other. */
export function join(graph: OnnxGraphBuilder, values: readonly string[]): string {
  const [first] = values;
  return values.length === 1 && first !== undefined
    ? first
    : graph.op('Concat', values, { attributes: { axis: 0n } });
}

/** Rows of a `[length, batch]` value in a new order; nothing is added where all stay as they are. */
export function pick(
  graph: OnnxGraphBuilder,
  value: string,
  rows: readonly number[],
  length: number,
): string {
  if (rows.length === length && rows.every((row, index) => row === index)) return value;
  const indices = graph.initializer('pick', { type: 'int64', dims: [rows.length], data: rows });
  return graph.op('Gather', [value, indices], { attributes: { axis: 0n } });
}
