/** Numbers as base64 of little-endian 64-bit floats. */
export const packNumbers = (values: Float64Array): string =>
  Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString('base64');

/** What {@link packNumbers} made. */
export function unpackNumbers(text: string): Float64Array {
  const bytes = Buffer.from(text, 'base64');
  // A buffer of its own: one of the pool need not begin at a multiple of eight.
  const values = new Float64Array(Math.floor(bytes.length / 8));
  new Uint8Array(values.buffer).set(bytes.subarray(0, values.byteLength));
  return values;
}
