/** How many texts are remembered, and up to which length. */
const TEXTS = 256;
const LENGTH = 40;

/** A text that was read before, under its bytes. */
interface Remembered {
  readonly bytes: Buffer;
  readonly text: string;
}

/** Keys and text columns hold few different texts: to compare bytes is cheaper than to make strings. */
export class TextMemory {
  readonly #known: (Remembered | undefined)[] = new Array<undefined>(TEXTS).fill(undefined);

  /** The text of these bytes, which are valid UTF-8. */
  text(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length === 0) return '';
    if (length > LENGTH) return bytes.toString('utf8', start, end);
    let hash = length;
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] ?? 0)) | 0;
    const slot = (hash ^ (hash >>> 15)) & (TEXTS - 1);
    const known = this.#known[slot];
    if (known && known.bytes.length === length && same(known.bytes, bytes, start)) return known.text;
    const text = bytes.toString('utf8', start, end);
    this.#known[slot] = { bytes: Buffer.from(bytes.subarray(start, end)), text };
    return text;
  }
}

function same(known: Buffer, bytes: Buffer, start: number): boolean {
  for (let index = 0; index < known.length; index++) if (bytes[start + index] !== known[index]) return false;
  return true;
}
