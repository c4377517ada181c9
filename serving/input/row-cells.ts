import { FLOAT32_MAX } from './column-buffer.ts';
import { isEpochSeconds, parseIsoSeconds } from './datetime.ts';
import { DOUBT } from './doubt.ts';
import { BYTE } from './json-bytes.ts';
import type { JsonScanner } from './json-scanner.ts';
import { type BatchLayout, RequestBatch } from './request-batch.ts';

const NULL = Buffer.from('null');
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');

/** A table of that many values is not kept for the next request. */
const KEPT_VALUES = 1 << 18;

const KINDS = { numeric: 0, boolean: 1, datetime: 2, categorical: 3, text: 3 } as const;

/**
 * The values of one request while a scanner reads it, row by row or column by column, until the number of rows is
 * known. The memory serves one request after the other; {@link finish} copies out of it. Numbers of numeric columns
 * are checked there, all at once.
 */
export class RowCells {
  readonly #width: number;
  readonly #kinds: Uint8Array;
  readonly #optional: readonly boolean[];
  /** [row][slot]; texts have a list of their own, and a hole here. */
  #numbers = new Float64Array(256);
  /** [row][place among the texts]. */
  #texts: string[] = [];
  #rows = 0;
  /** Of the tensor whose values come. */
  datatype = '';

  /** @param width slots of a row: one for each column that a request may have */
  constructor(
    private readonly layout: BatchLayout,
    private readonly maxRows: number,
    width = layout.inputs.length,
  ) {
    this.#width = width;
    this.#kinds = Uint8Array.from(layout.inputs, ({ kind }) => KINDS[kind]);
    this.#optional = layout.inputs.map(({ optional }) => optional);
  }

  /** Begins another request. */
  start(): void {
    this.#rows = 0;
    this.datatype = '';
    this.#texts.length = 0;
    if (this.#numbers.length > KEPT_VALUES) this.#numbers = new Float64Array(256);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds rows, whose values are then all to be set. */
  addRows(rows: number): void {
    if (rows > this.maxRows - this.#rows) throw DOUBT;
    this.#rows += rows;
    const needed = this.#rows * this.#width;
    if (needed <= this.#numbers.length) return;
    const grown = new Float64Array(needed * 2);
    grown.set(this.#numbers);
    this.#numbers = grown;
  }

  /** Whether an input is a plain number, so that {@link readRun} may read it. */
  isNumeric(index: number): boolean {
    return this.#kinds[index] === KINDS.numeric;
  }

  /** Whether whole numbers of 64 bits are taken as such, by {@link setWhole}. */
  takesWhole(_index: number): boolean {
    return false;
  }

  /** Takes a whole number that a double may not hold. */
  setWhole(row: number, index: number, value: bigint): void {
    this.setNumber(row, index, Number(value));
  }

  /**
   * Reads numbers that follow each other in the row, for numeric inputs in neighbouring slots.
   *
   * @returns how many were plain numbers
   */
  readRun(scanner: JsonScanner, row: number, slot: number, count: number): number {
    return scanner.numberRun(this.#numbers, row * this.#width + slot, 1, count);
  }

  /**
   * Reads numbers that follow each other in a numeric column.
   *
   * @returns how many were plain numbers
   */
  readColumnRun(scanner: JsonScanner, row: number, slot: number, count: number): number {
    return scanner.numberRun(this.#numbers, row * this.#width + slot, this.#width, count);
  }

  /** Takes whole rows of numbers, which feed the inputs in their order. */
  setRows(values: Float32Array): void {
    this.#numbers.set(values);
  }

  /** Takes a numeric column. */
  setColumn(slot: number, values: Float32Array): void {
    const numbers = this.#numbers;
    const width = this.#width;
    for (let row = 0, cell = slot; row < values.length; row++, cell += width)
      numbers[cell] = values[row] ?? 0;
  }

  /**
   * Reads the value that comes in the JSON text.
   *
   * @param slot its place in the row; the input's index where the rows have no order of their own
   */
  read(scanner: JsonScanner, row: number, index: number, slot = index): void {
    const byte = scanner.peek();
    if (byte === BYTE.n) {
      scanner.word(NULL);
      this.setMissing(row, index, slot);
      return;
    }
    const cell = row * this.#width + slot;
    const kind = this.#kinds[index];
    if (kind === KINDS.numeric) scanner.numberInto(this.#numbers, cell, true);
    else if (kind === KINDS.boolean && byte === BYTE.t) {
      scanner.word(TRUE);
      this.#numbers[cell] = 1;
    } else if (kind === KINDS.boolean && byte === BYTE.f) {
      scanner.word(FALSE);
      this.#numbers[cell] = 0;
    } else if (byte === BYTE.quote) this.setText(row, index, scanner.text(), slot);
    else this.setNumber(row, index, scanner.number(), slot);
  }

  /** Takes a number as {@link read} would; NaN is a missing value. */
  setNumber(row: number, index: number, value: number, slot = index): void {
    const cell = row * this.#width + slot;
    const kind = this.#kinds[index];
    if (kind === KINDS.numeric) this.#numbers[cell] = value;
    else if (Number.isNaN(value)) this.setMissing(row, index, slot);
    else if (kind === KINDS.boolean && (value === 0 || value === 1))
      this.#numbers[cell] = value === 1 ? 1 : 0;
    else if (kind === KINDS.datetime && isEpochSeconds(value)) this.#numbers[cell] = value;
    else throw DOUBT;
  }

  /** Takes a text as {@link read} would. */
  setText(row: number, index: number, text: string, slot = index): void {
    if (this.#kinds[index] === KINDS.text) {
      this.#texts[row * this.layout.texts + (this.layout.places[index] ?? 0)] = text;
      return;
    }
    const seconds = this.#kinds[index] === KINDS.datetime ? parseIsoSeconds(text) : undefined;
    if (seconds === undefined) throw DOUBT;
    this.#numbers[row * this.#width + slot] = seconds;
  }

  /** A missing value, where the model allows one. */
  setMissing(row: number, index: number, slot = index): void {
    if (!this.#optional[index]) throw DOUBT;
    if (this.#kinds[index] === KINDS.text)
      this.#texts[row * this.layout.texts + (this.layout.places[index] ?? 0)] = '';
    else this.#numbers[row * this.#width + slot] = Number.NaN;
  }

  /**
   * The batch for the model.
   *
   * @param slots by input: its slot in the rows; −1 where the request does not have it, and every row misses it
   */
  finish(slots: Int32Array): RequestBatch {
    const rows = this.#rows;
    if (rows === 0) throw DOUBT;
    const { layout } = this;
    const batch = new RequestBatch(layout, rows, false);
    for (let index = 0; index < layout.inputs.length; index++) {
      const slot = slots[index] ?? -1;
      const place = layout.places[index] ?? 0;
      const kind = this.#kinds[index];
      if (slot < 0 && !this.#optional[index]) throw DOUBT;
      if (kind === KINDS.text) {
        const texts = batch.texts[place];
        if (slot >= 0 && texts) this.#copyTexts(texts, place);
      } else if (kind === KINDS.datetime) {
        const dates = batch.dates[place];
        if (dates) this.#copyNumbers(dates, 0, slot);
      } else {
        this.#copyNumbers(batch.numbers, place * rows, slot);
        if (kind === KINDS.numeric && slot >= 0) this.#checkColumn(index, slot);
      }
    }
    // What people wrote is not kept longer than their request.
    this.#texts.length = 0;
    return batch;
  }

  /** Every value must be a float32, or missing where the model allows it. */
  #checkColumn(index: number, slot: number): void {
    const numbers = this.#numbers;
    const width = this.#width;
    const end = this.#rows * width;
    for (let cell = slot; cell < end; cell += width) {
      const value = numbers[cell] ?? 0;
      if (value <= FLOAT32_MAX && value >= -FLOAT32_MAX) continue;
      if (!Number.isNaN(value) || !this.#optional[index]) throw DOUBT;
    }
  }

  #copyNumbers(target: Float32Array | Float64Array, start: number, slot: number): void {
    const end = start + this.#rows;
    if (slot < 0) {
      target.fill(Number.NaN, start, end);
      return;
    }
    const source = this.#numbers;
    const width = this.#width;
    for (let place = start, cell = slot; place < end; place++, cell += width)
      target[place] = source[cell] ?? 0;
  }

  #copyTexts(target: string[], place: number): void {
    const { texts } = this.layout;
    for (let row = 0; row < this.#rows; row++) target[row] = this.#texts[row * texts + place] ?? '';
  }
}
