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

/** The compression that the first bytes tell, whatever the name says. */
export function compressionOf(head: Buffer): Compression {
  if (head.length >= 2 && head.readUInt16BE(0) === 0x1f8b) return 'gzip';
  return head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528 ? 'zstd' : 'none';
}
