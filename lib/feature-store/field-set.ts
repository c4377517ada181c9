const WORDS = 4;
const FIRST_PLACES = 1_024;
/** Places are doubled where more than this share of them is taken. */
const MOST_FULL = 0.7;

/**
 * A set of byte strings that begin with 16 bytes of a hash, as fields of records do; 20 bytes for each, where a `Set` of
 * texts takes five times as much.
 */
export class FieldSet {
  #count = 0;
  #words = new Uint32Array(FIRST_PLACES * (WORDS + 1));

  /** @param field 17 bytes: the hash and one byte below 255 */
  add(field: Buffer): void {
    if (this.#count >= MOST_FULL * this.#places) this.#grow();
    this.#insert(wordsOf(field));
  }

  has(field: Buffer): boolean {
    const words = wordsOf(field);
    return this.#words[this.#placeOf(words) + WORDS] !== 0;
  }

  get #places(): number {
    return this.#words.length / (WORDS + 1);
  }

  #insert(words: Uint32Array): void {
    const at = this.#placeOf(words);
    if (this.#words[at + WORDS] !== 0) return;
    this.#words.set(words, at);
    this.#count++;
  }

  /** Where it stands, or the free place for it. */
  #placeOf(words: Uint32Array): number {
    const mask = this.#places - 1;
    for (let place = ((words[0] ?? 0) + (words[WORDS] ?? 0)) & mask; ; place = (place + 1) & mask) {
      const at = place * (WORDS + 1);
      if (this.#words[at + WORDS] === 0) return at;
      let same = true;
      for (let word = 0; word <= WORDS && same; word++) same = this.#words[at + word] === words[word];
      if (same) return at;
    }
  }

  #grow(): void {
    const old = this.#words;
    this.#words = new Uint32Array(2 * old.length);
    this.#count = 0;
    for (let at = 0; at < old.length; at += WORDS + 1)
      if (old[at + WORDS] !== 0) this.#insert(old.subarray(at, at + WORDS + 1));
  }
}

/** The hash as four words, and the last byte plus one, which is never 0. */
function wordsOf(field: Buffer): Uint32Array {
  const words = new Uint32Array(WORDS + 1);
  for (let word = 0; word < WORDS; word++) words[word] = field.readUInt32LE(4 * word);
  words[WORDS] = field.readUInt8(4 * WORDS) + 1;
  return words;
}
