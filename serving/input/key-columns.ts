import type { ModelInput } from '../../contracts/serving.ts';
import type { ColumnBatch, InputColumn } from '../../lib/onnx/tabular-session.ts';
import { type KeyText, keyOfDate, keyOfFlag, keyOfText } from './entity-key.ts';

/** The entity columns of a request: of each, the key of every row; `undefined` where it has none. */
export type RequestKeys = ReadonlyMap<string, readonly (string | undefined)[]>;

/** Rows for a model as a request has them. */
export interface RequestRows extends ColumnBatch {
  /** Of a version with feature views. Personal. */
  readonly keys?: RequestKeys | undefined;
}

/** One column that says whose features are wanted. */
interface KeyColumn {
  readonly name: string;
  /** Its place among the columns of a request: an input of the model, or behind them. */
  readonly index: number;
  /** Of the model's input, where it is one. */
  readonly kind: ModelInput['kind'] | undefined;
}

/**
 * The columns of a request that say whose features are wanted. Some are inputs of the model, the others stand behind
 * those. Of an input that is a number the key is kept as it was written: the model's 32-bit float may be another
 * number.
 */
export class KeyColumns {
  /** Names of those that are no inputs, in the order of their places. */
  readonly extras: readonly string[];
  /** By place: where the text of the key is kept, or −1 where the model's input tells all of it. */
  readonly places: Int32Array;
  /** How many keys are kept for each row. */
  readonly kept: number;
  readonly #columns: readonly KeyColumn[];

  /** @param names of the entity columns; one may come several times */
  constructor(
    private readonly inputs: readonly ModelInput[],
    names: readonly string[],
  ) {
    const distinct = [...new Set(names)];
    const known = new Map(inputs.map(({ name }, index) => [name, index]));
    this.extras = distinct.filter((name) => !known.has(name));
    this.#columns = distinct.map((name) => {
      const index = known.get(name) ?? inputs.length + this.extras.indexOf(name);
      return { name, index, kind: inputs[index]?.kind };
    });
    this.places = new Int32Array(inputs.length + this.extras.length).fill(-1);
    let kept = 0;
    for (const { index, kind } of this.#columns)
      if (kind === undefined || kind === 'numeric') this.places[index] = kept++;
    this.kept = kept;
  }

  /** Whether the column is no input of the model. */
  isExtra(index: number): boolean {
    return index >= this.inputs.length;
  }

  /**
   * The keys of a request that was read.
   *
   * @param texts kept keys, [row][place]
   * @param refuse throws for a value that is no key
   */
  keysOf(
    batch: { readonly rows: number; column(index: number): InputColumn },
    texts: readonly (string | undefined)[],
    refuse: (index: number, row: number, problem: string) => never,
  ): RequestKeys {
    const { rows } = batch;
    const keys = new Map<string, readonly (string | undefined)[]>();
    for (const { name, index, kind } of this.#columns) {
      const own = new Array<string | undefined>(rows).fill(undefined);
      keys.set(name, own);
      const place = this.places[index] ?? -1;
      if (place >= 0) {
        for (let row = 0; row < rows; row++) own[row] = texts[row * this.kept + place];
        continue;
      }
      const values = batch.column(index);
      for (let row = 0; row < rows; row++) {
        const read = keyOfInput(kind, values[row]);
        if ('problem' in read) refuse(index, row, read.problem);
        else own[row] = read.key;
      }
    }
    return keys;
  }
}

/** The key that a value of the model's input is. */
function keyOfInput(kind: ModelInput['kind'] | undefined, value: string | number | undefined): KeyText {
  if (typeof value === 'string') return keyOfText(value);
  const number = value ?? Number.NaN;
  return kind === 'datetime' ? keyOfDate(number) : keyOfFlag(number);
}
