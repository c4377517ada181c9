import { PerennialError } from '../../contracts/errors.ts';

/** Longest line that the engine's readers take. */
export const MAX_LINE_BYTES = { csv: 2 * 2 ** 20, jsonl: 16 * 2 ** 20 } as const;

/** The byte order mark of UTF-8. */
const MARK = Buffer.from('\uFEFF');
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

/** Finds in passing what is no table at all: web pages, binary data, lines without end. */
export class TextCheck {
  /** Bytes of text so far. */
  bytes = 0;
  /** Bytes since the last line end. */
  #open = 0;
  #marked = false;

  constructor(
    private readonly where: string,
    private readonly format: 'csv' | 'jsonl',
  ) {}

  /** @throws PerennialError `SourceUnreadable` */
  add(chunk: Buffer): void {
    if (this.bytes === 0) this.#checkHead(chunk);
    const nul = chunk.indexOf(0);
    if (nul >= 0)
      this.#refuse(
        `there is a NUL byte at byte ${this.bytes + nul + 1}, so it is no UTF-8 text; mend it, or set encoding: utf-16 or format`,
      );
    // Looking at the first and the last line end of a chunk is enough: what lies between them is short.
    const first = firstEnd(chunk);
    if (this.#open + (first < 0 ? chunk.length : first) > MAX_LINE_BYTES[this.format])
      this.#refuse(
        `a line that begins at byte ${this.bytes - this.#open + 1} is longer than ${MAX_LINE_BYTES[this.format]} bytes; is it really ${this.format}? Break it into rows`,
      );
    this.#open = first < 0 ? this.#open + chunk.length : chunk.length - lastEnd(chunk) - 1;
    this.bytes += chunk.length;
  }

  /** @throws PerennialError `SourceUnreadable` where nothing came */
  end(): void {
    if (this.bytes === 0 || (this.bytes === 3 && this.#marked))
      this.#refuse('it is empty; write it again, or leave it out');
  }

  #checkHead(chunk: Buffer): void {
    this.#marked = chunk.subarray(0, 3).equals(MARK);
    const head = chunk.subarray(0, 512).toString('latin1').replace(/^ï»¿/, '').trimStart();
    if (/^<(!doctype\s+html|html|head|body)\b/i.test(head))
      this.#refuse('it is an HTML page, such as an error or a log-in; look at it in a browser');
    if (/^<\?xml\b/i.test(head)) this.#refuse(`it is XML, not ${this.format}`);
    if (head.startsWith('PAR1')) this.#refuse('it is Parquet; set format: parquet');
    if (head.startsWith('PK\x03\x04'))
      this.#refuse('it is a ZIP archive or an Excel file; unpack it, or save it as CSV');
  }

  #refuse(words: string): never {
    throw new PerennialError('SourceUnreadable', `${this.where}: ${words}`);
  }
}

/** Files of old have carriage returns alone. */
function firstEnd(chunk: Buffer): number {
  const feed = chunk.indexOf(LINE_FEED);
  return feed >= 0 ? feed : chunk.indexOf(CARRIAGE_RETURN);
}

function lastEnd(chunk: Buffer): number {
  const feed = chunk.lastIndexOf(LINE_FEED);
  return feed >= 0 ? feed : chunk.lastIndexOf(CARRIAGE_RETURN);
}
