const ALIGN = 8;

/**
 * Memory that frames are written into, one after the other. Every frame begins at a multiple of eight bytes, so that
 * columns of numbers are copied as memory. Nothing is checked on the way: whoever writes asks {@link fits} before.
 */
export class FrameBuffer {
  readonly #bytes: Buffer;
  readonly #view: DataView;
  readonly floats: Float32Array;
  readonly doubles: Float64Array;
  /** Where the next frame begins. */
  end = 0;
  /** Where the next value goes. */
  at = 0;

  /** @param size in bytes, a multiple of 8 */
  constructor(readonly size: number) {
    const memory = new ArrayBuffer(size);
    this.#bytes = Buffer.from(memory);
    this.#view = new DataView(memory);
    this.floats = new Float32Array(memory);
    this.doubles = new Float64Array(memory);
  }

  fits(bytes: number): boolean {
    return this.end + bytes + ALIGN <= this.size;
  }

  /** What was written so far; valid until {@link reset}. */
  written(): Buffer {
    return this.#bytes.subarray(0, this.end);
  }

  reset(): void {
    this.end = 0;
  }

  /** Begins a frame; its length is written by {@link finish}. */
  begin(type: number): void {
    this.at = this.end + 4;
    this.byte(type);
  }

  /** Ends the frame that was begun. What throws before leaves no trace. */
  finish(): void {
    const next = (this.at + ALIGN - 1) & -ALIGN;
    this.#bytes.fill(0, this.at, next);
    this.#view.setUint32(this.end, next - this.end, true);
    this.end = next;
  }

  byte(value: number): void {
    this.#bytes[this.at++] = value;
  }

  uint16(value: number): void {
    this.#view.setUint16(this.at, value, true);
    this.at += 2;
  }

  uint32(value: number): void {
    this.#view.setUint32(this.at, value, true);
    this.at += 4;
  }

  float(value: number): void {
    this.#view.setFloat32(this.at, value, true);
    this.at += 4;
  }

  double(value: number): void {
    this.#view.setFloat64(this.at, value, true);
    this.at += 8;
  }

  /** UTF-8 without its length. @returns the number of bytes */
  text(value: string): number {
    const { length } = value;
    const start = this.at;
    // Short texts of ASCII, nearly all there are, cost less here than a call of the encoder.
    if (length <= SHORT) {
      let i = 0;
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code > 127) break;
        this.#bytes[start + i] = code;
      }
      if (i === length) {
        this.at = start + length;
        return length;
      }
    }
    const bytes = this.#bytes.write(value, start, 'utf8');
    this.at = start + bytes;
    return bytes;
  }

  /** UTF-8 with its length before it. */
  measuredText(value: string): void {
    const place = this.at;
    this.at += 4;
    this.#view.setUint32(place, this.text(value), true);
  }
}

const SHORT = 64;

/** The most bytes that a text takes with its length. */
export const roomOf = (text: string): number => 4 + 3 * text.length;
