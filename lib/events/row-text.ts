import { PerennialError } from '../../contracts/errors.ts';
import { EVENT_LIMITS, type EventFormat } from '../../contracts/events.ts';

const NEWLINE = 10;
const NUL = 0;
const BOM = [0xef, 0xbb, 0xbf] as const;

const refusal = (message: string): PerennialError => new PerennialError('InputInvalid', message);
const tooMuch = (what: string): PerennialError =>
  refusal(`the batch has more than ${what}; send several batches, or use a file as source`);

/**
 * Checks pushed rows while they stream by, in bounded memory: size, length of lines, UTF-8, no NUL bytes, and for
 * JSON Lines that each line is one object. Messages name lines and never quote them.
 *
 * @param input the bytes as they were sent
 * @returns the bytes to store: without a byte order mark; JSON Lines also without empty lines
 * @throws PerennialError `InputInvalid`
 */
export async function* checkedRowText(
  input: AsyncIterable<Uint8Array>,
  format: EventFormat,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  let line = 0;
  let rest: Uint8Array[] = [];
  let restBytes = 0;
  const take = (last: Uint8Array): Buffer => {
    const whole = Buffer.concat([...rest, last]);
    rest = [];
    restBytes = 0;
    line += 1;
    return line === 1 && BOM.every((byte, i) => whole[i] === byte) ? whole.subarray(BOM.length) : whole;
  };
  for await (const chunk of input) {
    bytes += chunk.length;
    if (bytes > EVENT_LIMITS.bytes) throw tooMuch(`${EVENT_LIMITS.bytes} bytes`);
    if (chunk.includes(NUL)) throw refusal(`line ${line + 1} or later holds a NUL byte; rows are UTF-8 text`);
    const lines: Buffer[] = [];
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      lines.push(checkedLine(take(chunk.subarray(from, end + 1)), line, format));
      from = end + 1;
    }
    rest.push(chunk.subarray(from));
    restBytes += chunk.length - from;
    if (restBytes > EVENT_LIMITS.lineBytes) throw lineTooLong(line + 1);
    if (lines.length > 0) yield Buffer.concat(lines);
  }
  if (restBytes > 0) yield checkedLine(take(Buffer.from('\n')), line, format);
}

const lineTooLong = (line: number): PerennialError =>
  refusal(`line ${line} has more than ${EVENT_LIMITS.lineBytes} bytes; write each row on a line of its own`);

const UTF8 = new TextDecoder('utf-8', { fatal: true });
const EMPTY = Buffer.alloc(0);

function checkedLine(bytes: Buffer, line: number, format: EventFormat): Buffer {
  if (bytes.length > EVENT_LIMITS.lineBytes) throw lineTooLong(line);
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch {
    throw refusal(`line ${line} is not UTF-8; convert the rows, for example by \`iconv -f LATIN1 -t UTF-8\``);
  }
  if (line === 1 && /^\s*<(!doctype|html|\?xml)/i.test(text))
    throw refusal('the rows are a page of HTML or XML; send JSON Lines or CSV');
  if (format === 'csv') return bytes;
  if (text.trim() === '') return EMPTY;
  if (!isRow(text))
    throw refusal(`line ${line} is not one JSON object with at least one field; write {"column": value, …}`);
  return bytes;
}

function isRow(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return (
      typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0
    );
  } catch {
    return false;
  }
}
