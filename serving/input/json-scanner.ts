import { DOUBT } from './doubt.ts';
import { BYTE, endsScalar } from './json-bytes.ts';
import { TextMemory } from './text-memory.ts';

/** Powers of ten that a double holds exactly. */
const POWERS = Float64Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));
const MAX_POWER = 22;
const TWO_53 = 2 ** 53;
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
   * Puts plain numbers of a list into places with a step between them, as {@link numberInto} would: one loop for all of
   * them, in which nothing leaves the registers, takes a third of the time.
   *
   * @param count numbers to read at most
   * @returns how many there were before the list's end or another value; the cursor stands behind the last of them
   */
  numberRun(target: Float64Array, place: number, step: number, count: number): number {
    const bytes = this.#bytes;
    let at = this.at;
    for (let read = 0; read < count; read++) {
      const before = at;
      let byte = bytes[at] ?? 0;
      if (read > 0) {
        while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at] ?? 0;
        if (byte !== BYTE.comma) {
          this.at = before;
          return read;
        }
        byte = bytes[++at] ?? 0;
      }
      while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++at] ?? 0;
      const start = at;
      const negative = byte === BYTE.minus;
      if (negative) byte = bytes[++at] ?? 0;
      if (byte < BYTE.zero || byte > BYTE.nine) {
        this.at = before;
        return read;
      }
      const leading = byte === BYTE.zero;
      let mantissa = byte - BYTE.zero;
      byte = bytes[++at] ?? 0;
      if (!leading)
        while (byte >= BYTE.zero && byte <= BYTE.nine) {
          mantissa = mantissa * 10 + (byte - BYTE.zero);
          byte = bytes[++at] ?? 0;
        }
      let fraction = 0;
      if (byte === BYTE.dot) {
        const first = ++at;
        byte = bytes[at] ?? 0;
        while (byte >= BYTE.zero && byte <= BYTE.nine) {
          mantissa = mantissa * 10 + (byte - BYTE.zero);
          byte = bytes[++at] ?? 0;
        }
        fraction = at - first;
        // No digit, or more than a power of ten is exact for.
        if (fraction === 0 || fraction > MAX_POWER) mantissa = TWO_53;
      }
      if (mantissa < TWO_53 && byte !== BYTE.e && byte !== BYTE.upperE) {
        const value = mantissa / (POWERS[fraction] ?? 1);
        target[place] = negative ? -value : value;
      } else {
        this.at = start;
        this.numberInto(target, place, true);
        at = this.at;
      }
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
