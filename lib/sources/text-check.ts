import { PerennialError } from '../../contracts/errors.ts';

/** Longest line that the engine's readers take. */
export const MAX_LINE_BYTES = { csv: 2 * 2 ** 20, jsonl: 16 * 2 ** 20 } as const;

/** The byte order mark of UTF-8. */
const MARK = Buffer.from('\uFEFF');
const BLANK = 32;
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;

const HTML =
  /^(<!--[\s\S]*?-->\s*)*<(!doctype\s+html|html|head|body|title|meta|script|style|table|div|p|h1|pre|svg)\b/i;
/** What a file begins with that is no text of rows, as Latin-1. */
const OTHERS: readonly [readonly string[], string][] = [
  [['<?xml'], 'it is XML; write it as CSV or JSON Lines'],
  [['PAR1'], 'it is Parquet; set format: parquet'],
  [['PK\x03\x04'], 'it is a ZIP archive or an Excel file; unpack it, or save it as CSV'],
  [['\xd0\xcf\x11\xe0'], 'it is an old Excel file; save it as CSV'],
  [
    ['BZh', '\xfd7zXZ', '7z\xbc\xaf', '\x04"M\x18'],
    'it is packed otherwise; pack it with gzip or zstd, or unpack it',
  ],
  [
    ['SQLite format 3', 'ARROW1', 'Obj\x01', '%PDF-'],
    'it is a file of another kind; export its rows as CSV or Parquet',
  ],
];

/** Finds in passing what is no table at all: web pages, binary data, lines without end. */
export class TextCheck {
  /** Bytes of text so far. */
  bytes = 0;
  /** Bytes since the last line end. */
  #open = 0;
  #blank = true;

  constructor(
    private readonly where: string,
    private readonly format: 'csv' | 'jsonl',
  ) {}

  /** @throws PerennialError `SourceUnreadable` */
  add(chunk: Buffer): void {
    if (this.bytes === 0) this.#checkHead(chunk);
    const from = this.bytes === 0 && chunk.subarray(0, 3).equals(MARK) ? 3 : 0;
    if (this.#blank) this.#blank = chunk.subarray(from).every((byte) => byte <= BLANK && byte !== 0);
    const nul = chunk.indexOf(0);
    if (nul >= 0)
      this.#refuse(
        `there is a NUL byte at byte ${this.bytes + nul + 1}, so it is no UTF-8 text; mend it, or name what it is by encoding (utf-16) or format`,
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
    if (this.#blank) this.#refuse('it is empty; write it again, or leave it out');
  }

  #checkHead(chunk: Buffer): void {
    const head = chunk.subarray(0, 512).toString('latin1').replace(/^ï»¿/, '').trimStart();
    if (HTML.test(head))
      this.#refuse('it is an HTML page, such as an error or a log-in; look at it in a browser');
    const other = OTHERS.find(([beginnings]) => beginnings.some((text) => head.startsWith(text)));
    if (other) this.#refuse(other[1]);
    if (this.format === 'jsonl' && /^(\[|\{\s*\n)/.test(head))
      this.#refuse(
        "it is JSON, not JSON Lines: each object has to stand on a line of its own, as jq -c '.[]' (of a list) or jq -c . writes it",
      );
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
