import { isTextInput, type ModelInput } from '../../contracts/serving.ts';
import type { InputColumn } from '../../lib/onnx/tabular-session.ts';
import type { RequestKeys, RequestRows } from './key-columns.ts';

/** Where the values of each input stand in a {@link RequestBatch}. Made once for each loaded model. */
export class BatchLayout {
  /** The input's place among the inputs of its own group: numbers, dates or texts. */
  readonly places: readonly number[];
  /** How many inputs are `numeric` or `boolean`. */
  readonly numbers: number;
  readonly dates: number;
  readonly texts: number;

  constructor(readonly inputs: readonly ModelInput[]) {
    const counts = { number: 0, date: 0, text: 0 };
    this.places = inputs.map(({ kind }) => counts[groupOf(kind)]++);
    this.numbers = counts.number;
    this.dates = counts.date;
    this.texts = counts.text;
  }
}

/**
 * A batch whose numeric and boolean columns share one array, as {@link ColumnBatch.numbers} says: the model takes it
 * as one tensor. The views of single columns are made when somebody asks for them.
 */
export class RequestBatch implements RequestRows {
  readonly numbers: Float32Array;
  /** By place. */
  readonly dates: readonly Float64Array[];
  /** By place. */
  readonly texts: readonly string[][];
  keys: RequestKeys | undefined;
  /**
   * Where the request says itself that a value is missing, in a version with feature views: `row * inputs + input`.
   * What it does not speak of is looked up.
   */
  nulls: ReadonlySet<number> | undefined;
  #columns: ReadonlyMap<string, InputColumn> | undefined;

  /** @param missing whether every value starts as a missing one; else the caller writes each of them */
  constructor(
    private readonly layout: BatchLayout,
    readonly rows: number,
    missing: boolean,
  ) {
    this.numbers = new Float32Array(layout.numbers * rows);
    this.dates = Array.from({ length: layout.dates }, () => new Float64Array(rows));
    this.texts = Array.from({ length: layout.texts }, () => new Array<string>(rows).fill(''));
    if (!missing) return;
    this.numbers.fill(Number.NaN);
    for (const dates of this.dates) dates.fill(Number.NaN);
  }

  get columns(): ReadonlyMap<string, InputColumn> {
    this.#columns ??= new Map(this.layout.inputs.map(({ name }, index) => [name, this.column(index)]));
    return this.#columns;
  }

  /** The values of the input at this place of the signature. */
  column(index: number): InputColumn {
    const kind = this.layout.inputs[index]?.kind;
    const place = this.layout.places[index] ?? 0;
    if (kind === undefined) throw new RangeError(`the model has no input number ${index}`);
    const group = groupOf(kind);
    const column =
      group === 'number'
        ? this.numbers.subarray(place * this.rows, (place + 1) * this.rows)
        : (group === 'date' ? this.dates : this.texts)[place];
    return column ?? [];
  }
}

/** What a column's values are stored as. */
export type InputGroup = 'number' | 'date' | 'text';

export function groupOf(kind: ModelInput['kind']): InputGroup {
  if (isTextInput(kind)) return 'text';
  return kind === 'datetime' ? 'date' : 'number';
}
