import { isUtf8 } from 'node:buffer';
import { badRequest } from '../request-error.ts';
import { NUMBER_SIZES } from './datatypes.ts';

/** Bytes before each element of a BYTES tensor that tell its length. */
const LENGTH_BYTES = 4;

/**
 * The bytes behind the JSON of a request, taken tensor by tensor in the order of the JSON.
 *
 * @see https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
 */
export class BinaryTensors {
  #at = 0;
  readonly view: DataView;

  constructor(private readonly bytes: Buffer) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /**
   * Where the numbers of the next tensor begin in {@link view}.
   *
   * @param count values by the shape
   * @param size the tensor's `binary_data_size`
   * @throws RequestError 400 that names the tensor
   */
  numbers(name: string, datatype: string, count: number, size: unknown): number {
    const width = NUMBER_SIZES[datatype] ?? 0;
    const { start, length } = this.#next(name, size);
    if (length !== count * width)
      throw badRequest(
        `the tensor "${name}": its shape says ${count} values of ${width} bytes, binary_data_size is ${length}`,
      );
    return start;
  }

  /** A copy of numbers of the datatype `FP32`; as they lie there they need not be aligned. */
  floats(start: number, count: number): Float32Array {
    const floats = new Float32Array(count);
    new Uint8Array(floats.buffer).set(this.bytes.subarray(start, start + floats.byteLength));
    return floats;
  }

  /**
   * The elements of the next tensor, whose datatype is `BYTES`.
   *
   * @throws RequestError 400 that names the tensor, never a value
   */
  texts(name: string, count: number, size: unknown): string[] {
    const { start, length } = this.#next(name, size);
    const end = start + length;
    const texts: string[] = [];
    let at = start;
    while (at < end && texts.length < count) {
      const from = at + LENGTH_BYTES;
      const to = from <= end ? from + this.view.getUint32(at, true) : Number.POSITIVE_INFINITY;
      if (to > end)
        throw badRequest(
          `the tensor "${name}": an element is longer than the tensor; each is four bytes of length (little-endian) and its text`,
        );
      const text = this.bytes.subarray(from, to);
      if (!isUtf8(text)) throw badRequest(`the tensor "${name}": element ${texts.length} is not UTF-8`);
      texts.push(text.toString('utf8'));
      at = to;
    }
    if (at < end || texts.length < count)
      throw badRequest(
        `the tensor "${name}": its shape says ${count} elements, its bytes hold another number`,
      );
    return texts;
  }

  /** @throws RequestError 400 where bytes are left over */
  end(): void {
    const left = this.bytes.length - this.#at;
    if (left > 0)
      throw badRequest(
        `${left} bytes are left over behind the tensors; check Inference-Header-Content-Length`,
      );
  }

  #next(name: string, size: unknown): { start: number; length: number } {
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0)
      throw badRequest(`the tensor "${name}": binary_data_size must be a whole number of bytes`);
    const start = this.#at;
    const left = this.bytes.length - start;
    if (size > left)
      throw badRequest(
        `the tensor "${name}": binary_data_size is ${size}, but only ${left} bytes are left behind the JSON`,
      );
    this.#at = start + size;
    return { start, length: size };
  }
}
