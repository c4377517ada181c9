import { isTextInput, type ModelInput, type ModelSignature } from '../../contracts/serving.ts';
import type { RawRequest } from './candidate-client.ts';

/** A value as rows have it: a date is epoch seconds, or a text. */
export type Cell = string | number | boolean | null;
export type Row = Readonly<Record<string, Cell>>;

/** The values of an output. */
export type TensorData = readonly (number | string | null)[] | Float32Array | Float64Array;

/** How each kind of column is sent; in JSON also a date in words. */
export const DATATYPES: Record<ModelInput['kind'], string> = {
  numeric: 'FP32',
  boolean: 'FP32',
  datetime: 'FP64',
  categorical: 'BYTES',
  text: 'BYTES',
};

/** Rows as a request in JSON. */
export function jsonRequest({ inputs }: Pick<ModelSignature, 'inputs'>, rows: readonly Row[]): RawRequest {
  return {
    body: JSON.stringify({
      inputs: inputs.map(({ name, kind }) => ({
        name,
        shape: [rows.length],
        datatype: DATATYPES[kind],
        data: rows.map((row) => row[name] ?? null),
      })),
    }),
  };
}

/**
 * Rows as a request whose numbers are binary tensors, and which asks for such: what the model sees, and what it says,
 * crosses bit by bit. Texts go as JSON, which has a word for missing ones.
 *
 * @see https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
 */
export function binaryRequest({ inputs }: Pick<ModelSignature, 'inputs'>, rows: readonly Row[]): RawRequest {
  const tensors: Buffer[] = [];
  const json = Buffer.from(
    JSON.stringify({
      parameters: { binary_data_output: true },
      inputs: inputs.map(({ name, kind }) => {
        const head = { name, shape: [rows.length], datatype: DATATYPES[kind] };
        if (isTextInput(kind)) return { ...head, data: rows.map((row) => row[name] ?? null) };
        const numbers = rows.map((row) => Number(row[name] ?? Number.NaN));
        const data = kind === 'datetime' ? Float64Array.from(numbers) : Float32Array.from(numbers);
        tensors.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
        return { ...head, parameters: { binary_data_size: data.byteLength } };
      }),
    }),
  );
  return {
    body: new Uint8Array(Buffer.concat([json, ...tensors])),
    headers: {
      'content-type': 'application/octet-stream',
      'inference-header-content-length': String(json.length),
    },
  };
}

/** The values of a binary tensor; `undefined` where the bytes are none. */
export function readBinary(datatype: string, bytes: Buffer): TensorData | undefined {
  const copy = new Uint8Array(bytes);
  switch (datatype) {
    case 'FP32':
      return copy.length % 4 === 0 ? new Float32Array(copy.buffer) : undefined;
    case 'FP64':
      return copy.length % 8 === 0 ? new Float64Array(copy.buffer) : undefined;
    case 'BYTES':
      return readTexts(bytes);
    default:
      return undefined;
  }
}

function readTexts(bytes: Buffer): string[] | undefined {
  const texts: string[] = [];
  let at = 0;
  while (at + 4 <= bytes.length) {
    const end = at + 4 + bytes.readUInt32LE(at);
    if (end > bytes.length) return undefined;
    texts.push(bytes.toString('utf8', at + 4, end));
    at = end;
  }
  return at === bytes.length ? texts : undefined;
}
