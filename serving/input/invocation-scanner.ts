import { DOUBT, unlessInDoubt } from './doubt.ts';
import type { InputSchema } from './input-schema.ts';
import { BYTE } from './json-bytes.ts';
import { JsonScanner } from './json-scanner.ts';
import { KeyedCells } from './keyed-cells.ts';
import type { RequestBatch } from './request-batch.ts';
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
  /** Each input's name as JSON has it, quotes included. */
  readonly #quoted: readonly Buffer[];
  /** By input: its slot in the rows of the request, or −1. */
  readonly #slots: Int32Array;
  /** By input: the last record that had it. Counted on over all requests. */
  readonly #seen: Float64Array;
  #records = 0;
  /** The inputs of the last record in its order: the next one most likely has the same. */
  readonly #order: number[] = [];

  constructor(private readonly schema: InputSchema) {
    this.#cells = cellsOf(schema);
    this.#all = [...schema.inputs.keys()];
    this.#quoted = schema.names.map((name) => Buffer.from(JSON.stringify(name)));
    this.#slots = new Int32Array(schema.width);
    this.#seen = new Float64Array(schema.width);
  }

  /** @param body valid UTF-8 */
  scan(body: Buffer): RequestBatch | undefined {
    this.#scanner.start(body);
    this.#cells.start();
    return unlessInDoubt(() => this.#body());
  }

  #body(): RequestBatch {
    const scanner = this.#scanner;
    let read = false;
    scanner.take(BYTE.objectStart);
    if (scanner.empty(BYTE.objectEnd)) throw DOUBT;
    do {
      const key = scanner.key();
      if (!FORMATS.has(key)) {
        scanner.value();
        continue;
      }
      if (read) throw DOUBT;
      read = true;
      if (key === 'dataframe_split') this.#split();
      else if (key === 'dataframe_records') this.#recordList();
      else if (key === 'inputs' && scanner.peek() === BYTE.objectStart) this.#columns();
      else this.#instances();
    } while (scanner.more(BYTE.objectEnd));
    scanner.end();
    if (!read) throw DOUBT;
    return this.#cells.finish(this.#slots);
  }

  /** `{"columns": [names], "data": [[values], …]}`, in any order. */
  #split(): void {
    const scanner = this.#scanner;
    let columns: readonly number[] | undefined;
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
    if (passed === undefined) return;
    const end = scanner.at;
    scanner.at = passed;
    this.#rowLists(columns);
    scanner.at = end;
  }

  #names(): number[] {
    const scanner = this.#scanner;
    const columns: number[] = [];
    scanner.take(BYTE.listStart);
    if (scanner.empty(BYTE.listEnd)) throw DOUBT;
    do columns.push(this.#indexOf(scanner.text()));
    while (scanner.more(BYTE.listEnd));
    return columns;
  }

  #indexOf(name: string): number {
    const index = this.schema.find(name);
    if (index === undefined) throw DOUBT;
    return index;
  }

  /** Rows as lists, whose values belong to these inputs, each in the slot of its position. */
  #rowLists(columns: readonly number[]): void {
    const scanner = this.#scanner;
    const cells = this.#cells;
    const width = columns.length;
    this.#slots.fill(-1);
    for (const [position, index] of columns.entries()) {
      if (this.#slots[index] !== -1) throw DOUBT;
      this.#slots[index] = position;
    }
    // How many numeric columns follow each other from a position on.
    const runs = new Int32Array(width + 1);
    for (let position = width - 1; position >= 0; position--)
      runs[position] = cells.isNumeric(columns[position] ?? 0) ? 1 + (runs[position + 1] ?? 0) : 0;
    scanner.take(BYTE.listStart);
    if (width === 0 || scanner.empty(BYTE.listEnd)) throw DOUBT;
    do {
      const row = cells.rows;
      cells.addRows(1);
      scanner.take(BYTE.listStart);
      let position = 0;
      do {
        if (position >= width) throw DOUBT;
        const run = runs[position] ?? 0;
        const read = run > 0 ? cells.readRun(scanner, row, position, run) : 0;
        if (read === 0) cells.read(scanner, row, columns[position] ?? 0, position);
        position += read === 0 ? 1 : read;
      } while (scanner.more(BYTE.listEnd));
      if (position !== width) throw DOUBT;
    } while (scanner.more(BYTE.listEnd));
  }

  /** Rows as objects, as lists, or as bare values where there is one input: the first row tells which. */
  #instances(): void {
    const scanner = this.#scanner;
    scanner.peek();
    const start = scanner.at;
    scanner.take(BYTE.listStart);
    const first = scanner.peek();
    scanner.at = start;
    if (first === BYTE.objectStart) this.#recordList();
    else if (first === BYTE.listStart) this.#rowLists(this.#all);
    else if (this.#all.length === 1) {
      this.#slots[0] = 0;
      readColumn(scanner, this.#cells, 0, undefined);
    } else throw DOUBT;
  }

  #recordList(): void {
    const scanner = this.#scanner;
    const cells = this.#cells;
    const seen = this.#seen;
    const width = seen.length;
    for (let index = 0; index < width; index++) this.#slots[index] = index;
    scanner.take(BYTE.listStart);
    if (scanner.empty(BYTE.listEnd)) throw DOUBT;
    do {
      const row = cells.rows;
      cells.addRows(1);
      this.#records += 1;
      const record = this.#records;
      let there = 0;
      scanner.take(BYTE.objectStart);
      if (!scanner.empty(BYTE.objectEnd))
        do {
          const index = this.#key(there);
          if (seen[index] === record) throw DOUBT;
          seen[index] = record;
          there += 1;
          cells.read(scanner, row, index);
        } while (scanner.more(BYTE.objectEnd));
      if (there < width)
        for (let index = 0; index < width; index++) if (seen[index] !== record) cells.setMissing(row, index);
    } while (scanner.more(BYTE.listEnd));
  }

  /** The input that the key at this position of a record names. */
  #key(position: number): number {
    const scanner = this.#scanner;
    const expected = this.#order[position];
    const quoted = expected === undefined ? undefined : this.#quoted[expected];
    scanner.peek();
    if (expected !== undefined && quoted && scanner.skip(quoted)) {
      scanner.take(BYTE.colon);
      return expected;
    }
    const index = this.#indexOf(scanner.key());
    this.#order[position] = index;
    return index;
  }

  /** `{"age": [41, 17], …}`; a value may be wrapped, and a lone value is a column of one row. */
  #columns(): void {
    const scanner = this.#scanner;
    const cells = this.#cells;
    let rows: number | undefined;
    this.#slots.fill(-1);
    scanner.take(BYTE.objectStart);
    if (scanner.empty(BYTE.objectEnd)) throw DOUBT;
    do {
      const index = this.#indexOf(scanner.key());
      if (this.#slots[index] !== -1) throw DOUBT;
      this.#slots[index] = index;
      if (scanner.peek() === BYTE.listStart) readColumn(scanner, cells, index, rows);
      else {
        if (rows === undefined) cells.addRows(1);
        if (cells.rows !== 1) throw DOUBT;
        cells.read(scanner, 0, index);
      }
      rows = cells.rows;
    } while (scanner.more(BYTE.objectEnd));
  }
}

/** What holds the values of a request while it is read. */
export function cellsOf({ layout, limits, keys }: InputSchema): RowCells {
  return keys ? new KeyedCells(layout, limits.maxRows, keys) : new RowCells(layout, limits.maxRows);
}

/** The names of the four shapes. */
const FORMATS: ReadonlySet<string> = new Set(['dataframe_split', 'dataframe_records', 'instances', 'inputs']);

/**
 * Reads a list of one column's values. A value may be wrapped (`[[41], [17]]`): tensors of the shape `[n, 1]` come
 * this way.
 *
 * @param rows how many values there must be; `undefined` where this list tells
 */
export function readColumn(
  scanner: JsonScanner,
  cells: RowCells,
  index: number,
  rows: number | undefined,
): void {
  const numeric = cells.isNumeric(index);
  let row = 0;
  scanner.take(BYTE.listStart);
  if (scanner.empty(BYTE.listEnd)) throw DOUBT;
  do {
    if (rows === undefined && row === cells.rows) cells.addRows(1);
    if (row >= cells.rows) throw DOUBT;
    const read = numeric ? cells.readColumnRun(scanner, row, index, cells.rows - row) : 0;
    if (read > 0) {
      row += read;
      continue;
    }
    if (scanner.peek() === BYTE.listStart) {
      scanner.take(BYTE.listStart);
      cells.read(scanner, row, index);
      scanner.take(BYTE.listEnd);
    } else cells.read(scanner, row, index);
    row += 1;
  } while (scanner.more(BYTE.listEnd));
  if (row !== cells.rows) throw DOUBT;
}
