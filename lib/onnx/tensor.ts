import { create } from '@bufbuild/protobuf';
import { PerennialError } from '../../contracts/errors.ts';
import { type TensorProto, TensorProto_DataType, TensorProtoSchema } from './onnx_pb.ts';

/** The element types that the graphs of this project use, with their ONNX codes. */
export const ELEMENT_TYPES = {
  float: TensorProto_DataType.FLOAT,
  double: TensorProto_DataType.DOUBLE,
  string: TensorProto_DataType.STRING,
  int64: TensorProto_DataType.INT64,
  int32: TensorProto_DataType.INT32,
  bool: TensorProto_DataType.BOOL,
} as const;
export type ElementType = keyof typeof ELEMENT_TYPES;

/**
 * The content of a constant tensor. `dims: []` is a scalar; `data` is in C order and has as many elements as
 * `dims` multiplied. An int64 may be given as `number` where it is a safe integer.
 *
 * @example { type: 'int64', dims: [2], data: [1, -1] }
 */
export type TensorValue =
  | { type: 'float'; dims: readonly number[]; data: ArrayLike<number> }
  | { type: 'double'; dims: readonly number[]; data: ArrayLike<number> }
  | { type: 'int32'; dims: readonly number[]; data: ArrayLike<number> }
  | { type: 'int64'; dims: readonly number[]; data: ArrayLike<number | bigint> }
  | { type: 'string'; dims: readonly number[]; data: ArrayLike<string> }
  | { type: 'bool'; dims: readonly number[]; data: ArrayLike<boolean> };

/**
 * Encodes a constant as an ONNX `TensorProto` (raw little-endian bytes; strings as UTF-8).
 *
 * @throws PerennialError `ModelInvalid` where `data` does not fill `dims`, or an integer is not exact
 */
export function tensorProto(name: string, value: TensorValue): TensorProto {
  const elements = value.dims.reduce((product, dim) => product * dim, 1);
  if (elements !== value.data.length) {
    throw new PerennialError(
      'ModelInvalid',
      `Tensor "${name}" has ${value.data.length} elements, but its shape [${value.dims.join(', ')}] needs ${elements}.`,
    );
  }
  const proto = create(TensorProtoSchema, {
    name,
    dataType: ELEMENT_TYPES[value.type],
    dims: value.dims.map((dim) => BigInt(dim)),
  });
  if (value.type === 'string') proto.stringData = Array.from(value.data, (text) => Buffer.from(text, 'utf8'));
  else proto.rawData = rawBytes(name, value);
  return proto;
}

function rawBytes(name: string, value: Exclude<TensorValue, { type: 'string' }>): Uint8Array {
  const width = { float: 4, double: 8, int32: 4, int64: 8, bool: 1 }[value.type];
  const bytes = new Uint8Array(value.data.length * width);
  const view = new DataView(bytes.buffer);
  for (let index = 0; index < value.data.length; index++) {
    const at = index * width;
    switch (value.type) {
      case 'float':
        view.setFloat32(at, value.data[index] ?? 0, true);
        break;
      case 'double':
        view.setFloat64(at, value.data[index] ?? 0, true);
        break;
      case 'int32':
        view.setInt32(at, value.data[index] ?? 0, true);
        break;
      case 'int64':
        view.setBigInt64(at, exactInteger(name, value.data[index] ?? 0), true);
        break;
      case 'bool':
        view.setUint8(at, value.data[index] ? 1 : 0);
        break;
    }
  }
  return bytes;
}

/** The elements of a float or double constant, however the file holds them; nothing for other types. */
export function numbersOf({
  dataType,
  rawData,
  floatData,
  doubleData,
}: TensorProto): Float64Array | undefined {
  const single = dataType === TensorProto_DataType.FLOAT;
  if (!single && dataType !== TensorProto_DataType.DOUBLE) return undefined;
  if (rawData.length === 0) return Float64Array.from(single ? floatData : doubleData);
  const view = new DataView(rawData.buffer, rawData.byteOffset, rawData.byteLength);
  const width = single ? 4 : 8;
  return Float64Array.from({ length: Math.floor(rawData.length / width) }, (_, index) =>
    single ? view.getFloat32(index * width, true) : view.getFloat64(index * width, true),
  );
}

/** An int64 from a JavaScript number, refused where the number is not a safe integer. */
export function exactInteger(where: string, value: number | bigint): bigint {
  if (typeof value === 'bigint') return value;
  if (!Number.isSafeInteger(value)) {
    throw new PerennialError(
      'ModelInvalid',
      `"${where}" needs whole numbers; ${value} is not a safe integer.`,
    );
  }
  return BigInt(value);
}
