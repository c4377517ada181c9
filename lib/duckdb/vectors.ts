import type { DuckDBDataChunk } from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';

/*
 * Columns of a chunk that hold no NULL, copied as memory. A call per value (`DuckDBVector.getItem`) costs more than
 * all else that is done with it.
 */

function bytesOf(chunk: DuckDBDataChunk, column: number, width: number): Uint8Array {
  const vector = duckdb.data_chunk_get_vector(chunk.chunk, column);
  return duckdb.vector_get_data(vector, chunk.rowCount * width);
}

/**
 * Copies `count` values of a column of numbers without NULL, from row `start` on, to `target[at]` and after: FLOAT into
 * a `Float32Array`, DOUBLE into a `Float64Array`, INTEGER into an `Int32Array`, USMALLINT into a `Uint16Array`,
 * UTINYINT into a `Uint8Array`.
 */
export function copyNumbers(
  chunk: DuckDBDataChunk,
  column: number,
  start: number,
  count: number,
  target: Float32Array | Float64Array | Int32Array | Uint16Array | Uint8Array,
  at: number,
): void {
  const width = target.BYTES_PER_ELEMENT;
  const values = bytesOf(chunk, column, width).subarray(start * width, (start + count) * width);
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(values, at * width);
}

/** DuckDB keeps a text of up to 12 bytes in its 16-byte record: 4 bytes of length, then the bytes, then zeros. */
const RECORD_WORDS = 4;
const INLINE_BYTES = 12;
/** Places for known short texts; a power of two. */
const PLACES = 1 << 16;
/** How many places are tried for a text before it is decoded each time. */
const TRIES = 8;

/**
 * Texts of a VARCHAR column without NULL. Short ones are decoded once and then found by their bytes: a column of
 * categories has few different texts.
 */
export class TextReader {
  /** The values; those that were not copied yet are empty. */
  readonly texts: string[];
  readonly #records = new Uint32Array(PLACES * RECORD_WORDS);
  readonly #known = new Array<string>(PLACES).fill('');

  constructor(size: number) {
    this.texts = new Array<string>(size).fill('');
  }

  /** Copies `count` values from row `start` on to `texts[at]` and after. */
  copy(chunk: DuckDBDataChunk, column: number, start: number, count: number, at: number): void {
    const vector = chunk.getColumnVector(column);
    const { buffer, byteOffset } = bytesOf(chunk, column, RECORD_WORDS * Uint32Array.BYTES_PER_ELEMENT);
    const words = new Uint32Array(buffer, byteOffset, chunk.rowCount * RECORD_WORDS);
    for (let row = 0; row < count; row++) {
      const record = (start + row) * RECORD_WORDS;
      const length = words[record] ?? 0;
      if (length === 0) {
        this.texts[at + row] = '';
        continue;
      }
      const place = length > INLINE_BYTES ? -1 : this.#placeOf(words, record);
      if (place >= 0 && this.#records[place * RECORD_WORDS] !== 0) {
        this.texts[at + row] = this.#known[place] ?? '';
        continue;
      }
      const text = String(vector.getItem(start + row));
      this.texts[at + row] = text;
      if (place < 0) continue;
      for (let word = 0; word < RECORD_WORDS; word++)
        this.#records[place * RECORD_WORDS + word] = words[record + word] ?? 0;
      this.#known[place] = text;
    }
  }

  /** Where a short text stands, or a free place for it; -1 where all that may be its own are taken. */
  #placeOf(words: Uint32Array, record: number): number {
    const a = words[record] ?? 0;
    const b = words[record + 1] ?? 0;
    const c = words[record + 2] ?? 0;
    const d = words[record + 3] ?? 0;
    const records = this.#records;
    let mixed = Math.imul(a ^ b, 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ c, 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13) ^ d, 0xc2b2ae35);
    mixed ^= mixed >>> 16;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const place = (mixed + attempt) & (PLACES - 1);
      const at = place * RECORD_WORDS;
      // A known text has a length; 0 says that the place is free.
      if (records[at] === 0) return place;
      if (records[at] === a && records[at + 1] === b && records[at + 2] === c && records[at + 3] === d)
        return place;
    }
    return -1;
  }
}
