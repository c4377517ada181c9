import {
  isTextInput,
  type ModelInput,
  type ModelOutput,
  type ModelSignature,
} from '../../contracts/serving.ts';
import type {
  ColumnBatch,
  InputColumn,
  OutputColumn,
  OutputColumns,
} from '../../lib/onnx/tabular-session.ts';

/**
 * A batch as it crosses to another process: few large arrays instead of many small ones, since each array costs as
 * much as hundreds of values.
 */
export interface SentBatch {
  readonly rows: number;
  /** All columns that feed a float32, in the signature's order, one after the other. */
  readonly numbers: Float32Array;
  /** All datetime columns likewise. */
  readonly dates: Float64Array;
  /** All text columns likewise. */
  readonly texts: readonly string[];
}

/** Outputs as they cross: the data alone, in the signature's order. */
export type PackedOutputs = readonly OutputColumn['data'][];

type Part = 'numbers' | 'dates' | 'texts';

const partOf = ({ kind }: ModelInput): Part =>
  isTextInput(kind) ? 'texts' : kind === 'datetime' ? 'dates' : 'numbers';

/** @throws TypeError where a column is absent or has another type or length than the signature says */
export function packed(batch: ColumnBatch, { inputs }: ModelSignature): SentBatch {
  const { rows } = batch;
  const count = (part: Part): number => inputs.filter((input) => partOf(input) === part).length;
  const numbers = batch.numbers ?? new Float32Array(count('numbers') * rows);
  const dates = new Float64Array(count('dates') * rows);
  const texts: string[] = [];
  if (numbers.length !== count('numbers') * rows)
    throw new TypeError('the block of numbers does not fit the signature');
  const at = { numbers: 0, dates: 0 };
  for (const input of inputs) {
    const part = partOf(input);
    if (part === 'numbers' && batch.numbers) continue;
    const column = batch.columns.get(input.name);
    if (column?.length !== rows) throw misfit(input.name);
    if (part === 'texts' && isTexts(column)) for (const text of column) texts.push(text);
    else if (part === 'numbers' && column instanceof Float32Array) numbers.set(column, at.numbers);
    else if (part === 'dates' && column instanceof Float64Array) dates.set(column, at.dates);
    else throw misfit(input.name);
    if (part !== 'texts') at[part] += rows;
  }
  return { rows, numbers, dates, texts };
}

/** The batch on the other side; its columns are views. */
export function unpacked(
  { rows, numbers, dates, texts }: SentBatch,
  { inputs }: ModelSignature,
): ColumnBatch {
  const columns = new Map<string, InputColumn>();
  const at = { numbers: 0, dates: 0, texts: 0 };
  for (const input of inputs) {
    const part = partOf(input);
    const from = at[part];
    at[part] += rows;
    if (part === 'texts') columns.set(input.name, texts.slice(from, at[part]));
    else columns.set(input.name, (part === 'dates' ? dates : numbers).subarray(from, at[part]));
  }
  return { rows, columns, numbers };
}

/** What a model gave, without what the other side knows. */
export const packedOutputs = ({ columns }: OutputColumns): PackedOutputs => columns.map(({ data }) => data);

/**
 * The outputs on the other side.
 *
 * @param data whatever the other process sent: it runs a model that nobody vouches for
 * @returns `undefined` where that is not what the signature says
 */
export function unpackedOutputs(
  data: unknown,
  rows: number,
  { outputs }: ModelSignature,
): OutputColumns | undefined {
  if (!Array.isArray(data) || data.length !== outputs.length) return undefined;
  const columns: OutputColumn[] = [];
  for (const [index, output] of outputs.entries()) {
    const column = outputColumn(output, data[index]);
    if (column?.data.length !== rows) return undefined;
    columns.push(column);
  }
  return { rows, columns };
}

function outputColumn({ name, kind }: ModelOutput, data: unknown): OutputColumn | undefined {
  if (kind === 'string') return isTexts(data) ? { name, kind, data } : undefined;
  if (data instanceof Float32Array || data instanceof Float64Array) return { name, kind, data };
  return undefined;
}

const isTexts = (data: unknown): data is readonly string[] =>
  Array.isArray(data) && data.every((text) => typeof text === 'string');

const misfit = (name: string): TypeError => new TypeError(`column "${name}" does not fit the signature`);
