import type { OutputColumn } from '../../lib/onnx/tabular-session.ts';

/** Bytes before each element of a `BYTES` tensor that tell its length. */
const LENGTH_BYTES = 4;

/**
 * A column as the binary tensor extension has it: numbers as they lie in memory (all machines that ONNX Runtime for
 * Node.js runs on are little-endian, as the extension is), texts each behind its length.
 *
 * @see https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
 */
export function binaryTensor(column: OutputColumn): Buffer {
  if (column.kind === 'float')
    return Buffer.from(column.data.buffer, column.data.byteOffset, column.data.byteLength);
  const texts = column.data.map((text) => Buffer.from(text));
  const bytes = Buffer.allocUnsafe(texts.reduce((sum, text) => sum + LENGTH_BYTES + text.length, 0));
  let at = 0;
  for (const text of texts) {
    at = bytes.writeUInt32LE(text.length, at);
    at += text.copy(bytes, at);
  }
  return bytes;
}
