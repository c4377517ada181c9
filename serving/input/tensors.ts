import type { ModelInput } from '../../contracts/serving.ts';
import type { ColumnBatch } from '../../lib/onnx/tabular-session.ts';
import { badRequest } from '../request-error.ts';
import { describe } from './column-buffer.ts';
import type { InputSchema } from './input-schema.ts';
import { asObject, isObject, type JsonObject } from './json.ts';
import { unwrapped } from './rows.ts';

/** A request of the Open Inference Protocol, read. */
export interface TensorRequest {
  readonly batch: ColumnBatch;
  /** Sent back in the answer. */
  readonly id: string | undefined;
  /** Names of the outputs that the client wants; `undefined` is all. */
  readonly outputs: readonly string[] | undefined;
}

const INTEGERS = ['INT8', 'INT16', 'INT32', 'INT64', 'UINT8', 'UINT16', 'UINT32', 'UINT64'];

/** Which tensors feed a column. A date in FP32 has lost its minutes before it is sent (steps of 128 s): not taken. */
const DATATYPES: Record<ModelInput['kind'], readonly string[]> = {
  numeric: ['FP32', 'FP64', 'FP16', ...INTEGERS],
  boolean: ['BOOL', 'FP32', 'FP64', 'FP16', ...INTEGERS],
  datetime: ['FP64', 'INT64', 'INT32', 'UINT64', 'UINT32', 'BYTES'],
  categorical: ['BYTES'],
  text: ['BYTES'],
};

/** The datatype under which the server describes a column. */
export const METADATA_DATATYPES = {
  numeric: 'FP32',
  boolean: 'BOOL',
  datetime: 'FP64',
  categorical: 'BYTES',
  text: 'BYTES',
} as const satisfies Record<ModelInput['kind'], string>;

/**
 * Reads an inference request of the Open Inference Protocol (V2, JSON): one tensor for each column, of the shape
 * `[n]` or `[n, 1]`, its data flat or nested. `null` among the data is a missing value.
 *
 * @param outputNames what the model can give
 * @throws RequestError 400, 413
 * @see https://github.com/kserve/open-inference-protocol
 */
export function readTensors(
  schema: InputSchema,
  outputNames: readonly string[],
  body: unknown,
): TensorRequest {
  const object = asObject(body);
  const { id, inputs } = object;
  if (id !== undefined && typeof id !== 'string')
    throw badRequest(`id must be a string, got ${describe(id)}`);
  if (!Array.isArray(inputs))
    throw badRequest(
      inputs === undefined
        ? 'the body has no inputs; send {"inputs": [{"name", "shape", "datatype", "data"}, …]}'
        : `inputs must be a list of tensors, got ${describe(inputs)}`,
    );
  const tensors = inputs.map((tensor: unknown, position) => {
    if (!isObject(tensor)) throw badRequest(`inputs[${position}] must be an object, got ${describe(tensor)}`);
    return tensor;
  });
  const indices = schema.indicesOf(tensors.map((tensor) => tensor.name));
  const outputs = requestedOutputs(object.outputs, outputNames);
  const rows = tensors[0] === undefined ? 0 : rowsOf(tensors[0]);
  const batch = schema.batch(rows);
  for (const [position, tensor] of tensors.entries()) {
    const index = indices[position];
    if (index === undefined) continue;
    checkDatatype(schema.input(index), tensor.datatype);
    const own = position === 0 ? rows : rowsOf(tensor);
    if (own !== rows)
      throw badRequest(
        `the tensor ${named(tensor)} has ${own} rows, ${named(tensors[0] ?? {})} has ${rows}; send as many rows in each`,
      );
    const data = dataOf(tensor, rows);
    for (let row = 0; row < rows; row++) batch.write(index, row, unwrapped(data[row]));
  }
  return { batch: batch.finish(), id, outputs };
}

/** The number of rows by the tensor's shape. */
function rowsOf(tensor: JsonObject): number {
  const { shape } = tensor;
  const problem = `the tensor ${named(tensor)}: shape must be [n] or [n, 1]`;
  if (!Array.isArray(shape)) throw badRequest(`${problem}, got ${describe(shape)}`);
  const [rows, width = 1, ...rest]: unknown[] = shape;
  if (typeof rows !== 'number' || !Number.isSafeInteger(rows) || rows < 0 || width !== 1 || rest.length > 0)
    throw badRequest(`${problem}; send every column as a tensor of its own`);
  return rows;
}

function dataOf(tensor: JsonObject, rows: number): readonly unknown[] {
  const { data, parameters } = tensor;
  if (!Array.isArray(data)) {
    if (isObject(parameters) && Object.hasOwn(parameters, 'binary_data_size'))
      throw badRequest(`the tensor ${named(tensor)}: binary data are not supported; send its data as JSON`);
    throw badRequest(`the tensor ${named(tensor)}: data must be a list, got ${describe(data)}`);
  }
  if (data.length !== rows)
    throw badRequest(
      `the tensor ${named(tensor)}: its shape says ${rows} values, its data have ${data.length}`,
    );
  return data;
}

function checkDatatype({ name, kind }: ModelInput, datatype: unknown): void {
  const accepted = DATATYPES[kind];
  if (typeof datatype === 'string' && accepted.includes(datatype)) return;
  throw badRequest(
    `the tensor "${name}": datatype must be ${accepted.join(', ')} for a ${kind} column; ${METADATA_DATATYPES[kind]} is the usual one`,
  );
}

function requestedOutputs(outputs: unknown, known: readonly string[]): string[] | undefined {
  if (outputs === undefined) return undefined;
  if (!Array.isArray(outputs))
    throw badRequest(`outputs must be a list of objects with a name, got ${describe(outputs)}`);
  const names = outputs.map((output: unknown, position) => {
    const name = isObject(output) ? output.name : undefined;
    if (typeof name !== 'string' || !known.includes(name))
      throw badRequest(`outputs[${position}]: the model has no such output; it has ${known.join(', ')}`);
    return name;
  });
  if (new Set(names).size !== names.length)
    throw badRequest('outputs names an output twice; ask for each once');
  // As in the protocol, an empty list asks for no output in particular, and so for all.
  return names.length === 0 ? undefined : names;
}

/** Called only after the name was found in the signature. */
function named(tensor: JsonObject): string {
  return `"${String(tensor.name)}"`;
}
