import { nearest } from '../../contracts/issues.ts';
import type { ModelInput, ModelSignature } from '../../contracts/serving.ts';
import type { ColumnBatch } from '../../lib/onnx/tabular-session.ts';
import { badRequest, RequestError } from '../request-error.ts';
import { type ColumnBuffer, columnBuffer } from './column-buffer.ts';
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

  constructor(
    readonly inputs: ModelSignature['inputs'],
    readonly limits: InputLimits = DEFAULT_INPUT_LIMITS,
  ) {
    this.#indices = new Map(inputs.map((input, index) => [input.name, index]));
    this.#required = inputs.flatMap((input, index) => (input.optional ? [] : [index]));
    this.layout = new BatchLayout(inputs);
  }

  /** The place of an input by its name; `undefined` where the model has none of that name. */
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
   * The place of an input by its name.
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
    return new BatchBuilder(this, rows);
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
    const hint =
      name.length <= SHOWN_NAME_LENGTH
        ? nearest(
            name,
            this.inputs.map((input) => input.name),
          )
        : undefined;
    const remedy = hint ? `did you mean "${hint}"?` : "leave it out; the model's metadata lists its inputs";
    return badRequest(`the model has no column ${shown}; ${remedy}`);
  }
}

/** The columns of one request, filled value by value. */
export class BatchBuilder {
  readonly #batch: RequestBatch;
  readonly #buffers: readonly ColumnBuffer[];

  constructor(
    private readonly schema: InputSchema,
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
        throw this.#refusal(index, row, 'the value is missing (null); the model requires it');
      return;
    }
    const problem = this.#buffers[index]?.write(row, value);
    if (problem !== undefined) throw this.#refusal(index, row, problem);
  }

  /** The batch for the model. */
  finish(): ColumnBatch {
    return this.#batch;
  }

  #refusal(index: number, row: number, problem: string): RequestError {
    return badRequest(`row ${row}, column "${this.schema.input(index).name}": ${problem}`);
  }
}
