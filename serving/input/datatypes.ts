import type { ModelInput } from '../../contracts/serving.ts';

/** The datatypes of numbers in the Open Inference Protocol, with the bytes that one takes in a binary tensor. */
export const NUMBER_SIZES: Readonly<Record<string, number>> = {
  BOOL: 1,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
};

const FLOATS = ['FP32', 'FP64', 'FP16', 'BF16'];
const INTEGERS = ['INT8', 'INT16', 'INT32', 'INT64', 'UINT8', 'UINT16', 'UINT32', 'UINT64'];

/** Which tensors feed a column. A date in FP32 has lost its minutes before it is sent (steps of 128 s): not taken. */
export const DATATYPES: Record<ModelInput['kind'], readonly string[]> = {
  numeric: [...FLOATS, ...INTEGERS],
  boolean: ['BOOL', ...FLOATS, ...INTEGERS],
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

/** Which tensors tell a column that only says whose features are wanted. `FP64` for frames that hold whole numbers so. */
export const KEY_DATATYPES: readonly string[] = ['BYTES', 'BOOL', ...INTEGERS, 'FP64'];

/** Whether its whole numbers may be larger than a double holds exactly. */
export const isWhole64 = (datatype: string): boolean => datatype === 'INT64' || datatype === 'UINT64';

/** One whole number of such a tensor. */
export function wholeAt(view: DataView, at: number, datatype: string): bigint {
  return datatype === 'INT64' ? view.getBigInt64(at, true) : view.getBigUint64(at, true);
}

/** One number of a binary tensor; all are little-endian. A `BOOL` that is neither 0 nor 1 stays the number it is. */
export function numberAt(view: DataView, at: number, datatype: string): number {
  switch (datatype) {
    case 'FP32':
      return view.getFloat32(at, true);
    case 'FP64':
      return view.getFloat64(at, true);
    case 'FP16':
      return halfFloat(view.getUint16(at, true));
    case 'BF16':
      return brainFloat(view.getUint16(at, true));
    case 'INT8':
      return view.getInt8(at);
    case 'INT16':
      return view.getInt16(at, true);
    case 'INT32':
      return view.getInt32(at, true);
    case 'INT64':
      return Number(view.getBigInt64(at, true));
    case 'UINT16':
      return view.getUint16(at, true);
    case 'UINT32':
      return view.getUint32(at, true);
    case 'UINT64':
      return Number(view.getBigUint64(at, true));
    default:
      return view.getUint8(at);
  }
}

/** IEEE 754 binary16: one bit of sign, five of exponent, ten of fraction. */
function halfFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const shared = new DataView(new ArrayBuffer(4));

/** bfloat16: the upper half of a float32. */
function brainFloat(bits: number): number {
  shared.setUint32(0, bits << 16);
  return shared.getFloat32(0);
}
