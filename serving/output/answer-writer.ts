import type { ModelOutput } from '../../contracts/serving.ts';
import type { OutputColumn, OutputColumns } from '../../lib/onnx/tabular-session.ts';
import { binaryTensor } from './binary-tensor.ts';

/** What the Open Inference Protocol puts beside the outputs. */
export interface TensorAnswer {
  readonly endpoint: string;
  readonly version: string;
  /** The request's id, sent back. */
  readonly id: string | undefined;
  /** Whether defaults stand in for features that could not be looked up. */
  readonly defaulted?: boolean | undefined;
  /** Outputs to write, in this order. */
  readonly outputs: readonly { readonly name: string; readonly binary: boolean }[];
}

/** A written inference response. */
export interface WrittenTensors {
  readonly body: string | Buffer;
  /** Bytes of JSON before those of binary tensors; `undefined` where all is JSON. */
  readonly jsonLength: number | undefined;
}

/** Labels are few; a model with more distinct texts than this simply pays for quoting them. */
const MAX_QUOTED = 1_000;

/**
 * Writes a model's outputs as JSON text. The parts that never change (names, braces) are quoted once for each model
 * instead of once for each row, which halves the time of an answer.
 *
 * A number that JSON cannot write (NaN, Infinity) becomes `null`.
 */
export class AnswerWriter {
  readonly #recordKeys: readonly string[];
  readonly #quoted = new Map<string, string>();

  constructor(outputs: readonly ModelOutput[]) {
    this.#recordKeys = outputs.map(({ name }, index) => `${index === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  }

  /**
   * The answer of MLflow's scoring server to a data frame: one object for each row.
   *
   * @example {"predictions":[{"label":"yes","probability":0.8879529237747192}]}
   */
  predictions({ rows, columns }: OutputColumns): string {
    let text = '{"predictions":[';
    for (let row = 0; row < rows; row++) {
      if (row > 0) text += ',';
      for (let index = 0; index < columns.length; index++) {
        const column = columns[index];
        if (column) text += this.#recordKeys[index] + this.#value(column, row);
      }
      text += '}';
    }
    return `${text}]}`;
  }

  /**
   * An inference response of the Open Inference Protocol. Binary outputs follow its JSON, in its order.
   *
   * @example {"model_name":"churn","model_version":"3","outputs":[{"name":"label","datatype":"BYTES","shape":[1],"data":["yes"]}]}
   */
  tensors({ rows, columns }: OutputColumns, answer: TensorAnswer): WrittenTensors {
    const binaries: Buffer[] = [];
    let text = `{"model_name":${this.#quote(answer.endpoint)},"model_version":${this.#quote(answer.version)}`;
    if (answer.id !== undefined) text += `,"id":${JSON.stringify(answer.id)}`;
    if (answer.defaulted) text += `,"parameters":{"features":"default"}`;
    text += ',"outputs":[';
    let separator = '';
    for (const { name, binary } of answer.outputs) {
      const column = columns.find((candidate) => candidate.name === name);
      if (!column) continue;
      text += `${separator}{"name":${this.#quote(name)},"datatype":"${datatypeOf(column)}","shape":[${rows}],`;
      separator = ',';
      if (binary) {
        const bytes = binaryTensor(column);
        binaries.push(bytes);
        text += `"parameters":{"binary_data_size":${bytes.length}}}`;
        continue;
      }
      text += '"data":[';
      for (let row = 0; row < rows; row++) text += (row > 0 ? ',' : '') + this.#value(column, row);
      text += ']}';
    }
    text += ']}';
    if (binaries.length === 0) return { body: text, jsonLength: undefined };
    const json = Buffer.from(text);
    return { body: Buffer.concat([json, ...binaries]), jsonLength: json.length };
  }

  #value(column: OutputColumn, row: number): string {
    if (column.kind === 'string') return this.#quote(column.data[row] ?? '');
    const value = column.data[row] ?? Number.NaN;
    return Number.isFinite(value) ? String(value) : 'null';
  }

  #quote(text: string): string {
    const known = this.#quoted.get(text);
    if (known !== undefined) return known;
    const quoted = JSON.stringify(text);
    if (this.#quoted.size < MAX_QUOTED) this.#quoted.set(text, quoted);
    return quoted;
  }
}

function datatypeOf(column: OutputColumn): string {
  if (column.kind === 'string') return 'BYTES';
  return column.data instanceof Float64Array ? 'FP64' : 'FP32';
}
