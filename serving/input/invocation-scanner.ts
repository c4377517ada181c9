import type { ColumnBatch } from '../../lib/onnx/tabular-session.ts';
import type { InputSchema } from './input-schema.ts';
import { BYTE, DOUBT, JsonScanner, unlessInDoubt } from './json-scanner.ts';
import { RowCells } from './row-cells.ts';

/**
 * Reads bodies of MLflow's scoring protocol from their bytes into a batch, without an object for any row. What it
 * does not take it leaves to {@link readInvocation}: what both take, both read alike.
 *
 * @example
 * const scanner = new InvocationScanner(schema);
 * scanner.scan(Buffer.from('{"inputs":{"age":[41,17]}}'))?.numbers; // Float32Array [41, 17]
 */
export class InvocationScanner {
  readonly #scanner = new JsonScanner();
  readonly #cells: RowCells;
  readonly #all: readonly number[];
  /** By input: the last record that had it. Counted on over all requests. */
  readonly #seen: Float64Array;
  #records = 0;

  constructor(private readonly schema: InputSchema) {
    this.#cells = new RowCells(schema.layout, schema.limits.maxRows);
    this.#all = schema.inputs.map((_, index) => index);
    this.#seen = new Float64Array(schema.inputs.length);
  }

  /** @param body valid UTF-8 */
  scan(body: Buffer): ColumnBatch | undefined {
    this.#scanner.start(body);
    this.#cells.start();
    return unlessInDoubt(() => this.#body());
  }

  #body(): ColumnBatch {
    const scanner = this.#scanner;
    let given: ((index: number) => boolean) | undefined;
    scanner.take(BYTE.objectStart);
    if (scanner.empty(BYTE.objectEnd)) throw DOUBT;
    do {
      const key = scanner.key();
      const format =
        key === 'dataframe_split' || key === 'dataframe_records' || key === 'instances' || key === 'inputs';
      if (format && given) throw DOUBT;
      if (key === 'dataframe_split') given = this.#split();
      else if (key === 'dataframe_records') given = this.#recordList();
      else if (key === 'instances') given = this.#instances();
      else if (key === 'inputs')
        given = scanner.peek() === BYTE.objectStart ? this.#columns() : this.#instances();
      else scanner.value();
    } while (scanner.more(BYTE.objectEnd));
    scanner.end();
    if (!given) throw DOUBT;
    return this.#cells.finish(given);
  }

  /** `{"columns": [names], "data": [[values], …]}`, in any order. */
  #split(): (index: number) => boolean {
    const scanner = this.#scanner;
    let columns: number[] | undefined;
    let passed: number | undefined;
    let data = false;
    scanner.take(BYTE.objectStart);
    if (scanner.empty(BYTE.objectEnd)) throw DOUBT;
    do {
      const key = scanner.key();
      if (key === 'columns') {
        if (columns) throw DOUBT;
        columns = this.#names();
      } else if (key === 'data') {
        if (data) throw DOUBT;
        data = true;
        if (columns) this.#rowLists(columns);
        else passed = scanner.pass();
      } else scanner.value();
    } while (scanner.more(BYTE.objectEnd));
    if (!columns || !data) throw DOUBT;
    if (passed !== undefined) {
      const end = scanner.at;
      scanner.at = passed;
      this.#rowLists(columns);
      scanner.at = end;
    }
    const set = new Set(columns);
    return (index) => set.has(index);
  }

  #names(): number[] {
    const scanner = this.#scanner;
    const columns: number[] = [];
    scanner.take(BYTE.listStart);
    if (scanner.empty(BYTE.listEnd)) throw DOUBT;
    do columns.push(this.#indexOf(scanner.text()));
    while (scanner.more(BYTE.listEnd));
    if (new Set(columns).size !== columns.length) throw DOUBT;
    return columns;
  }

  #indexOf(name: string): number {
    const index = this.schema.find(name);
    if (index === undefined) throw DOUBT;
    return index;
  }

  #rowLists(columns: readonly number[]): void {
    const scanner = this.#scanner;
    const cells = this.#cells;
    const last = columns.length - 1;
    scanner.take(BYTE.listStart);
    if (last < 0 || scanner.empty(BYTE.listEnd)) throw DOUBT;
    do {
      const row = cells.rows;
      cells.addRow();
      scanner.take(BYTE.listStart);
      for (let position = 0; position <= last; position++) {
        cells.read(scanner, row, columns[position] ?? 0);
        if (scanner.more(BYTE.listEnd) !== position < last) throw DOUBT;
      }
    } while (scanner.more(BYTE.listEnd));
  }

  /** Rows as objects, as lists, or as bare values where there is one input: the first row tells which. */
  #instances(): (index: number) => boolean {
    const scanner = this.#scanner;
    scanner.peek();
    const start = scanner.at;
    scanner.take(BYTE.listStart);
    const first = scanner.peek();
    scanner.at = start;
    if (first === BYTE.objectStart) return this.#recordList();
    if (first === BYTE.listStart) this.#rowLists(this.#all);
    else if (this.#all.length === 1) this.#columnList(0);
    else throw DOUBT;
    return () => true;
  }

  #recordList(): (index: number) => boolean {
    const scanner = this.#scanner;
    const cells = this.#cells;
    const seen = this.#seen;
    const width = seen.length;
    scanner.take(BYTE.listStart);
    if (scanner.empty(BYTE.listEnd)) throw DOUBT;
    do {
      const row = cells.rows;
      cells.addRow();
      this.#records += 1;
      const record = this.#records;
      let there = 0;
      scanner.take(BYTE.objectStart);
      if (!scanner.empty(BYTE.objectEnd))
        do {
          const index = this.#indexOf(scanner.key());
          if (seen[index] === record) throw DOUBT;
          seen[index] = record;
          there += 1;
          cells.read(scanner, row, index);
        } while (scanner.more(BYTE.objectEnd));
      if (there < width)
        for (let index = 0; index < width; index++) if (seen[index] !== record) cells.setMissing(row, index);
    } while (scanner.more(BYTE.listEnd));
    return () => true;
  }

  /** `{"age": [41, 17], …}`; a value may be wrapped, and a lone value is a column of one row. */
  #columns(): (index: number) => boolean {
    const scanner = this.#scanner;
    const columns = new Set<number>();
    scanner.take(BYTE.objectStart);
    if (scanner.empty(BYTE.objectEnd)) throw DOUBT;
    do {
      const index = this.#indexOf(scanner.key());
      if (columns.has(index)) throw DOUBT;
      if (scanner.peek() === BYTE.listStart) this.#columnList(index, columns.size > 0);
      else {
        this.#row(0, columns.size > 0);
        this.#cells.read(scanner, 0, index);
        if (this.#cells.rows !== 1) throw DOUBT;
      }
      columns.add(index);
    } while (scanner.more(BYTE.objectEnd));
    return (index) => columns.has(index);
  }

  /** The values of one column. @param follows whether an earlier column has told the number of rows */
  #columnList(index: number, follows = false): void {
    const scanner = this.#scanner;
    let row = 0;
    scanner.take(BYTE.listStart);
    if (scanner.empty(BYTE.listEnd)) throw DOUBT;
    do {
      this.#row(row, follows);
      readWrapped(scanner, this.#cells, row, index);
      row += 1;
    } while (scanner.more(BYTE.listEnd));
    if (row !== this.#cells.rows) throw DOUBT;
  }

  #row(row: number, follows: boolean): void {
    if (!follows) this.#cells.addRow();
    else if (row >= this.#cells.rows) throw DOUBT;
  }
}

/** A value, or the one value of a list: tensors of the shape `[n, 1]` come this way. */
export function readWrapped(scanner: JsonScanner, cells: RowCells, row: number, index: number): void {
  if (scanner.peek() !== BYTE.listStart) {
    cells.read(scanner, row, index);
    return;
  }
  scanner.take(BYTE.listStart);
  cells.read(scanner, row, index);
  scanner.take(BYTE.listEnd);
}
