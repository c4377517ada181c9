import { InferenceSession, Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import type { ModelInput, ModelOutput, ModelSignature } from '../../contracts/serving.ts';

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
   * All `numeric` and `boolean` columns in the order of the signature, one after the other ([column][row]); where it
   * is there, `columns` holds views of it.
   */
  readonly numbers?: Float32Array | undefined;
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

type TensorType = 'float32' | 'float64' | 'string';

const INPUT_TENSORS = {
  numeric: 'float32',
  boolean: 'float32',
  datetime: 'float64',
  categorical: 'string',
  text: 'string',
} as const satisfies Record<ModelInput['kind'], TensorType>;

const OUTPUT_TENSORS: Record<ModelOutput['kind'], readonly string[]> = {
  float: ['float32', 'float64'],
  string: ['string'],
};

/**
 * One ONNX model whose inputs and outputs are columns (tensors of rank 1), with a signature it has been held against.
 *
 * onnxruntime-node ignores inputs it does not know, and a string that reaches a float tensor becomes NaN without
 * a word; therefore names and types are compared at load, and every column's type again at {@link run}.
 * A run occupies the calling thread until it is done.
 *
 * @example
 * const session = await TabularSession.create('model.onnx', signature);
 * const age = new Float32Array([41, Number.NaN]);
 * const { columns } = await session.run({ rows: 2, columns: new Map([['age', age]]) });
 * await session.close();
 */
export class TabularSession {
  #running = 0;
  #closed = false;
  #drained: (() => void) | undefined;

  private constructor(
    readonly signature: ModelSignature,
    private readonly session: InferenceSession,
    private readonly fetches: readonly string[],
  ) {}

  /**
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
    const session = await (typeof model === 'string'
      ? InferenceSession.create(model, sessionOptions)
      : InferenceSession.create(model, sessionOptions)
    ).catch((cause: unknown) => {
      throw new PerennialError(
        'ModelInvalid',
        `the model cannot be loaded: ${cause instanceof Error ? cause.message : String(cause)}; export it again as ONNX`,
        false,
        { cause },
      );
    });
    try {
      checkTensors('input', session.inputMetadata, signature.inputs, (input) => [INPUT_TENSORS[input.kind]]);
      checkTensors(
        'output',
        session.outputMetadata,
        signature.outputs,
        (output) => OUTPUT_TENSORS[output.kind],
      );
    } catch (error) {
      await session.release();
      throw error;
    }
    return new TabularSession(
      signature,
      session,
      signature.outputs.map((output) => output.name),
    );
  }

  /**
   * Predicts.
   *
   * @throws PerennialError `InputInvalid` where a column is absent, has another type or another length;
   *   `ModelInvalid` where the model fails on the batch, gives another number of rows, or is closed
   */
  async run(batch: ColumnBatch): Promise<OutputColumns> {
    if (this.#closed)
      throw new PerennialError('ModelInvalid', 'the model is closed; load it again before running it', true);
    const feeds = this.#feeds(batch);
    this.#running += 1;
    try {
      const results = await this.session.run(feeds, this.fetches).catch((cause: unknown) => {
        // The engine's own words may quote the row: they stay in `cause`, which nobody prints.
        throw new PerennialError(
          'ModelInvalid',
          `the model failed on a batch of ${batch.rows} rows; its inputs have the right types, so export it again`,
          false,
          { cause },
        );
      });
      return {
        rows: batch.rows,
        columns: this.signature.outputs.map((output) =>
          outputColumn(output, results[output.name], batch.rows),
        ),
      };
    } finally {
      this.#running -= 1;
      if (this.#running === 0) this.#drained?.();
    }
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

  /**
   * Compares a batch with the signature: {@link run} does so too, those who join batches need it before.
   *
   * @throws PerennialError `InputInvalid` where a column is absent, has another type or another length
   */
  check(batch: ColumnBatch): void {
    for (const { name, kind } of this.signature.inputs) {
      const column = batch.columns.get(name);
      if (column === undefined) throw badColumn(name, 'is not in the batch');
      if (column.length !== batch.rows)
        throw badColumn(name, `has ${column.length} values, the batch ${batch.rows} rows`);
      const type = INPUT_TENSORS[kind];
      const right =
        type === 'string'
          ? Array.isArray(column)
          : column instanceof (type === 'float32' ? Float32Array : Float64Array);
      if (!right) throw badColumn(name, `is ${kind} and must be a ${COLUMN_CLASSES[type]}`);
    }
  }

  #feeds(batch: ColumnBatch): Record<string, Tensor> {
    this.check(batch);
    const feeds: Record<string, Tensor> = {};
    const dims = [batch.rows];
    for (const { name } of this.signature.inputs) {
      const column = batch.columns.get(name);
      if (column instanceof Float32Array) feeds[name] = new Tensor('float32', column, dims);
      else if (column instanceof Float64Array) feeds[name] = new Tensor('float64', column, dims);
      else if (column !== undefined) feeds[name] = new Tensor('string', column, dims);
    }
    return feeds;
  }
}

const COLUMN_CLASSES = {
  float32: 'Float32Array',
  float64: 'Float64Array',
  string: 'list of strings',
} as const;

function badColumn(name: string, what: string): PerennialError {
  return new PerennialError('InputInvalid', `column "${name}" ${what}`);
}

/** Holds the graph's tensors of one side against the signature: same names, right types, one dimension that varies. */
function checkTensors<T extends { name: string; kind: string }>(
  side: 'input' | 'output',
  graph: readonly InferenceSession.ValueMetadata[],
  expected: readonly T[],
  typesOf: (value: T) => readonly string[],
): void {
  const remedy = 'register the model again with the signature of its graph';
  const found = new Map(graph.map((metadata) => [metadata.name, metadata]));
  const seen = new Set<string>();
  for (const value of expected) {
    // A plain object is keyed by these names inside the engine's client.
    if (value.name === '__proto__' || seen.has(value.name))
      throw invalid(
        `the signature's ${side} "${value.name}" is there twice or has a reserved name; ${remedy}`,
      );
    seen.add(value.name);
    const metadata = found.get(value.name);
    if (!metadata)
      throw invalid(
        `the signature names the ${side} "${value.name}", which the graph does not have; ${remedy}`,
      );
    const types = typesOf(value);
    if (!metadata.isTensor || !types.includes(metadata.type))
      throw invalid(
        `the ${side} "${value.name}" is ${value.kind}, so the graph's tensor must be ${types.join(' or ')}, but it is ${metadata.isTensor ? metadata.type : 'no tensor'}; ${remedy}`,
      );
    if (metadata.shape.length !== 1 || typeof metadata.shape[0] !== 'string')
      throw invalid(
        `the ${side} "${value.name}" must have the shape [batch], but the graph says [${metadata.shape.join(', ')}]; compose the graph so that inputs and outputs are columns`,
      );
  }
  for (const name of found.keys())
    if (!seen.has(name))
      throw invalid(`the graph has the ${side} "${name}", which the signature does not name; ${remedy}`);
}

function outputColumn(output: ModelOutput, tensor: Tensor | undefined, rows: number): OutputColumn {
  const { name, kind } = output;
  const data = tensor?.data;
  if (data === undefined || data.length !== rows)
    throw invalid(
      `the output "${name}" has ${data?.length ?? 0} values for ${rows} rows; compose the graph again`,
    );
  if (kind === 'float' && (data instanceof Float32Array || data instanceof Float64Array))
    return { name, kind, data };
  if (kind === 'string' && isStrings(data)) return { name, kind, data };
  throw invalid(`the output "${name}" is not ${kind}; compose the graph again`);
}

/** ONNX Runtime types a tensor as a whole: the first value speaks for all. */
function isStrings(data: Tensor['data']): data is string[] {
  return Array.isArray(data) && (data.length === 0 || typeof data[0] === 'string');
}

function invalid(message: string): PerennialError {
  return new PerennialError('ModelInvalid', message);
}
