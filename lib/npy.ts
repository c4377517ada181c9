import { type FileHandle, open } from 'node:fs/promises';
import { endianness } from 'node:os';
import { PerennialError } from '../contracts/errors.ts';

/** The number types that trainers exchange. */
export type NpyData = Float32Array | Int32Array | Float64Array;
export type NpyDtype = 'float32' | 'int32' | 'float64';

/** A dense array as NumPy stores it: `data` in C order, as many elements as `shape` multiplied. */
export interface NpyArray {
  dtype: NpyDtype;
  shape: number[];
  data: NpyData;
}

const MAGIC = Buffer.from('\x93NUMPY', 'latin1');
const DTYPES = ['float32', 'int32', 'float64'] as const satisfies readonly NpyDtype[];
const DESCRIPTIONS = { float32: '<f4', int32: '<i4', float64: '<f8' } as const satisfies Record<
  NpyDtype,
  string
>;
/** Bytes of an element. */
export const NPY_WIDTHS = { float32: 4, int32: 4, float64: 8 } as const satisfies Record<NpyDtype, number>;
/** NumPy pads the header to this, so that the data can be mapped into memory aligned. */
const ALIGNMENT = 64;
const MAX_HEADER_BYTES = 64 * 1024 + 12;
const MAX_READ_BYTES = 1 << 30;

/**
 * Writes a `.npy` file, version 1.0, C order, little-endian.
 *
 * @param shape for example `[rows, columns]`; its product is the length of `data`
 * @throws PerennialError `TrainerContract` where shape and data disagree
 * @example
 * await writeNpy('features.npy', new Float32Array([1, 2, 3, 4, 5, 6]), [2, 3]);
 */
export async function writeNpy(path: string, data: NpyData, shape: readonly number[]): Promise<void> {
  const elements = product(shape);
  if (elements !== data.length) {
    throw invalid(path, `shape [${shape.join(', ')}] needs ${elements} elements, there are ${data.length}`);
  }
  const native = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const bytes = endianness() === 'LE' ? native : reverseEach(native.slice(), data.BYTES_PER_ELEMENT);
  const file = await open(path, 'w');
  try {
    await file.writeFile(npyHeader(dtypeOf(data), shape));
    await file.writeFile(bytes);
  } finally {
    await file.close();
  }
}

/**
 * Reads a `.npy` file of float32, int32 or float64 in C order.
 *
 * @throws PerennialError `TrainerContract` where the file is something else or cut short
 * @example
 * const { shape: [rows, columns], data } = await readNpy('features.npy');
 */
export async function readNpy(path: string): Promise<NpyArray> {
  const file = await open(path, 'r');
  try {
    const { dtype, shape, offset } = await readNpyHeader(path, file);
    const Type = { float32: Float32Array, int32: Int32Array, float64: Float64Array }[dtype];
    const size = product(shape) * Type.BYTES_PER_ELEMENT;
    const present = (await file.stat()).size - offset;
    if (!Number.isSafeInteger(size) || present < size) {
      throw invalid(path, `its data are cut short: ${present} of ${size} bytes`);
    }
    const data = new Type(product(shape));
    const bytes = new Uint8Array(data.buffer);
    if ((await readFully(file, bytes, offset)) < size) throw invalid(path, 'its data are cut short');
    if (endianness() === 'BE') reverseEach(bytes, Type.BYTES_PER_ELEMENT);
    return { dtype, shape, data };
  } finally {
    await file.close();
  }
}

/**
 * What stands before the data of a `.npy` file.
 *
 * @returns `offset`: where the data begin, in bytes
 * @throws PerennialError as {@link readNpy}
 */
export async function readNpyHeader(
  path: string,
  file: FileHandle,
): Promise<Pick<NpyArray, 'dtype' | 'shape'> & { offset: number }> {
  const start = Buffer.alloc(MAX_HEADER_BYTES);
  return parseHeader(path, start.subarray(0, await readFully(file, start, 0)));
}

/** Large reads come in parts; fills `target` as far as the file goes. */
async function readFully(file: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const length = Math.min(target.length - done, MAX_READ_BYTES);
    const { bytesRead } = await file.read(target, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** The bytes before the data of a `.npy` file, version 1.0, C order. */
export function npyHeader(dtype: NpyDtype, shape: readonly number[]): Buffer {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const text = `{'descr': '${DESCRIPTIONS[dtype]}', 'fortran_order': False, 'shape': ${tuple}, }`;
  const unpadded = MAGIC.length + 4 + text.length + 1;
  const padded = `${text}${' '.repeat((ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT)}\n`;
  const fixed = Buffer.from([...MAGIC, 1, 0, 0, 0]);
  fixed.writeUInt16LE(padded.length, 8);
  return Buffer.concat([fixed, Buffer.from(padded, 'latin1')]);
}

function parseHeader(path: string, head: Buffer): Pick<NpyArray, 'dtype' | 'shape'> & { offset: number } {
  if (head.length < 12 || !head.subarray(0, 6).equals(MAGIC)) throw invalid(path, 'it does not start as one');
  const version = head[6] ?? 0;
  if (version < 1 || version > 3) throw invalid(path, `format version ${version} is unknown`);
  const lengthBytes = version === 1 ? 2 : 4;
  const offset = 8 + lengthBytes + head.readUIntLE(8, lengthBytes);
  if (offset > head.length) throw invalid(path, 'its header is cut short');
  const text = head.toString('latin1', 8 + lengthBytes, offset);
  const description = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const dims = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (order === undefined || dims === undefined) throw invalid(path, 'its header cannot be understood');
  const dtype = DTYPES.find((name) => DESCRIPTIONS[name] === description);
  if (dtype === undefined) {
    const found = description === undefined ? 'it holds records' : `its type is ${description}`;
    throw invalid(path, `${found}; float32, int32 and float64 are supported (little-endian)`);
  }
  if (order === 'True') throw invalid(path, 'it is in Fortran order; write it with numpy.ascontiguousarray');
  const shape = [...dims.matchAll(/\d+/g)].map(([digits]) => Number(digits));
  return { dtype, shape, offset };
}

function dtypeOf(data: NpyData): NpyDtype {
  if (data instanceof Float32Array) return 'float32';
  return data instanceof Int32Array ? 'int32' : 'float64';
}

function product(shape: readonly number[]): number {
  return shape.reduce((result, dim) => result * dim, 1);
}

/** Between little-endian and big-endian, in place. */
function reverseEach(bytes: Uint8Array, width: number): Uint8Array {
  for (let at = 0; at < bytes.length; at += width) bytes.subarray(at, at + width).reverse();
  return bytes;
}

function invalid(path: string, reason: string): PerennialError {
  return new PerennialError('TrainerContract', `${path} is not a usable .npy file: ${reason}.`);
}
