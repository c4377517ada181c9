import { PerennialError } from '../../contracts/errors.ts';

/** One field of a protobuf message, as it stands in the bytes. */
export interface WireField {
  readonly number: number;
  /** 0 a varint, 1 eight bytes, 2 a length and bytes, 5 four bytes. */
  readonly type: 0 | 1 | 2 | 5;
  /** The whole field with its tag: may be copied into another message. */
  readonly whole: Uint8Array;
  /** What follows the tag; of type 2 without the length. */
  readonly content: Uint8Array;
}

/** A field that {@link walkFields} has come upon: from `start` (its tag) and `content` to `end`. */
export type FieldVisitor = (
  number: number,
  type: number,
  start: number,
  content: number,
  end: number,
) => void;

/**
 * Goes through the fields of a message without decoding them: a forest of a hundred megabytes becomes no list of
 * numbers. As strict as the engine's own parser, so that both see the same fields; groups, which ONNX has none of, are
 * refused.
 *
 * @throws PerennialError `ModelInvalid` where the bytes are no message
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export function walkFields(bytes: Uint8Array, visit: FieldVisitor): void {
  let at = 0;
  /** A varint of at most `most` bytes, as a number of 32 bits. */
  const varint = (most: number): number => {
    let value = 0;
    for (let count = 0; count < most; count++) {
      const byte = bytes[at++];
      if (byte === undefined) throw malformed();
      if (count < 5) value |= (byte & 0x7f) << (7 * count);
      if (byte < 0x80) return value >>> 0;
    }
    throw malformed();
  };
  while (at < bytes.length) {
    const start = at;
    const tag = varint(5);
    const [number, type] = [tag >>> 3, tag & 7];
    if (number === 0) throw malformed();
    let content = at;
    if (type === 0) varint(10);
    else if (type === 1) at += 8;
    else if (type === 5) at += 4;
    else if (type === 2) {
      const length = varint(5);
      content = at;
      at += length;
    } else throw malformed();
    if (at > bytes.length) throw malformed();
    visit(number, type, start, content, at);
  }
}

/** The fields of a message, for those that are few. */
export function fieldsOf(bytes: Uint8Array): WireField[] {
  const fields: WireField[] = [];
  walkFields(bytes, (number, type, start, content, end) => {
    if (type !== 0 && type !== 1 && type !== 2 && type !== 5) return;
    fields.push({ number, type, whole: bytes.subarray(start, end), content: bytes.subarray(content, end) });
  });
  return fields;
}

function malformed(): PerennialError {
  return new PerennialError(
    'ModelInvalid',
    'the model cannot be loaded: its bytes are not an ONNX model; export it again as ONNX',
  );
}
