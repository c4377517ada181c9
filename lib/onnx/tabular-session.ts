import { readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import {
  isNumberInput,
  type ModelInput,
  type ModelOutput,
  type ModelSignature,
} from '../../contracts/serving.ts';
import { type EngineResults, type EngineSession, openEngineSession } from './engine-session.ts';
import { requireLoadable } from './loadable.ts';
import { type CodedOutput, type ServingCall, servingGraph } from './serving-graph.ts';
import { checkSession, INPUT_TENSORS } from './signature-check.ts';

/**
 * The values of one input, row after row: `numeric` and `boolean` as `Float32Array` (missing is `NaN`),
 * `datetime` as `Float64Array` of epoch seconds in UTC (missing is `NaN`), `categorical` as strings (missing is `''`).
 */
export type InputColumn = Float32Array | Float64Array | readonly string[];

/** Rows for a model, column by column; each column has `rows` values. */
export interface ColumnBatch {
  readonly rows: number;
  /** By the input's name; all inputs of the signature must be there. */
  readonly columns: ReadonlyMap<string, InputColumn>;
  /**
   * All numeric and boolean columns of the signature in its order, one after the other: `columns × rows` values, of
   * which `columns` then holds views. Saves the copy into such a block; may be left out. Where it is given, the model
   * gets these values.
   */
  readonly numbers?: Float32Array | undefined;
}

/** A {@link ColumnBatch} that was held against the signature, its numbers in one block: see {@link TabularSession.pack}. */
export interface PackedBatch {
  readonly rows: number;
  /** As {@link ColumnBatch.numbers}. */
  readonly numbers: Float32Array;
  /** The columns that are no numbers. */
  readonly others: ReadonlyMap<string, InputColumn>;
}

/** One output of a model: the values of all rows. */
export type OutputColumn =
  | { readonly name: string; readonly kind: 'float'; readonly data: Float32Array | Float64Array }
  | { readonly name: string; readonly kind: 'string'; readonly data: readonly string[] };

/** A model's answer, its outputs in the order of the signature. */
export interface OutputColumns {
  readonly rows: number;
  readonly columns: readonly OutputColumn[];
}

/**
 * One ONNX model whose inputs and outputs are columns (tensors of rank 1), with a signature it has been held against.
 *
 * onnxruntime-node ignores inputs it does not know, and a string that reaches a float tensor becomes NaN without
 * a word; therefore names and types are compared at load, and every column's type again at {@link run}.
 * A run occupies the calling thread until it is done. What runs is the graph's cheaper equal, see {@link servingGraph}.
 *
 * @example
 * const session = await TabularSession.create('model.onnx', signature);
 * const age = new Float32Array([41, Number.NaN]);
 * const { columns } = await session.run({ rows: 2, columns: new Map([['age', age]]) });
 * await session.close();
 */
export class TabularSession {
  /** How many inputs are numeric or boolean: the columns of {@link ColumnBatch.numbers}. */
  readonly numberColumns: number;
  #running = 0;
  #closed = false;
  #drained: (() => void) | undefined;

  private constructor(
    readonly signature: ModelSignature,
    private readonly session: EngineSession,
    private readonly call: ServingCall,
  ) {
    this.numberColumns = signature.inputs.filter(({ kind }) => isNumberInput(kind)).length;
  }

  /**
   * Nothing but the model's own bytes becomes the model: tensors in other files and operators of other libraries are
   * refused.
   *
   * @param model path of the `.onnx` file, or its bytes
   * @param signature what the model must take and give
   * @param options `threads` for one run, default 1: a server answers many small requests, and threads would only
   *   take turns
   * @throws PerennialError `ModelInvalid` where the file is no loadable model or differs from the signature
   */
  static async create(
    model: string | Uint8Array,
    signature: ModelSignature,
    options: { threads?: number } = {},
  ): Promise<TabularSession> {
    const sessionOptions = {
      intraOpNumThreads: options.threads ?? 1,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // 4 = fatal. Errors are thrown as well; the engine would print them to stderr, values of the row included.
      logSeverityLevel: 4,
    } as const;
    const onnx = typeof model === 'string' ? await readFile(model).catch(unloadable) : model;
    // Each step holds the thread; between them, others have it.
    await setImmediate();
    requireLoadable(onnx);
    await setImmediate();
    const { onnx: served, ...call } = servingGraph(onnx, signature);
    await setImmediate();
    const fetches = signature.outputs.map(({ name }) => call.coded.get(name)?.output ?? name);
    const session = await openEngineSession(served, sessionOptions, fetches).catch(unloadable);
    try {
      checkSession(session, signature, call);
    } catch (error) {
      await session.release();
      throw error;
    }
    return new TabularSession(signature, session, call);
  }

  /**
   * Predicts.
   *
   * @throws PerennialError `InputInvalid` where a column is absent, has another type or another length;
   *   `ModelInvalid` where the model fails on the batch, gives another number of rows, or is closed
   */
  async run(batch: ColumnBatch): Promise<OutputColumns> {
    return this.compute(this.pack(batch));
  }

  /**
   * Compares a batch with the signature, and puts its numbers into one block where they are not yet.
   *
   * @throws PerennialError `InputInvalid` where a column is absent, has another type or another length
   */
  pack(batch: ColumnBatch): PackedBatch {
    const { rows, numbers } = batch;
    const expected = this.numberColumns * rows;
    if (numbers !== undefined && !(numbers instanceof Float32Array && numbers.length === expected))
      throw new PerennialError(
        'InputInvalid',
        `the batch's block of numbers must be a Float32Array of ${expected} values, one column after the other`,
      );
    const others = new Map<string, InputColumn>();
    const block = numbers ?? new Float32Array(expected);
    let start = 0;
    for (const { name, kind } of this.signature.inputs) {
      const isNumber = isNumberInput(kind);
      if (isNumber && numbers !== undefined) continue;
      // Not before it is needed: the views of a batch may be made when they are asked for.
      const column = batch.columns.get(name);
      if (column === undefined) throw badColumn(name, 'is not in the batch');
      if (column.length !== rows)
        throw badColumn(name, `has ${column.length} values, the batch ${rows} rows`);
      if (!isOfKind(column, kind))
        throw badColumn(name, `is ${kind} and must be a ${COLUMN_CLASSES[INPUT_TENSORS[kind]]}`);
      if (isNumber) {
        if (column instanceof Float32Array) block.set(column, start);
        start += rows;
      } else others.set(name, column);
    }
    return { rows, numbers: block, others };
  }

  /**
   * {@link run}, whose answer is there at once where the engine can be called so: a server that answers a row in
   * microseconds has no turn of the event loop to spare. The block of numbers may be used again after the answer.
   *
   * @throws PerennialError `ModelInvalid` as {@link run}, also by a rejected promise
   */
  compute(batch: PackedBatch): OutputColumns | Promise<OutputColumns> {
    if (this.#closed)
      throw new PerennialError('ModelInvalid', 'the model is closed; load it again before running it', true);
    const { rows } = batch;
    let results: EngineResults | Promise<EngineResults>;
    try {
      results = this.session.run(this.#feeds(batch));
    } catch (cause) {
      throw failedRun(rows, cause);
    }
    return results instanceof Promise ? this.#later(results, rows) : this.#outputs(results, rows);
  }

  /** Frees the model once the runs that are under way have ended. Later runs are refused. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#running > 0)
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    await this.session.release();
  }

  async #later(results: Promise<EngineResults>, rows: number): Promise<OutputColumns> {
    this.#running += 1;
    try {
      const answered = await results.catch((cause: unknown) => {
        throw failedRun(rows, cause);
      });
      return this.#outputs(answered, rows);
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#drained?.();
    }
  }

  #outputs(results: EngineResults, rows: number): OutputColumns {
    const { coded } = this.call;
    return {
      rows,
      columns: this.signature.outputs.map((output) => {
        const code = coded.get(output.name);
        return code
          ? { name: output.name, kind: 'string', data: decoded(output.name, code, results, rows) }
          : outputColumn(output, results[output.name]?.data, rows);
      }),
    };
  }

  #feeds({ rows, numbers, others }: PackedBatch): Record<string, Tensor> {
    const feeds: Record<string, Tensor> = {};
    const { packed } = this.call;
    if (packed !== undefined) feeds[packed] = new Tensor('float32', numbers, [numbers.length]);
    if (packed !== undefined && others.size === 0) return feeds;
    const dims = [rows];
    let start = 0;
    for (const { name, kind } of this.signature.inputs) {
      if (isNumberInput(kind)) {
        if (packed === undefined)
          feeds[name] = new Tensor('float32', numbers.subarray(start, start + rows), dims);
        start += rows;
        continue;
      }
      const column = others.get(name);
      if (column instanceof Float64Array) feeds[name] = new Tensor('float64', column, dims);
      else if (column !== undefined) feeds[name] = new Tensor('string', column, dims);
    }
    return feeds;
  }
}

/** The engine takes a wrong one without a word. */
function isOfKind(column: InputColumn, kind: ModelInput['kind']): boolean {
  const type = INPUT_TENSORS[kind];
  if (type === 'string') return Array.isArray(column);
  return column instanceof (type === 'float32' ? Float32Array : Float64Array);
}

const COLUMN_CLASSES = {
  float32: 'Float32Array',
  float64: 'Float64Array',
  string: 'list of strings',
} as const;

function badColumn(name: string, what: string): PerennialError {
  return new PerennialError('InputInvalid', `column "${name}" ${what}`);
}

function unloadable(cause: unknown): never {
  throw new PerennialError(
    'ModelInvalid',
    `the model cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}; export it again as ONNX`,
    false,
    { cause },
  );
}

/** The engine's own words may quote the row: they stay in `cause`, which nobody prints. */
function failedRun(rows: number, cause: unknown): PerennialError {
  return new PerennialError(
    'ModelInvalid',
    `the model failed on a batch of ${rows} rows; its inputs have the right types, so export it again`,
    false,
    { cause },
  );
}

function outputColumn(
  { name, kind }: ModelOutput,
  data: Tensor['data'] | undefined,
  rows: number,
): OutputColumn {
  requireRows(name, data, rows);
  if (kind === 'float' && (data instanceof Float32Array || data instanceof Float64Array))
    return { name, kind, data };
  if (kind === 'string' && data !== undefined && isStrings(data)) return { name, kind, data };
  throw invalid(`the output "${name}" is not ${kind}; compose the graph again`);
}

/** The texts whose places the graph answered. */
function decoded(
  name: string,
  { output, texts }: CodedOutput,
  results: EngineResults,
  rows: number,
): string[] {
  const places = results[output]?.data;
  requireRows(name, places, rows);
  if (!(places instanceof Int32Array))
    throw invalid(`the output "${name}" is not a place in a list; compose the graph again`);
  const data = new Array<string>(rows);
  for (let row = 0; row < rows; row++) {
    const text = texts.at(places[row] ?? texts.length);
    if (text === undefined)
      throw invalid(`the output "${name}" is looked up outside of its list; compose the graph again`);
    data[row] = text;
  }
  return data;
}

function requireRows(name: string, data: Tensor['data'] | undefined, rows: number): void {
  if (data?.length !== rows)
    throw invalid(
      `the output "${name}" has ${data?.length ?? 0} values for ${rows} rows; compose the graph again`,
    );
}

/** ONNX Runtime types a tensor as a whole: the first value speaks for all. */
function isStrings(data: Tensor['data']): data is string[] {
  return Array.isArray(data) && (data.length === 0 || typeof data[0] === 'string');
}

function invalid(message: string): PerennialError {
  return new PerennialError('ModelInvalid', message);
}
