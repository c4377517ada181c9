import { nearest } from '../../contracts/issues.ts';
import type { ModelInput, ModelSignature } from '../../contracts/serving.ts';
import { badRequest, RequestError } from '../request-error.ts';
import { type ColumnBuffer, columnBuffer } from './column-buffer.ts';
import { DATATYPES, KEY_DATATYPES } from './datatypes.ts';
import { keyOfValue } from './entity-key.ts';
import { KeyColumns } from './key-columns.ts';
import { BatchLayout, RequestBatch } from './request-batch.ts';

/** How much one request may bring. */
export interface InputLimits {
  /** Rows in one request. */
  readonly maxRows: number;
}

/** Ten thousand rows: beyond that, batch scoring is the right tool, and one request would hold up all others. */
export const DEFAULT_INPUT_LIMITS: InputLimits = { maxRows: 10_000 };

/** A name that long is no column's; an error message must not carry a body back. */
const SHOWN_NAME_LENGTH = 60;

/**
 * A model's inputs, prepared for reading requests: the place of each name, and what may be left out.
 * Made once for each loaded model.
 *
 * @example
 * const batch = schema.batch(1);
 * batch.write(schema.indexOf('age', 'the record'), 0, 41);
 * session.run(batch.finish());
 */
export class InputSchema {
  readonly #indices: ReadonlyMap<string, number>;
  readonly #required: readonly number[];
  readonly layout: BatchLayout;
  /** Columns that say whose features are wanted; `undefined` for a model without feature views. */
  readonly keys: KeyColumns | undefined;
  /** The columns that a request may have: the inputs, and behind them the keys that are none. */
  readonly names: readonly string[];
  /** By column: the datatypes of its tensors. */
  readonly datatypes: readonly (readonly string[])[];

  /** @param entities names of the columns that say whose features are wanted */
  constructor(
    readonly inputs: ModelSignature['inputs'],
    readonly limits: InputLimits = DEFAULT_INPUT_LIMITS,
    entities: readonly string[] = [],
  ) {
    this.keys = entities.length > 0 ? new KeyColumns(inputs, entities) : undefined;
    const extras = this.keys?.extras ?? [];
    this.names = [...inputs.map(({ name }) => name), ...extras];
    this.datatypes = [...inputs.map(({ kind }) => DATATYPES[kind]), ...extras.map(() => KEY_DATATYPES)];
    this.#indices = new Map(this.names.map((name, index) => [name, index]));
    this.#required = inputs.flatMap((input, index) => (input.optional ? [] : [index]));
    this.layout = new BatchLayout(inputs);
  }

  /** How many columns a request may have. */
  get width(): number {
    return this.names.length;
  }

  /** The place of a column by its name; `undefined` where a request may have none of that name. */
  find(name: string): number | undefined {
    return this.#indices.get(name);
  }

  /** How many inputs may not be left out. */
  get requiredCount(): number {
    return this.#required.length;
  }

  /** The input at a place in the signature. */
  input(index: number): ModelInput {
    const input = this.inputs[index];
    if (!input) throw new RangeError(`the model has no input number ${index}`);
    return input;
  }

  /**
   * The place of a column by its name.
   *
   * @throws RequestError 400 that names the nearest right word
   */
  indexOf(name: string): number {
    const index = this.#indices.get(name);
    if (index === undefined) throw this.#unknownColumn(name);
    return index;
  }

  /**
   * The places of the inputs that a request's header names.
   *
   * @throws RequestError 400 for an unknown, repeated or absent required column
   */
  indicesOf(names: readonly unknown[]): number[] {
    const indices: number[] = [];
    const given = new Set<number>();
    for (const [position, name] of names.entries()) {
      if (typeof name !== 'string')
        throw badRequest(`column name ${position} (counted from 0) is not a string; name every column`);
      const index = this.indexOf(name);
      if (given.has(index)) throw badRequest(`the column "${name}" is there twice; send each column once`);
      given.add(index);
      indices.push(index);
    }
    for (const index of this.#required)
      if (!given.has(index))
        throw badRequest(`the column "${this.input(index).name}" is absent; the model requires it`);
    return indices;
  }

  /**
   * Starts a batch in which every value is missing.
   *
   * @throws RequestError 400 for no rows, 413 for more than the limit
   */
  batch(rows: number): BatchBuilder {
    if (rows === 0) throw badRequest('the request has no rows; send at least one');
    if (rows > this.limits.maxRows)
      throw new RequestError(
        413,
        `the request has ${rows} rows, more than the ${this.limits.maxRows} that one request may bring; send several requests, or use batch scoring`,
      );
    return this.keys ? new KeyedBuilder(this, rows, this.keys) : new BatchBuilder(this, rows);
  }

  /** A required input that is not among the keys of a record. */
  absentFrom(record: object, row: number): RequestError {
    const index = this.#required.find((candidate) => !Object.hasOwn(record, this.input(candidate).name));
    const name = index === undefined ? '' : this.input(index).name;
    return badRequest(`row ${row}, column "${name}": the value is absent; the model requires it`);
  }

  #unknownColumn(name: string): RequestError {
    const shown = JSON.stringify(
      name.length > SHOWN_NAME_LENGTH ? `${name.slice(0, SHOWN_NAME_LENGTH)}…` : name,
    );
    // The distance of a very long name is costly to compute and tells nothing.
    const hint = name.length <= SHOWN_NAME_LENGTH ? nearest(name, this.names) : undefined;
    const remedy = hint ? `did you mean "${hint}"?` : "leave it out; the model's metadata lists its inputs";
    return badRequest(`the model has no column ${shown}; ${remedy}`);
  }
}

/** The columns of one request, filled value by value. */
export class BatchBuilder {
  readonly #batch: RequestBatch;
  readonly #buffers: readonly ColumnBuffer[];
  /** Of the tensor whose values come. */
  datatype = '';

  constructor(
    protected readonly schema: InputSchema,
    readonly rows: number,
  ) {
    const { layout } = schema;
    this.#batch = new RequestBatch(layout, rows, true);
    this.#buffers = schema.inputs.map((input, index) =>
      columnBuffer(input.kind, this.#batch, layout.places[index] ?? 0),
    );
  }

  /**
   * Puts a JSON value into the column at `index`; `null` is a missing value.
   *
   * @throws RequestError 400 that names row (counted from 0) and column, never the value
   */
  write(index: number, row: number, value: unknown): void {
    if (value === null) {
      if (!this.schema.input(index).optional)
        throw this.refusal(index, row, 'the value is missing (null); the model requires it');
      return;
    }
    const problem = this.#buffers[index]?.write(row, value);
    if (problem !== undefined) throw this.refusal(index, row, problem);
  }

  /** Whether whole numbers of 64 bits are taken as a `bigint`. */
  takesWhole(_index: number): boolean {
    return false;
  }

  /** The batch for the model. */
  finish(): RequestBatch {
    return this.#batch;
  }

  protected refusal(index: number, row: number, problem: string): RequestError {
    return badRequest(`row ${row}, column "${this.schema.names[index]}": ${problem}`);
  }
}

/** As {@link BatchBuilder}, for a model whose requests may have the keys of entities besides. */
class KeyedBuilder extends BatchBuilder {
  /** [row][place among the kept keys]. */
  readonly #texts: (string | undefined)[];
  readonly #nulls = new Set<number>();

  constructor(
    schema: InputSchema,
    rows: number,
    private readonly keys: KeyColumns,
  ) {
    super(schema, rows);
    this.#texts = new Array<string | undefined>(rows * keys.kept).fill(undefined);
  }

  override takesWhole(index: number): boolean {
    return this.keys.places[index] !== -1;
  }

  override write(index: number, row: number, value: unknown): void {
    const place = this.keys.places[index] ?? -1;
    if (!this.keys.isExtra(index)) {
      if (value === null) this.#nulls.add(row * this.schema.inputs.length + index);
      // What is no value of the model's input is refused in its words.
      super.write(index, row, typeof value === 'bigint' ? Number(value) : value);
    }
    if (place < 0) return;
    const read = keyOfValue(value, this.datatype);
    if ('problem' in read) throw this.refusal(index, row, read.problem);
    this.#texts[row * this.keys.kept + place] = read.key;
  }

  override finish(): RequestBatch {
    const batch = super.finish();
    batch.keys = this.keys.keysOf(batch, this.#texts, (index, row, problem) => {
      throw this.refusal(index, row, problem);
    });
    batch.nulls = this.#nulls;
    return batch;
  }
}
