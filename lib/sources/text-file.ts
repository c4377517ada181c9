import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { PerennialError } from '../../contracts/errors.ts';
import { type Compression, compressionOf, hasLargeWindow, headOf } from './formats.ts';
import { cutOff, damaged, tooLarge, unreadable } from './source-errors.ts';
import { TextCheck } from './text-check.ts';
import { unpackZstd } from './zstd-child.ts';

/** Options of {@link prepareText}. */
export interface TextOptions {
  format: 'csv' | 'jsonl';
  /** As the spec names it; a byte order mark counts more. */
  encoding: 'utf-8' | 'utf-16' | 'latin-1' | undefined;
  /** Where the copy goes, should there have to be one. */
  copyTo: string;
  /** Makes the folder of `copyTo`. */
  makeFolder(): Promise<unknown>;
  /** Limit of the unpacked text. */
  maxBytes: number;
  signal?: AbortSignal;
}

type Encoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252';

const CHUNK = 1 << 20;
/** As much of a text as tells its encoding, and that it is none. */
const HEAD_BYTES = 512;

/**
 * Reads a text file once: its digest, whether it is text that can be parsed, and, where it is packed or not in
 * UTF-8, a copy that the engine can read in parallel. Memory is bounded by a few chunks of 1 MiB.
 *
 * @param where for messages
 * @returns the file to read, the SHA-256 of the original bytes, and the size of the text
 * @throws PerennialError `SourceUnreadable`
 */
export async function prepareText(
  where: string,
  path: string,
  options: TextOptions,
): Promise<{ path: string; sha256: string; bytes: number }> {
  const head = await headOf(path).catch((error: unknown) => {
    throw unreadable(where, error);
  });
  const compression = compressionOf(head);
  const named = /\.gz$/i.test(path) ? 'gzip' : /\.zst$/i.test(path) ? 'zstd' : undefined;
  if (named !== undefined && compression !== named)
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: it is not ${named.toUpperCase()}, though its name says so`,
    );
  if (hasLargeWindow(head))
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: it is zstd with a window above 128 MiB; pack it again without --long, or with --long=27`,
    );
  const encoding = compression === 'none' ? encodingOf(head, options.encoding) : undefined;
  const hash = createHash('sha256');
  const check = new TextCheck(where, options.format);
  const copy = encoding !== 'utf-8';
  if (copy) await options.makeFolder();

  async function* digested(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  }
  async function* asUtf8(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let decode: ((chunk?: Buffer) => Buffer) | undefined;
    for await (const chunk of headFirst(chunks)) {
      decode ??= decoder(where, encoding ?? encodingOf(chunk, options.encoding));
      const text = decode(chunk);
      check.add(text);
      if (check.bytes > options.maxBytes) throw tooLarge(`${where}, unpacked`, options.maxBytes);
      if (text.length > 0) yield text;
    }
    if (decode) {
      const rest = decode();
      if (rest.length > 0) yield rest;
    }
  }
  const source = createReadStream(path, { highWaterMark: CHUNK });
  const sink = copy ? createWriteStream(options.copyTo, { mode: 0o600, highWaterMark: CHUNK }) : drain;
  const settings = options.signal ? { signal: options.signal } : {};
  try {
    if (compression === 'gzip')
      await pipeline(source, digested, createGunzip({ chunkSize: CHUNK }), asUtf8, sink, settings);
    else if (compression === 'zstd')
      await pipeline(source, digested, unpackZstd(where), asUtf8, sink, settings);
    else await pipeline(source, digested, asUtf8, sink, settings);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw packingError(where, compression, error);
  }
  check.end();
  return { path: copy ? options.copyTo : path, sha256: hash.digest('hex'), bytes: check.bytes };
}

/** The first bytes in one piece, as a packer may give one or two alone. */
async function* headFirst(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let head: Buffer | undefined = Buffer.alloc(0);
  for await (const chunk of chunks)
    if (head === undefined) yield chunk;
    else {
      head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
      if (head.length < HEAD_BYTES) continue;
      yield head;
      head = undefined;
    }
  if (head !== undefined && head.length > 0) yield head;
}

async function drain(chunks: AsyncIterable<Buffer>): Promise<void> {
  for await (const _ of chunks);
}

/** What the byte order mark says, else the spec, else UTF-8. */
function encodingOf(head: Buffer, declared: TextOptions['encoding']): Encoding {
  if (head.length >= 2 && head.readUInt16BE(0) === 0xfffe) return 'utf-16le';
  if (head.length >= 2 && head.readUInt16BE(0) === 0xfeff) return 'utf-16be';
  if (declared === 'utf-16') return 'utf-16le';
  return declared === 'latin-1' ? 'windows-1252' : 'utf-8';
}

/** Turns chunks into UTF-8; a character may begin in one and end in the next. Called without one at the end. */
function decoder(where: string, encoding: Encoding): (chunk?: Buffer) => Buffer {
  if (encoding === 'utf-8') return (chunk) => chunk ?? Buffer.alloc(0);
  const text = new TextDecoder(encoding, { fatal: true });
  return (chunk) => {
    try {
      return Buffer.from(chunk ? text.decode(chunk, { stream: true }) : text.decode());
    } catch {
      throw new PerennialError(
        'SourceUnreadable',
        `${where}: the text is not ${encoding.toUpperCase()}; set encoding to what it is, or write it again as UTF-8`,
      );
    }
  };
}

function packingError(where: string, compression: Compression, error: unknown): unknown {
  if (error instanceof PerennialError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'Z_BUF_ERROR' || code === 'ERR_STREAM_PREMATURE_CLOSE') return cutOff(where, compression);
  if (code.startsWith('Z_')) return damaged(where, compression);
  return unreadable(where, error);
}
