import type { ColumnBatch } from '../../lib/onnx/tabular-session.ts';
import { FLOAT32_MAX } from './column-buffer.ts';
import { isEpochSeconds, parseIsoSeconds } from './datetime.ts';
import { BYTE, DOUBT, type JsonScanner } from './json-scanner.ts';
import { type BatchLayout, groupOf, PackedBatch } from './packed-batch.ts';

const NULL = Buffer.from('null');
const TRUE = Buffer.from('true');
const FALSE = Buffer.from('false');

/** A table of that many values is not kept for the next request. */
const KEPT_VALUES = 1 << 18;

const KINDS = { numeric: 0, boolean: 1, datetime: 2, categorical: 3, text: 3 } as const;

/**
 * The values of one request while a scanner reads it, row by row or column by column, until the number of rows is
 * known. The memory serves one request after the other; {@link finish} copies out of it.
 */
export class RowCells {
  readonly #width: number;
  readonly #kinds: Uint8Array;
  readonly #optional: readonly boolean[];
  /** [row][input]; texts have a list of their own, and a hole here. */
  #numbers = new Float64Array();
  /** [row][place among the texts]. */
  #texts: string[] = [];
  #rows = 0;

  constructor(
    private readonly layout: BatchLayout,
    private readonly maxRows: number,
  ) {
    this.#width = layout.inputs.length;
    this.#kinds = Uint8Array.from(layout.inputs, ({ kind }) => KINDS[kind]);
    this.#optional = layout.inputs.map(({ optional }) => optional);
  }

  /** Begins another request. */
  start(): void {
    this.#rows = 0;
    if (this.#numbers.length > KEPT_VALUES) this.#numbers = new Float64Array();
  }

  get rows(): number {
    return this.#rows;
  }

  /** Adds a row, whose values are then all to be set. */
  addRow(): void {
    if (this.#rows >= this.maxRows) throw DOUBT;
    this.#rows += 1;
    const needed = this.#rows * this.#width;
    if (needed <= this.#numbers.length) return;
    const grown = new Float64Array(Math.max(needed * 2, 256));
    grown.set(this.#numbers);
    this.#numbers = grown;
  }

  /** Reads the value that comes in the JSON text. */
  read(scanner: JsonScanner, row: number, index: number): void {
    const byte = scanner.peek();
    if (byte === BYTE.n) {
      scanner.word(NULL);
      this.setMissing(row, index);
      return;
    }
    const cell = row * this.#width + index;
    switch (this.#kinds[index]) {
      case KINDS.numeric: {
        const value = scanner.number(true);
        if (value > FLOAT32_MAX || value < -FLOAT32_MAX) throw DOUBT;
        this.#numbers[cell] = value;
        return;
      }
      case KINDS.boolean: {
        if (byte === BYTE.t) {
          scanner.word(TRUE);
          this.#numbers[cell] = 1;
        } else if (byte === BYTE.f) {
          scanner.word(FALSE);
          this.#numbers[cell] = 0;
        } else {
          this.setNumber(row, index, scanner.number());
        }
        return;
      }
      case KINDS.datetime:
        if (byte !== BYTE.quote) {
          this.setNumber(row, index, scanner.number());
          return;
        }
    }
    this.setText(row, index, scanner.text());
  }

  /** Takes a number as {@link read} would; NaN is a missing value. */
  setNumber(row: number, index: number, value: number): void {
    const kind = this.#kinds[index];
    if (Number.isNaN(value)) this.setMissing(row, index);
    else if (kind === KINDS.numeric ? value > FLOAT32_MAX || value < -FLOAT32_MAX : !fits(kind, value))
      throw DOUBT;
    // Of a flag, zero has no sign.
    else this.#numbers[row * this.#width + index] = kind === KINDS.boolean ? value + 0 : value;
  }

  /** Takes a text as {@link read} would. */
  setText(row: number, index: number, text: string): void {
    if (this.#kinds[index] === KINDS.text) {
      this.#texts[row * this.layout.texts + (this.layout.places[index] ?? 0)] = text;
      return;
    }
    const seconds = this.#kinds[index] === KINDS.datetime ? parseIsoSeconds(text) : undefined;
    if (seconds === undefined) throw DOUBT;
    this.#numbers[row * this.#width + index] = seconds;
  }

  /** A missing value, where the model allows one. */
  setMissing(row: number, index: number): void {
    if (!this.#optional[index]) throw DOUBT;
    if (this.#kinds[index] === KINDS.text)
      this.#texts[row * this.layout.texts + (this.layout.places[index] ?? 0)] = '';
    else this.#numbers[row * this.#width + index] = Number.NaN;
  }

  /**
   * The batch for the model.
   *
   * @param given which inputs the request has; the others are missing in every row
   */
  finish(given: (index: number) => boolean): ColumnBatch {
    const rows = this.#rows;
    if (rows === 0) throw DOUBT;
    const { layout } = this;
    const batch = new PackedBatch(layout, rows, false);
    for (let index = 0; index < this.#width; index++) {
      const input = layout.inputs[index];
      const place = layout.places[index];
      if (!input || place === undefined) continue;
      const there = given(index);
      if (!there && !input.optional) throw DOUBT;
      const group = groupOf(input.kind);
      if (group === 'text') {
        const texts = batch.texts[place];
        if (there && texts) this.#copyTexts(texts, place);
      } else if (group === 'date') {
        const dates = batch.dates[place];
        if (dates) this.#copyNumbers(dates, 0, index, there);
      } else this.#copyNumbers(batch.numbers, place * rows, index, there);
    }
    // What people wrote is not kept longer than their request.
    this.#texts.length = 0;
    return batch;
  }

  #copyNumbers(target: Float32Array | Float64Array, start: number, index: number, there: boolean): void {
    const rows = this.#rows;
    if (!there) {
      target.fill(Number.NaN, start, start + rows);
      return;
    }
    const source = this.#numbers;
    const width = this.#width;
    for (let row = 0, cell = index; row < rows; row++, cell += width) target[start + row] = source[cell] ?? 0;
  }

  #copyTexts(target: string[], place: number): void {
    const { texts } = this.layout;
    for (let row = 0; row < this.#rows; row++) target[row] = this.#texts[row * texts + place] ?? '';
  }
}

function fits(kind: number | undefined, value: number): boolean {
  if (kind === KINDS.boolean) return value === 0 || value === 1;
  return kind === KINDS.datetime && isEpochSeconds(value);
}
