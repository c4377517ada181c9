import { badRequest } from '../request-error.ts';
import { BinaryTensors } from './binary-tensors.ts';
import { describe } from './column-buffer.ts';
import { isWhole64, METADATA_DATATYPES, NUMBER_SIZES, numberAt, wholeAt } from './datatypes.ts';
import type { BatchBuilder, InputSchema } from './input-schema.ts';
import { asObject, isObject, type JsonObject } from './json.ts';
import type { RequestRows } from './key-columns.ts';
import { groupOf } from './request-batch.ts';
import { type RequestedOutput, requestedOutputs } from './requested-outputs.ts';
import { unwrapped } from './rows.ts';

/** A request of the Open Inference Protocol, read. */
export interface TensorRequest {
  readonly batch: RequestRows;
  /** Sent back in the answer. */
  readonly id: string | undefined;
  /** What the answer must have, in this order. */
  readonly outputs: readonly RequestedOutput[];
}

/** A tensor whose name and datatype are right, and the inputs that it feeds. */
interface PlannedTensor {
  readonly name: string;
  readonly tensor: JsonObject;
  readonly datatype: string;
  /** Inputs, column by column of the tensor. */
  readonly columns: readonly number[];
}

/**
 * Reads an inference request of the Open Inference Protocol (V2): one tensor for each column, of the shape `[n]` or
 * `[n, 1]`, its data flat or nested; or, where all inputs of the model are numbers, one tensor of the shape
 * `[n, inputs]` under a name of the client's own, with the columns in the model's order. `null` among the data is a
 * missing value, and `NaN` in a binary tensor.
 *
 * @param outputNames what the model can give
 * @param bytes what stands behind the JSON of a request with binary tensors
 * @throws RequestError 400, 413
 * @see https://github.com/kserve/open-inference-protocol
 * @see https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
 */
export function readTensors(
  schema: InputSchema,
  outputNames: readonly string[],
  body: unknown,
  bytes?: Buffer,
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
  const planned = plan(schema, tensors);
  const outputs = requestedOutputs(object.outputs, object.parameters, outputNames);
  const [first] = planned;
  const rows = first ? rowsOf(first) : 0;
  const batch = schema.batch(rows);
  const binary = bytes && new BinaryTensors(bytes);
  for (const next of planned) {
    const { name, columns, datatype } = next;
    for (const index of columns) checkDatatype(schema, index, name, datatype);
    const own = next === first ? rows : rowsOf(next);
    if (own !== rows)
      throw badRequest(
        `the tensor "${name}" has ${own} rows, "${first?.name}" has ${rows}; send as many rows in each`,
      );
    batch.datatype = datatype;
    if (Object.hasOwn(parametersOf(next.tensor), 'binary_data_size')) writeBinary(batch, next, binary);
    else writeData(batch, next);
  }
  binary?.end();
  return { batch: batch.finish(), id, outputs };
}

/** Which inputs each tensor feeds. */
function plan(schema: InputSchema, tensors: readonly JsonObject[]): PlannedTensor[] {
  const [sole] = tensors;
  if (sole && tensors.length === 1 && isMatrix(schema, sole.name, sole.shape)) {
    const width = Array.isArray(sole.shape) ? Number(sole.shape[1]) : 0;
    if (width !== schema.inputs.length)
      throw badRequest(
        `the tensor has ${width} columns, the model has ${schema.inputs.length} inputs; send one for each, in the model's order`,
      );
    // The name is the client's own, and so not repeated: it may hold anything.
    return [planned('input', sole, [...schema.inputs.keys()])];
  }
  const indices = schema.indicesOf(tensors.map((tensor) => tensor.name));
  return tensors.map((tensor, position) => planned(String(tensor.name), tensor, [indices[position] ?? 0]));
}

function planned(name: string, tensor: JsonObject, columns: readonly number[]): PlannedTensor {
  const { datatype } = tensor;
  return { name, tensor, datatype: typeof datatype === 'string' ? datatype : '', columns };
}

/**
 * Whether a request's only tensor holds all columns, as clients of scikit-learn and XGBoost servers send it: no input
 * has its name, and its shape cannot be that of a lone column.
 */
export function isMatrix(schema: InputSchema, name: unknown, shape: unknown): boolean {
  if (typeof name !== 'string' || schema.find(name) !== undefined) return false;
  if (!Array.isArray(shape) || shape.length !== 2) return false;
  const width: unknown = shape[1];
  if (typeof width !== 'number' || !(width > 1 || width === schema.inputs.length)) return false;
  return schema.inputs.every(({ kind }) => groupOf(kind) === 'number');
}

/** The number of rows by the tensor's shape. */
function rowsOf({ name, tensor, columns }: PlannedTensor): number {
  const { shape } = tensor;
  const problem = `the tensor "${name}": shape must be [n] or [n, 1]`;
  if (!Array.isArray(shape)) throw badRequest(`${problem}, got ${describe(shape)}`);
  const [rows, width = 1, ...rest]: unknown[] = shape;
  if (
    typeof rows !== 'number' ||
    !Number.isSafeInteger(rows) ||
    rows < 0 ||
    width !== columns.length ||
    rest.length > 0
  )
    throw badRequest(`${problem}; send every column as a tensor of its own`);
  return rows;
}

function parametersOf({ parameters }: JsonObject): JsonObject {
  return isObject(parameters) ? parameters : {};
}

function writeBinary(batch: BatchBuilder, planned: PlannedTensor, binary: BinaryTensors | undefined): void {
  const { name, tensor, datatype, columns } = planned;
  if (!binary)
    throw badRequest(
      `the tensor "${name}" is binary; send the header Inference-Header-Content-Length with the length of the JSON`,
    );
  if (tensor.data !== undefined)
    throw badRequest(`the tensor "${name}" has both data and binary_data_size; send one of them`);
  const size = parametersOf(tensor).binary_data_size;
  const width = NUMBER_SIZES[datatype];
  if (width === undefined) {
    const texts = binary.texts(name, batch.rows, size);
    for (const [row, text] of texts.entries()) batch.write(columns[0] ?? 0, row, text);
    return;
  }
  let at = binary.numbers(name, datatype, batch.rows * columns.length, size);
  const whole = columns.length === 1 && isWhole64(datatype) && batch.takesWhole(columns[0] ?? 0);
  for (let row = 0; row < batch.rows; row++)
    for (const index of columns) {
      const value = (whole ? wholeAt : numberAt)(binary.view, at, datatype);
      batch.write(index, row, Number.isNaN(value) ? null : value);
      at += width;
    }
}

function writeData(batch: BatchBuilder, planned: PlannedTensor): void {
  const { name, tensor, columns } = planned;
  const { data } = tensor;
  const { rows } = batch;
  if (!Array.isArray(data)) {
    if (Object.hasOwn(parametersOf(tensor), 'shared_memory_region'))
      throw badRequest(`the tensor "${name}": shared memory is not supported; send its data`);
    throw badRequest(`the tensor "${name}": data must be a list, got ${describe(data)}`);
  }
  const width = columns.length;
  // Flat, or a list for each row.
  const nested = width > 1 && Array.isArray(data[0]);
  const expected = nested ? rows : rows * width;
  if (data.length !== expected)
    throw badRequest(
      `the tensor "${name}": its shape says ${expected} ${nested ? 'rows' : 'values'}, its data have ${data.length}`,
    );
  for (let row = 0; row < rows; row++) {
    const own: unknown = nested ? data[row] : undefined;
    if (nested && !(Array.isArray(own) && own.length === width))
      throw badRequest(`the tensor "${name}", row ${row}: expected a list of ${width} values`);
    for (let position = 0; position < width; position++) {
      const value: unknown = Array.isArray(own) ? own[position] : data[row * width + position];
      batch.write(columns[position] ?? 0, row, width === 1 ? unwrapped(value) : value);
    }
  }
}

function checkDatatype(schema: InputSchema, index: number, name: string, datatype: string): void {
  const accepted = schema.datatypes[index] ?? [];
  if (accepted.includes(datatype)) return;
  const kind = schema.inputs[index]?.kind;
  if (kind === undefined)
    throw badRequest(
      `the tensor "${name}": datatype must be ${accepted.join(', ')} for a key; BYTES is the usual one`,
    );
  throw badRequest(
    `the tensor "${name}": datatype must be ${accepted.join(', ')} for a ${kind} column; ${METADATA_DATATYPES[kind]} is the usual one`,
  );
}
