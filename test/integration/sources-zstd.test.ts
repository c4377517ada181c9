import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unpackZstd } from '../../lib/sources/zstd-child.ts';
import { DataFixture } from '../support/integration-data.ts';

const PYTHON = fileURLToPath(new URL('../../.venv/bin/python', import.meta.url));
const PACK =
  "import sys, pyarrow as pa; sink = pa.CompressedOutputStream(sys.stdout.buffer, 'zstd'); sink.write(sys.stdin.buffer.read()); sink.close()";

/** `a,b\n1,2\n` as the program zstd packs it, with a checksum, and a 3 in place of the 2. */
const OTHER_BYTE = Buffer.from('28b52ffd0458410000612c620a312c330a35e7cace', 'hex');

/** Packs by pyarrow, which has the real library, into one frame. */
const packed = (content: string | Uint8Array): Buffer =>
  execFileSync(PYTHON, ['-c', PACK], {
    input: content,
    maxBuffer: 1 << 28,
    stdio: ['pipe', 'pipe', 'inherit'],
  });

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

const refusal = (name: string, options: object = {}): Promise<unknown> =>
  data.snapshot(name, options).then(
    () => undefined,
    (error: unknown) => error,
  );
const unreadable = (words: RegExp) =>
  expect.objectContaining({
    code: 'SourceUnreadable',
    retryable: false,
    message: expect.stringMatching(words),
  });

const LINES = `id,text\n${Array.from({ length: 100_000 }, (_, i) => `${i},${(i * 7919) % 10_007} ü`).join('\n')}\n`;

describe('text that is packed with Zstandard', () => {
  it('gives the snapshot that it gives unpacked', async () => {
    await data.write('plain.csv', LINES);
    const bytes = packed(LINES);
    await data.write('same.csv.zst', bytes);
    const { artifact, rows } = await data.snapshot('same.csv.zst');
    expect(rows).toBe(100_000);
    expect(artifact).toEqual((await data.snapshot('plain.csv')).artifact);
    expect((await data.snapshot('same.csv.zst')).sourceSha256).toBe(
      createHash('sha256').update(bytes).digest('hex'),
    );
  });

  const UMLAUT = 'a,b\n1,Müller €\n';
  it.each<[string, Uint8Array, object]>([
    ['UTF-16', packed(Buffer.from(`\uFEFF${UMLAUT}`, 'utf16le')), {}],
    [
      'UTF-16 whose mark is a frame of its own',
      Buffer.concat([packed(Buffer.from('\uFEFF', 'utf16le')), packed(Buffer.from(UMLAUT, 'utf16le'))]),
      {},
    ],
    ['windows-1252', packed(Buffer.from('a,b\n1,M\xfcller \x80\n', 'latin1')), { encoding: 'latin-1' }],
    [
      'several frames, of which some hold nothing',
      Buffer.concat([skipped(), packed(UMLAUT), packed(''), skipped()]),
      {},
    ],
  ])('in %s', async (name, content, options) => {
    await data.write(`${name}.csv.zst`, content);
    expect(await data.rows(await data.snapshot(`${name}.csv.zst`, options))).toEqual([
      { a: 1, b: 'Müller €' },
    ]);
  });

  it('JSON Lines', async () => {
    await data.write('rows.jsonl.zst', packed('{"a":1}\n{"a":2.5}\n'));
    expect(await data.rows(await data.snapshot('rows.jsonl.zst'))).toEqual([{ a: 1 }, { a: 2.5 }]);
  });

  const whole = packed(LINES);
  it.each<[string, Uint8Array, RegExp]>([
    ['cut off', whole.subarray(0, whole.length >> 1), /zstd data end too early; the file was cut off/],
    ['cut off within its first block', whole.subarray(0, 30), /zstd data end too early/],
    ['damaged', damaged(whole), /zstd data are damaged; transfer the file again/],
    ['another byte than its checksum says', OTHER_BYTE, /zstd data are damaged/],
    ['followed by something else', Buffer.concat([whole, randomBytes(64)]), /zstd data are damaged/],
    ['nothing', packed(''), /it is empty/],
    ['a web page', packed('<!doctype html><html></html>'), /it is an HTML page/],
    ['with NUL bytes', packed('a,b\n1,\0\n'), /NUL byte at byte 7/],
    ['no UTF-8', packed(Buffer.from('a\nM\xfcller\n', 'latin1')), /not UTF-8; set encoding/],
    ['a line without end', packed('x'.repeat(3_000_000)), /longer than 2097152 bytes/],
    ['not packed', Buffer.from('a\n1\n'), /it is not ZSTD, though its name says so/],
    [
      'packed with a window of 2 GiB',
      withWindow(whole, 0xa8),
      /window above 128 MiB; pack it again without --long/,
    ],
  ])('refused: %s', async (name, content, words) => {
    await data.write(`${name}.csv.zst`, content);
    expect(await refusal(`${name}.csv.zst`)).toEqual(unreadable(words));
  });

  it('refused: more than maxBytes, when so many are unpacked', async () => {
    const bomb = packed(`a\n${'1\n'.repeat(100_000_000)}`);
    expect(bomb.length).toBeLessThan(100_000);
    await data.write('bomb.csv.zst', bomb);
    expect(await refusal('bomb.csv.zst', { maxBytes: '1MB' })).toEqual(
      unreadable(/unpacked: more than 1000000 bytes/),
    );
  });

  it('as gzip does, in the same words', async () => {
    const text = 'a,b\n1,\0\n';
    await data.write('words.csv.gz', gzipSync(text));
    await data.write('words.csv.zst', packed(text));
    const [gz, zst] = await Promise.all([refusal('words.csv.gz'), refusal('words.csv.zst')]);
    expect(String(gz).replace('.gz', '')).toBe(String(zst).replace('.zst', ''));
  });
});

describe('the unpacker', () => {
  const unpacked = async (content: Uint8Array, signal?: AbortSignal): Promise<Buffer> => {
    const parts: Buffer[] = [];
    const sink = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const chunk of chunks) parts.push(chunk);
    };
    const pieces = Array.from({ length: Math.ceil(content.length / 1000) }, (_, i) =>
      Buffer.from(content.subarray(i * 1000, i * 1000 + 1000)),
    );
    await pipeline(Readable.from(pieces), unpackZstd('source a'), sink, signal ? { signal } : {});
    return Buffer.concat(parts);
  };

  it('gives what was packed', async () => {
    const noise = randomBytes(3_000_000);
    expect((await unpacked(packed(noise))).equals(noise)).toBe(true);
    expect((await unpacked(packed(LINES))).toString()).toBe(LINES);
  });

  it.each<[string, Uint8Array, RegExp]>([
    ['cut off', packed(LINES).subarray(0, -1), /source a: the zstd data end too early/],
    ['damaged', damaged(packed(LINES)), /source a: the zstd data are damaged/],
    ['no Zstandard', Buffer.from('a,b\n1,2\n'), /damaged/],
  ])('refuses what is %s', async (_what, content, words) => {
    await expect(unpacked(content)).rejects.toThrow(words);
  });

  it('tells the error of what it reads, and stops when it is told', async () => {
    async function* broken() {
      yield packed(LINES).subarray(0, 1_000);
      throw new Error('the disk is gone');
    }
    const sink = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
      for await (const _ of chunks);
    };
    await expect(pipeline(broken, unpackZstd('source a'), sink)).rejects.toThrow('the disk is gone');
    await expect(unpacked(packed(LINES), AbortSignal.timeout(1))).rejects.toThrow(/abort/i);
  });
});

/** Bytes in the middle turned round: the codes cannot hold. */
function damaged(content: Uint8Array): Buffer {
  const copy = Buffer.from(content);
  return copy.fill(0xff, copy.length >> 1, (copy.length >> 1) + 40);
}

/** A frame that readers pass over. */
function skipped(): Buffer {
  return Buffer.from([0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
}

/** The same with another window descriptor. */
function withWindow(content: Uint8Array, descriptor: number): Buffer {
  const copy = Buffer.from(content);
  copy.writeUInt8(descriptor, 5);
  return copy;
}
