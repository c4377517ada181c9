import { DOUBT } from './doubt.ts';
import { type KeyText, keyOfLiteral, keyOfNumber, keyOfText, keyOfValue } from './entity-key.ts';
import { BYTE } from './json-bytes.ts';
import type { JsonScanner } from './json-scanner.ts';
import type { KeyColumns } from './key-columns.ts';
import type { BatchLayout, RequestBatch } from './request-batch.ts';
import { RowCells } from './row-cells.ts';

/** As {@link RowCells}, for a model whose requests may have the keys of entities besides. */
export class KeyedCells extends RowCells {
  /** [row][place among the kept keys]. */
  readonly #texts: (string | undefined)[] = [];
  #nulls = new Set<number>();
  readonly #inputs: number;

  constructor(
    layout: BatchLayout,
    maxRows: number,
    private readonly keys: KeyColumns,
  ) {
    super(layout, maxRows, keys.places.length);
    this.#inputs = layout.inputs.length;
  }

  override start(): void {
    super.start();
    this.#texts.length = 0;
    this.#nulls = new Set();
  }

  /** A run of numbers would lose what a double does not hold. */
  override isNumeric(index: number): boolean {
    return this.keys.places[index] === -1 && super.isNumeric(index);
  }

  override takesWhole(index: number): boolean {
    return this.keys.places[index] !== -1;
  }

  override read(scanner: JsonScanner, row: number, index: number, slot = index): void {
    const byte = scanner.peek();
    if (byte === BYTE.n) this.#setNull(row, index);
    if (this.keys.places[index] === -1) {
      super.read(scanner, row, index, slot);
      return;
    }
    if (byte === BYTE.minus || (byte >= BYTE.zero && byte <= BYTE.nine)) {
      const literal = scanner.numberText();
      this.#set(row, index, keyOfLiteral(literal, this.datatype));
      if (!this.keys.isExtra(index)) super.setNumber(row, index, Number(literal), slot);
    } else if (!this.keys.isExtra(index)) {
      if (byte !== BYTE.n) throw DOUBT;
      scanner.value();
      this.setMissing(row, index, slot);
    } else if (byte === BYTE.quote) this.#set(row, index, keyOfText(scanner.text()));
    else this.#set(row, index, keyOfValue(scanner.value(), this.datatype));
  }

  override setNumber(row: number, index: number, value: number, slot = index): void {
    if (Number.isNaN(value)) this.#setNull(row, index);
    if (this.keys.places[index] !== -1) this.#set(row, index, keyOfNumber(value, this.datatype));
    if (!this.keys.isExtra(index)) super.setNumber(row, index, value, slot);
  }

  override setWhole(row: number, index: number, value: bigint): void {
    this.#set(row, index, keyOfValue(value));
    if (!this.keys.isExtra(index)) super.setNumber(row, index, Number(value));
  }

  override setText(row: number, index: number, text: string, slot = index): void {
    if (this.keys.isExtra(index)) this.#set(row, index, keyOfText(text));
    else super.setText(row, index, text, slot);
  }

  override setMissing(row: number, index: number, slot = index): void {
    if (this.keys.places[index] !== -1) this.#set(row, index, { key: undefined });
    if (!this.keys.isExtra(index)) super.setMissing(row, index, slot);
  }

  override finish(slots: Int32Array): RequestBatch {
    const batch = super.finish(slots);
    // A column that the request does not have was never set.
    batch.keys = this.keys.keysOf(batch, this.#texts, () => {
      throw DOUBT;
    });
    this.#texts.length = 0;
    batch.nulls = this.#nulls;
    return batch;
  }

  #setNull(row: number, index: number): void {
    // Behind the inputs of a row come those of the next.
    if (!this.keys.isExtra(index)) this.#nulls.add(row * this.#inputs + index);
  }

  #set(row: number, index: number, text: KeyText): void {
    if ('problem' in text) throw DOUBT;
    this.#texts[row * this.keys.kept + (this.keys.places[index] ?? 0)] = text.key;
  }
}
