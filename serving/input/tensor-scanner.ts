import type { ColumnBatch } from '../../lib/onnx/tabular-session.ts';
import { BinaryTensors } from './binary-tensors.ts';
import { DATATYPES, NUMBER_SIZES, numberAt } from './datatypes.ts';
import type { InputSchema } from './input-schema.ts';
import { readWrapped } from './invocation-scanner.ts';
import { isObject } from './json.ts';
import { BYTE, DOUBT, JsonScanner, unlessInDoubt } from './json-scanner.ts';
import { requestedOutputs } from './requested-outputs.ts';
import { RowCells } from './row-cells.ts';
import { isMatrix, type TensorRequest } from './tensors.ts';

/** What a tensor's object says before its data are read. */
interface TensorHead {
  name?: string;
  datatype?: string;
  shape?: number[];
  /** `binary_data_size`, where it has one. */
  size?: unknown;
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

  constructor(
    private readonly schema: InputSchema,
    private readonly outputNames: readonly string[],
  ) {
    this.#cells = new RowCells(schema.layout, schema.limits.maxRows);
    this.#all = [...schema.inputs.keys()];
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
    let batch: (() => ColumnBatch) | undefined;
    let id: string | undefined;
    let outputs: { readonly value: unknown } | undefined;
    let parameters: { readonly value: unknown } | undefined;
    scanner.take(BYTE.objectStart);
    if (scanner.empty(BYTE.objectEnd)) throw DOUBT;
    do {
      switch (scanner.key()) {
        case 'inputs':
          if (batch) throw DOUBT;
          batch = this.#tensors(bytes);
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
    if (!batch) throw DOUBT;
    return {
      batch: batch(),
      id,
      outputs: requestedOutputs(outputs?.value, parameters?.value, this.outputNames),
    };
  }

  #tensors(bytes: Buffer | undefined): () => ColumnBatch {
    const scanner = this.#scanner;
    const binary = bytes && new BinaryTensors(bytes);
    const given = new Set<number>();
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
      const columns = matrix ? this.#all : [this.schema.find(name) ?? this.schema.inputs.length];
      const [rows = 0, width = 1] = shape;
      if (width !== columns.length || shape.length > 2) throw DOUBT;
      if (tensors === 1) for (let row = 0; row < rows; row++) this.#cells.addRow();
      if (rows !== this.#cells.rows) throw DOUBT;
      for (const index of columns) {
        const input = this.schema.inputs[index];
        if (!input || given.has(index) || !DATATYPES[input.kind].includes(datatype)) throw DOUBT;
        given.add(index);
      }
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
    return () => this.#cells.finish((index) => given.has(index));
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
        case 'parameters': {
          const parameters = scanner.value();
          if (head.size !== undefined) throw DOUBT;
          if (isObject(parameters) && Object.hasOwn(parameters, 'binary_data_size'))
            head.size = parameters.binary_data_size ?? null;
          break;
        }
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
      const key = scanner.key();
      if (key !== 'parameters') throw DOUBT;
      const parameters = scanner.value();
      if (isObject(parameters) && Object.hasOwn(parameters, 'binary_data_size')) throw DOUBT;
    }
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
    const width = columns.length;
    const last = rows * width - 1;
    scanner.take(BYTE.listStart);
    if (width > 1 && scanner.peek() === BYTE.listStart) {
      for (let row = 0; row < rows; row++) {
        scanner.take(BYTE.listStart);
        for (let position = 0; position < width; position++) {
          cells.read(scanner, row, columns[position] ?? 0);
          if (scanner.more(BYTE.listEnd) !== position < width - 1) throw DOUBT;
        }
        if (scanner.more(BYTE.listEnd) !== row < rows - 1) throw DOUBT;
      }
      return;
    }
    let row = 0;
    let position = 0;
    for (let index = 0; index <= last; index++) {
      if (width === 1) readWrapped(scanner, cells, row, sole);
      else cells.read(scanner, row, columns[position] ?? 0);
      if (scanner.more(BYTE.listEnd) !== index < last) throw DOUBT;
      if (++position === width) {
        position = 0;
        row += 1;
      }
    }
  }

  #binary(
    binary: BinaryTensors,
    name: string,
    datatype: string,
    columns: readonly number[],
    size: unknown,
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
    for (let row = 0; row < rows; row++)
      for (let position = 0; position < columns.length; position++, at += width)
        cells.setNumber(row, columns[position] ?? 0, numberAt(binary.view, at, datatype));
  }
}
