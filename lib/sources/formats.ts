import { open } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import type { TextSource } from '../../contracts/spec/sources.ts';
import type { SourceFormat } from './source.ts';

const BY_NAME: readonly [RegExp, SourceFormat][] = [
  [/\.(csv|tsv|txt)(\.gz|\.zst)?$/i, 'csv'],
  [/\.parquet$/i, 'parquet'],
  [/\.(jsonl|ndjson)(\.gz|\.zst)?$/i, 'jsonl'],
];

const BY_MEDIA_TYPE: readonly [RegExp, SourceFormat][] = [
  [/^(text\/(csv|tab-separated-values)|application\/csv)\b/i, 'csv'],
  [/^application\/(vnd\.apache\.|x-)?parquet\b/i, 'parquet'],
  [/^application\/(x-)?(ndjson|jsonl|jsonlines)\b/i, 'jsonl'],
];

const found = (table: readonly [RegExp, SourceFormat][], text: string): SourceFormat | undefined =>
  table.find(([pattern]) => pattern.test(text))?.[1];

/**
 * The format of a source: as it says itself, else from the file name, else from the media type.
 *
 * @throws PerennialError `SourceUnreadable`
 */
export function formatOf(where: string, source: TextSource, file: string, mediaType = ''): SourceFormat {
  const format = source.format ?? found(BY_NAME, file) ?? found(BY_MEDIA_TYPE, mediaType);
  if (!format)
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: the format is not known from the name; set format to csv, parquet or jsonl`,
    );
  return format;
}

export type Compression = 'gzip' | 'zstd' | 'none';

/** First bytes of a file; 8 are enough to know its compression and byte order mark. */
export async function headOf(path: string, bytes = 8): Promise<Buffer> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

const ZSTD_FRAME = 0xfd2fb528;
/** A frame that holds no data, as parallel packers put in front; the last digit is free. */
const ZSTD_SKIPPED = 0x184d2a50;

/** The compression that the first bytes tell, whatever the name says. */
export function compressionOf(head: Buffer): Compression {
  if (head.length >= 2 && head.readUInt16BE(0) === 0x1f8b) return 'gzip';
  const magic = head.length >= 4 ? head.readUInt32LE(0) : 0;
  return magic === ZSTD_FRAME || (magic & ~0xf) === ZSTD_SKIPPED ? 'zstd' : 'none';
}

/**
 * Whether a Zstandard frame needs more than the 128 MiB of memory that its format lets a reader refuse.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.2
 */
export function hasLargeWindow(head: Buffer): boolean {
  if (head.length < 6 || head.readUInt32LE(0) !== ZSTD_FRAME) return false;
  const hasWindow = (head.readUInt8(4) & 0x20) === 0;
  const descriptor = head.readUInt8(5);
  return hasWindow && 2 ** (10 + (descriptor >> 3)) * (1 + (descriptor & 7) / 8) > 2 ** 27;
}
