import { isNumberInput, isTextInput, type ModelSignature } from '../contracts/serving.ts';
import type { InputColumn, OutputColumn, OutputColumns, PackedBatch } from '../lib/onnx/tabular-session.ts';

/**
 * Puts batches together, and takes them apart, in memory that is used again: a batch that it makes holds until the next
 * one is made.
 */
export class BatchParts {
  readonly #width: number;
  readonly #others: ModelSignature['inputs'];
  #numbers = new Float32Array(0);

  constructor(inputs: ModelSignature['inputs']) {
    this.#width = inputs.filter(({ kind }) => isNumberInput(kind)).length;
    this.#others = inputs.filter(({ kind }) => !isNumberInput(kind));
  }

  /** The rows of all batches, one after the other. */
  join(batches: readonly PackedBatch[], rows: number): PackedBatch {
    const numbers = this.#block(rows);
    let start = 0;
    for (const batch of batches) {
      for (let column = 0; column < this.#width; column++) {
        const [from, to] = [column * batch.rows, column * rows + start];
        // Views cost more than the few values of a small batch.
        for (let row = 0; row < batch.rows; row++)
          numbers[to + row] = batch.numbers[from + row] ?? Number.NaN;
      }
      start += batch.rows;
    }
    const others = new Map<string, InputColumn>();
    for (const { name, kind } of this.#others) {
      const parts = batches.map((batch) => batch.others.get(name));
      others.set(name, isTextInput(kind) ? joinedTexts(parts) : joinedDates(parts, rows));
    }
    return { rows, numbers, others };
  }

  /** Some of a batch's rows. */
  cut(batch: PackedBatch, start: number, end: number): PackedBatch {
    const rows = end - start;
    const numbers = this.#block(rows);
    for (let column = 0; column < this.#width; column++) {
      const from = column * batch.rows;
      numbers.set(batch.numbers.subarray(from + start, from + end), column * rows);
    }
    const others = new Map<string, InputColumn>();
    for (const [name, column] of batch.others)
      others.set(
        name,
        column instanceof Float64Array ? column.subarray(start, end) : column.slice(start, end),
      );
    return { rows, numbers, others };
  }

  #block(rows: number): Float32Array {
    const length = this.#width * rows;
    if (this.#numbers.length < length) this.#numbers = new Float32Array(length);
    return this.#numbers.subarray(0, length);
  }
}

function joinedTexts(parts: readonly (InputColumn | undefined)[]): string[] {
  const texts: string[] = [];
  for (const part of parts) if (Array.isArray(part)) for (const text of part) texts.push(String(text));
  return texts;
}

function joinedDates(parts: readonly (InputColumn | undefined)[], rows: number): Float64Array {
  const dates = new Float64Array(rows);
  let start = 0;
  for (const part of parts) {
    if (!(part instanceof Float64Array)) continue;
    dates.set(part, start);
    start += part.length;
  }
  return dates;
}

/** Some rows of an answer. */
export function rowsOf(outputs: OutputColumns, start: number, end: number): OutputColumns {
  return {
    rows: end - start,
    columns: outputs.columns.map((column): OutputColumn => {
      const { name } = column;
      if (column.kind === 'string') return { name, kind: 'string', data: column.data.slice(start, end) };
      return { name, kind: 'float', data: column.data.subarray(start, end) };
    }),
  };
}

/** The answers to the pieces of a batch, one after the other. */
export function joinedOutputs(parts: readonly OutputColumns[], rows: number): OutputColumns {
  const [first] = parts;
  const columns = (first?.columns ?? []).map((model, place): OutputColumn => {
    const { name } = model;
    const data = parts.map(({ columns: own }) => own[place]?.data ?? []);
    if (model.kind === 'string')
      return { name, kind: 'string', data: data.flatMap((part) => Array.from(part, String)) };
    const joined = model.data instanceof Float64Array ? new Float64Array(rows) : new Float32Array(rows);
    let start = 0;
    for (const part of data) {
      if (part instanceof Float32Array || part instanceof Float64Array) joined.set(part, start);
      start += part.length;
    }
    return { name, kind: 'float', data: joined };
  });
  return { rows, columns };
}
