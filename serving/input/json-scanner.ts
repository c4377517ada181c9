import { DOUBT } from './doubt.ts';
import { BYTE, endsScalar } from './json-bytes.ts';
import { TextMemory } from './text-memory.ts';

/** Powers of ten that a double holds exactly. */
const POWERS = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));
const MAX_POWER = 22;
const TWO_53 = 2 ** 53;
/** Whole numbers of so many digits fit into 32 bits. */
const INT32_DIGITS = 9;
const TWO_63 = 2 ** 63;
/** Well below the largest float32: a number that may reach its edge is read exactly. */
const CLEARLY_FLOAT32 = 3e38;
/** More than the rounding errors of an inexact mantissa of at most 2^63 and of one multiplication add up to. */
const BELOW = 1 - 2 ** -45;
const ABOVE = 1 + 2 ** -45;

/**
 * A cursor over the bytes of a JSON text (RFC 8259) that reads just what the caller expects, without making objects.
 * It never takes what `JSON.parse` would refuse, and gives the same values to the last bit; where it meets anything
 * else than what is asked for it throws {@link DOUBT}. The bytes must be valid UTF-8.
 *
 * @example
 * const scanner = new JsonScanner();
 * scanner.start(Buffer.from('[1.5, 2]'));
 * scanner.take(BYTE.listStart);
 * scanner.number(); // 1.5
 * scanner.more(BYTE.listEnd); // true
 */
export class JsonScanner {
  /** The place of the next byte. */
  at = 0;
  #bytes: Buffer = Buffer.alloc(0);
  /** The number that was read last. */
  readonly #number = new Float64Array(1);
  readonly #texts = new TextMemory();

  /** Begins with another text. */
  start(bytes: Buffer): void {
    this.#bytes = bytes;
    this.at = 0;
  }

  /** The next byte that is no white space, not taken yet; 0 at the end. */
  peek(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.at] ?? 0;
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++this.at] ?? 0;
    return byte;
  }

  /** Takes this byte. */
  take(byte: number): void {
    if (this.peek() !== byte) throw DOUBT;
    this.at += 1;
  }

  /** Behind the opening byte of a list or an object: whether it is empty, which takes the closing byte. */
  empty(close: number): boolean {
    if (this.peek() !== close) return false;
    this.at += 1;
    return true;
  }

  /** Behind an item of a list or an object: takes the comma (true: another follows) or the closing byte (false). */
  more(close: number): boolean {
    const byte = this.peek();
    this.at += 1;
    if (byte === BYTE.comma) return true;
    if (byte !== close) throw DOUBT;
    return false;
  }

  /** Nothing but white space may follow. */
  end(): void {
    this.peek();
    if (this.at < this.#bytes.length) throw DOUBT;
  }

  /** Takes these bytes if they come next. */
  skip(expected: Uint8Array): boolean {
    const bytes = this.#bytes;
    const start = this.at;
    const { length } = expected;
    for (let index = 0; index < length; index++) if (bytes[start + index] !== expected[index]) return false;
    this.at = start + length;
    return true;
  }

  /** Takes `null`, `true` or `false`. */
  word(bytes: Uint8Array): void {
    if (!this.skip(bytes)) throw DOUBT;
  }

  /** A key with its colon. */
  key(): string {
    const key = this.text();
    this.take(BYTE.colon);
    return key;
  }

  /** A string. */
  text(): string {
    this.peek();
    const start = this.at;
    const end = this.#stringEnd();
    if (this.#escaped) return String(this.#parsed(start, end));
    return this.#texts.text(this.#bytes, start + 1, end - 1);
  }

  /** A number, as `JSON.parse` reads it. */
  number(): number {
    this.numberInto(this.#number, 0, false);
    return this.#number[0] ?? 0;
  }

  /** A number as it is written: a double holds no more than 53 bits of it. No white space may come before it. */
  numberText(): string {
    const start = this.at;
    this.numberInto(this.#number, 0, false);
    return this.#bytes.toString('latin1', start, this.at);
  }

  /**
   * Puts a number, as `JSON.parse` reads it, into its place: given back, each would become an object on the heap. A
   * whole mantissa below 2^53 times or divided by a power of ten up to 22 is rounded once, and so exact; anything else
   * is left to the engine.
   *
   * @param single whether it becomes a float32 later: of more digits than a double's it is then enough to know
   *   between which doubles the number lies, where both round to the same float32
   * @see Clinger, "How to read floating point numbers accurately", 1990
   */
  numberInto(target: Float64Array, place: number, single: boolean): void {
    const bytes = this.#bytes;
    const start = this.at;
    let at = start;
    let byte = bytes[at] ?? 0;
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at] ?? 0;
    const negative = byte === BYTE.minus;
    if (negative) byte = bytes[++at] ?? 0;
    let mantissa = 0;
    let scale = 0;
    if (byte === BYTE.zero) byte = bytes[++at] ?? 0;
    else {
      if (byte < BYTE.one || byte > BYTE.nine) throw DOUBT;
      do {
        mantissa = mantissa * 10 + (byte - BYTE.zero);
        byte = bytes[++at] ?? 0;
      } while (byte >= BYTE.zero && byte <= BYTE.nine);
    }
    if (byte === BYTE.dot) {
      const first = ++at;
      byte = bytes[at] ?? 0;
      if (byte < BYTE.zero || byte > BYTE.nine) throw DOUBT;
      do {
        mantissa = mantissa * 10 + (byte - BYTE.zero);
        byte = bytes[++at] ?? 0;
      } while (byte >= BYTE.zero && byte <= BYTE.nine);
      scale = first - at;
    }
    if (byte === BYTE.e || byte === BYTE.upperE) {
      byte = bytes[++at] ?? 0;
      const less = byte === BYTE.minus;
      if (less || byte === BYTE.plus) byte = bytes[++at] ?? 0;
      if (byte < BYTE.zero || byte > BYTE.nine) throw DOUBT;
      let exponent = 0;
      do {
        exponent = Math.min(exponent * 10 + (byte - BYTE.zero), 1e6);
        byte = bytes[++at] ?? 0;
      } while (byte >= BYTE.zero && byte <= BYTE.nine);
      scale += less ? -exponent : exponent;
    }
    this.at = at;
    if (scale >= -MAX_POWER && scale <= MAX_POWER) {
      const power = POWERS[scale < 0 ? -scale : scale] ?? 1;
      const value = scale < 0 ? mantissa / power : mantissa * power;
      if (mantissa < TWO_53) {
        target[place] = negative ? -value : value;
        return;
      }
      if (single && mantissa < TWO_63 && value < CLEARLY_FLOAT32) {
        const low = Math.fround(value * BELOW);
        if (low === Math.fround(value * ABOVE)) {
          target[place] = negative ? -low : low;
          return;
        }
      }
    }
    target[place] = Number(bytes.toString('latin1', start, at));
  }

  /**
   * Puts plain numbers of a list into places with a step between them, each as {@link numberInto} would for a float32.
   * It is one loop that calls nothing and counts in integers of 32 bits as far as they reach, which takes a third of
   * the time; numbers with an exponent or very many digits are left to the caller.
   *
   * @param count numbers to read at most
   * @returns how many there were before the list's end or another value; the cursor stands behind the last of them
   */
  numberRun(target: Float64Array, place: number, step: number, count: number): number {
    // Here, for anything of a module is looked up anew for each byte, which takes a third of the time.
    const { comma, minus, zero, dot, e, upperE } = BYTE;
    const powers = POWERS;
    const bytes = this.#bytes;
    let at = this.at;
    for (let read = 0; read < count; read++) {
      const before = at;
      let byte = bytes[at] ?? 0;
      if (read > 0) {
        if (byte <= 0x20)
          while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at] ?? 0;
        if (byte !== comma) {
          this.at = before;
          return read;
        }
        byte = bytes[++at] ?? 0;
      }
      if (byte <= 0x20)
        while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at] ?? 0;
      const negative = byte === minus;
      if (negative) byte = bytes[++at] ?? 0;
      const first = at;
      let digit = byte - zero;
      if (digit < 0 || digit > 9) {
        this.at = before;
        return read;
      }
      let small = digit;
      byte = bytes[++at] ?? 0;
      if (digit > 0)
        for (digit = byte - zero; digit >= 0 && digit <= 9; digit = byte - zero) {
          small = (Math.imul(small, 10) + digit) | 0;
          byte = bytes[++at] ?? 0;
        }
      let fraction = 0;
      let digits = at - first;
      if (byte === dot) {
        const behind = ++at;
        byte = bytes[at] ?? 0;
        for (digit = byte - zero; digit >= 0 && digit <= 9; digit = byte - zero) {
          small = (Math.imul(small, 10) + digit) | 0;
          byte = bytes[++at] ?? 0;
        }
        fraction = at - behind;
        digits = fraction === 0 ? 0 : digits + fraction;
      }
      if (digits === 0 || fraction > MAX_POWER || byte === e || byte === upperE) {
        this.at = before;
        return read;
      }
      let value = small;
      if (digits > INT32_DIGITS) {
        value = 0;
        for (let again = first; again < at; again++) {
          digit = (bytes[again] ?? 0) - zero;
          if (digit >= 0) value = value * 10 + digit;
        }
        if (value >= TWO_53) {
          const near = value / (powers[fraction] ?? 1);
          const low = Math.fround(near * BELOW);
          if (value >= TWO_63 || low !== Math.fround(near * ABOVE)) {
            this.at = before;
            return read;
          }
          value = low;
          fraction = 0;
        }
      }
      if (fraction > 0) value /= powers[fraction] ?? 1;
      target[place] = negative ? -value : value;
      place += step;
    }
    this.at = at;
    return count;
  }

  /** Whatever value comes, as `JSON.parse` gives it. */
  value(): unknown {
    const start = this.#beforeValue();
    return this.#parsed(start, this.at);
  }

  /** Steps over a value without checking it: {@link end} alone does not vouch for such a text. Gives its place. */
  pass(): number {
    return this.#beforeValue();
  }

  /** Moves behind the value that comes, and gives where it begins. Brackets are counted, so that depth costs nothing. */
  #beforeValue(): number {
    const bytes = this.#bytes;
    const { length } = bytes;
    let byte = this.peek();
    const start = this.at;
    if (byte === BYTE.quote) {
      this.#stringEnd();
      return start;
    }
    if (byte !== BYTE.listStart && byte !== BYTE.objectStart) {
      while (this.at < length && !endsScalar(byte)) byte = bytes[++this.at] ?? 0;
      if (this.at === start) throw DOUBT;
      return start;
    }
    let depth = 0;
    do {
      if (this.at >= length) throw DOUBT;
      byte = bytes[this.at] ?? 0;
      if (byte === BYTE.quote) {
        this.#stringEnd();
        continue;
      }
      if (byte === BYTE.listStart || byte === BYTE.objectStart) depth += 1;
      else if (byte === BYTE.listEnd || byte === BYTE.objectEnd) depth -= 1;
      this.at += 1;
    } while (depth > 0);
    return start;
  }

  /** Whether the string that was passed last has escapes. */
  #escaped = false;

  /** Moves behind a string, and gives that place. */
  #stringEnd(): number {
    const bytes = this.#bytes;
    const { length } = bytes;
    let at = this.at;
    if (bytes[at] !== BYTE.quote) throw DOUBT;
    this.#escaped = false;
    for (;;) {
      at += 1;
      if (at >= length) throw DOUBT;
      const byte = bytes[at] ?? 0;
      if (byte === BYTE.quote) break;
      if (byte < 0x20) throw DOUBT;
      if (byte === BYTE.escape) {
        this.#escaped = true;
        at += 1;
      }
    }
    this.at = at + 1;
    return at + 1;
  }

  #parsed(start: number, end: number): unknown {
    try {
      return JSON.parse(this.#bytes.toString('utf8', start, end));
    } catch {
      throw DOUBT;
    }
  }
}
