import { BinaryTensors } from './binary-tensors.ts';
import { isWhole64, NUMBER_SIZES, numberAt, wholeAt } from './datatypes.ts';
import { DOUBT, unlessInDoubt } from './doubt.ts';
import type { InputSchema } from './input-schema.ts';
import { cellsOf, readColumn } from './invocation-scanner.ts';
import { BYTE } from './json-bytes.ts';
import { JsonScanner } from './json-scanner.ts';
import { requestedOutputs } from './requested-outputs.ts';
import type { RowCells } from './row-cells.ts';
import { isMatrix, type TensorRequest } from './tensors.ts';

/** From so many numbers on a copy of them is worth its views. */
const MANY = 64;

/** What a tensor's object says before its data are read. */
interface TensorHead {
  name?: string;
  datatype?: string;
  shape?: number[];
  /** `binary_data_size`, where it has one. */
  size?: number | undefined;
  /** Where the data begin, which were passed. */
  data?: number;
}

/**
 * Reads inference requests of the Open Inference Protocol from their bytes into a batch. What it does not take it
 * leaves to {@link readTensors}: what both take, both read alike.
 */
export class TensorScanner {
  readonly #scanner = new JsonScanner();
  readonly #cells: RowCells;
  readonly #all: readonly number[];
  /** Whether all columns are numeric inputs. */
  readonly #numeric: boolean;
  /** By input: its slot in the rows of the request, or −1. */
  readonly #slots: Int32Array;

  constructor(
    private readonly schema: InputSchema,
    private readonly outputNames: readonly string[],
  ) {
    this.#slots = new Int32Array(schema.width);
    this.#cells = cellsOf(schema);
    this.#all = [...schema.inputs.keys()];
    this.#numeric = !schema.keys && schema.inputs.every(({ kind }) => kind === 'numeric');
  }

  /**
   * @param json valid UTF-8
   * @param bytes what stands behind the JSON of a request with binary tensors
   */
  scan(json: Buffer, bytes: Buffer | undefined): TensorRequest | undefined {
    this.#scanner.start(json);
    this.#cells.start();
    return unlessInDoubt(() => this.#body(bytes));
  }

  #body(bytes: Buffer | undefined): TensorRequest {
    const scanner = this.#scanner;
    let read = false;
    let id: string | undefined;
    let outputs: { readonly value: unknown } | undefined;
    let parameters: { readonly value: unknown } | undefined;
    scanner.take(BYTE.objectStart);
    if (scanner.empty(BYTE.objectEnd)) throw DOUBT;
    do {
      switch (scanner.key()) {
        case 'inputs':
          if (read) throw DOUBT;
          read = true;
          this.#tensors(bytes);
          break;
        case 'id':
          if (id !== undefined) throw DOUBT;
          id = scanner.text();
          break;
        case 'outputs':
          if (outputs) throw DOUBT;
          outputs = { value: scanner.value() };
          break;
        case 'parameters':
          if (parameters) throw DOUBT;
          parameters = { value: scanner.value() };
          break;
        default:
          scanner.value();
      }
    } while (scanner.more(BYTE.objectEnd));
    scanner.end();
    if (!read) throw DOUBT;
    return {
      batch: this.#cells.finish(this.#slots),
      id,
      outputs: requestedOutputs(outputs?.value, parameters?.value, this.outputNames),
    };
  }

  #tensors(bytes: Buffer | undefined): void {
    const scanner = this.#scanner;
    const binary = bytes && new BinaryTensors(bytes);
    this.#slots.fill(-1);
    let tensors = 0;
    let matrix = false;
    scanner.take(BYTE.listStart);
    if (scanner.empty(BYTE.listEnd)) throw DOUBT;
    do {
      const head: TensorHead = {};
      const end = this.#head(head);
      const { name, datatype = '', shape } = head;
      tensors += 1;
      if (matrix || name === undefined || !shape) throw DOUBT;
      matrix = tensors === 1 && isMatrix(this.schema, name, shape);
      const columns = matrix ? this.#all : [this.schema.find(name) ?? this.schema.width];
      const [rows = 0, width = 1] = shape;
      if (width !== columns.length || shape.length > 2) throw DOUBT;
      if (tensors === 1) this.#cells.addRows(rows);
      if (rows !== this.#cells.rows) throw DOUBT;
      for (const index of columns) {
        if (this.#slots[index] !== -1 || !this.schema.datatypes[index]?.includes(datatype)) throw DOUBT;
        this.#slots[index] = index;
      }
      this.#cells.datatype = datatype;
      if (head.size !== undefined) {
        if (!binary || head.data !== undefined) throw DOUBT;
        this.#binary(binary, name, datatype, columns, head.size);
      } else {
        if (head.data === undefined) throw DOUBT;
        scanner.at = head.data;
        this.#data(columns);
        if (end !== undefined) scanner.at = end;
        else this.#rest();
      }
    } while (scanner.more(BYTE.listEnd));
    binary?.end();
  }

  /**
   * The fields of a tensor. Gives the place behind it; `undefined` where it stopped before the data, because all that
   * these need is known: whoever reads them then reads the {@link #rest}.
   */
  #head(head: TensorHead): number | undefined {
    const scanner = this.#scanner;
    scanner.take(BYTE.objectStart);
    if (scanner.empty(BYTE.objectEnd)) throw DOUBT;
    do {
      switch (scanner.key()) {
        case 'name':
          if (head.name !== undefined) throw DOUBT;
          head.name = scanner.text();
          break;
        case 'datatype':
          if (head.datatype !== undefined) throw DOUBT;
          head.datatype = scanner.text();
          break;
        case 'shape':
          if (head.shape) throw DOUBT;
          head.shape = this.#shape();
          break;
        case 'parameters':
          if (head.size !== undefined) throw DOUBT;
          head.size = this.#binarySize();
          break;
        case 'data':
          if (head.data !== undefined) throw DOUBT;
          scanner.peek();
          head.data = scanner.at;
          if (head.name !== undefined && head.datatype !== undefined && head.shape && head.size === undefined)
            return undefined;
          scanner.pass();
          break;
        default:
          scanner.value();
      }
    } while (scanner.more(BYTE.objectEnd));
    return scanner.at;
  }

  /** What stands behind a tensor's data. */
  #rest(): void {
    const scanner = this.#scanner;
    while (scanner.more(BYTE.objectEnd)) {
      if (scanner.key() !== 'parameters' || this.#binarySize() !== undefined) throw DOUBT;
    }
  }

  /** `binary_data_size` of a tensor's parameters. */
  #binarySize(): number | undefined {
    const scanner = this.#scanner;
    let size: number | undefined;
    scanner.take(BYTE.objectStart);
    if (!scanner.empty(BYTE.objectEnd))
      do
        if (scanner.key() !== 'binary_data_size') scanner.value();
        else if (size === undefined) size = scanner.number();
        else throw DOUBT;
      while (scanner.more(BYTE.objectEnd));
    return size;
  }

  #shape(): number[] {
    const scanner = this.#scanner;
    const shape: number[] = [];
    scanner.take(BYTE.listStart);
    if (scanner.empty(BYTE.listEnd)) throw DOUBT;
    do {
      const length = scanner.number();
      if (!Number.isSafeInteger(length) || length < 0 || shape.length === 2) throw DOUBT;
      shape.push(length);
    } while (scanner.more(BYTE.listEnd));
    return shape;
  }

  #data(columns: readonly number[]): void {
    const scanner = this.#scanner;
    const cells = this.#cells;
    const { rows } = cells;
    const [sole = 0] = columns;
    if (columns.length === 1) {
      readColumn(scanner, cells, sole, rows);
      return;
    }
    scanner.take(BYTE.listStart);
    const nested = scanner.peek() === BYTE.listStart;
    for (let row = 0; row < rows; row++) {
      if (nested) scanner.take(BYTE.listStart);
      this.#row(row, columns, nested);
      const follows = nested || row === rows - 1 ? scanner.more(BYTE.listEnd) : true;
      if (follows !== row < rows - 1) throw DOUBT;
    }
  }

  /** The values of one row of a matrix, with what stands behind each but the last of a flat one. */
  #row(row: number, columns: readonly number[], nested: boolean): void {
    const scanner = this.#scanner;
    const cells = this.#cells;
    const width = columns.length;
    const last = row === cells.rows - 1;
    let position = 0;
    while (position < width) {
      // Flags among the numbers are read one by one.
      const read = this.#numeric ? cells.readRun(scanner, row, position, width - position) : 0;
      if (read === 0) cells.read(scanner, row, columns[position] ?? 0);
      position += read === 0 ? 1 : read;
      const end = position === width;
      if (end && !nested && last) return;
      if (scanner.more(BYTE.listEnd) !== !(end && nested)) throw DOUBT;
    }
  }

  #binary(
    binary: BinaryTensors,
    name: string,
    datatype: string,
    columns: readonly number[],
    size: number,
  ): void {
    const cells = this.#cells;
    const { rows } = cells;
    const width = NUMBER_SIZES[datatype];
    if (width === undefined) {
      const texts = binary.texts(name, rows, size);
      for (let row = 0; row < rows; row++) cells.setText(row, columns[0] ?? 0, texts[row] ?? '');
      return;
    }
    let at = binary.numbers(name, datatype, rows * columns.length, size);
    if (datatype === 'FP32' && this.#numeric && rows * columns.length >= MANY) {
      const values = binary.floats(at, rows * columns.length);
      if (columns.length > 1) cells.setRows(values);
      else cells.setColumn(columns[0] ?? 0, values);
      return;
    }
    const [sole = 0] = columns;
    if (columns.length === 1 && isWhole64(datatype) && cells.takesWhole(sole)) {
      for (let row = 0; row < rows; row++, at += width)
        cells.setWhole(row, sole, wholeAt(binary.view, at, datatype));
      return;
    }
    for (let row = 0; row < rows; row++)
      for (let position = 0; position < columns.length; position++, at += width)
        cells.setNumber(row, columns[position] ?? 0, numberAt(binary.view, at, datatype));
  }
}
