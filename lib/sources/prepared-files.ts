import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { TextSource } from '../../contracts/spec/sources.ts';
import { partitionsOf } from './partitions.ts';
import type { AcquiredSource, SourceFormat } from './source.ts';
import { tooLarge, unreadable } from './source-errors.ts';
import { prepareText } from './text-file.ts';

type Prepared = Pick<
  AcquiredSource,
  'files' | 'format' | 'sha256' | 'parts' | 'bytes' | 'partitioned' | 'finished'
>;

/**
 * Makes local files ready for the engine: their digest, the checks that keep broken text from it, and copies in UTF-8
 * of what is packed or encoded otherwise.
 *
 * @param labels names of the files for messages, where the paths are those of downloads
 * @throws PerennialError `SourceUnreadable`
 */
export async function prepareFiles(
  name: string,
  source: TextSource,
  files: readonly string[],
  { format, partitioned }: { format: SourceFormat; partitioned: boolean },
  options: { scratchDir: string; maxBytes: number; signal?: AbortSignal; labels?: readonly string[] },
): Promise<Prepared> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  if (bytes > options.maxBytes) throw tooLarge(`source ${name}`, options.maxBytes);
  let left = options.maxBytes;
  const readable: string[] = [];
  const digests: string[] = [];
  for (const [index, file] of files.entries()) {
    const label = options.labels?.[index] ?? file;
    if (sizes[index] === 0)
      throw new PerennialError(
        'SourceUnreadable',
        `source ${name}: ${label} is empty; write it again, or leave it out`,
      );
    if (format === 'parquet') {
      await checkParquet(`source ${name}: ${label}`, file);
      digests.push(await fileDigest(name, file, options.signal));
      readable.push(file);
      continue;
    }
    // Folders that are columns go on being there.
    const folder = join(options.scratchDir, 'text', ...partitionsOf(file));
    const text = await prepareText(`source ${name}: ${label}`, file, {
      format,
      encoding: source.encoding,
      copyTo: join(folder, `${String(index).padStart(6, '0')}.${format}`),
      makeFolder: () => mkdir(folder, { recursive: true, mode: 0o700 }),
      maxBytes: left,
      ...(options.signal ? { signal: options.signal } : {}),
    });
    left -= text.bytes;
    digests.push(text.sha256);
    readable.push(text.path);
  }
  return {
    files: readable,
    format,
    sha256: overall(files, digests, partitioned),
    parts: files.map((file, index) => ({
      name: options.labels?.[index] ?? file,
      sha256: digests[index] ?? '',
    })),
    bytes,
    partitioned,
    finished: false,
  };
}

/** The same digest as {@link prepareFiles} gives, and nothing else. */
export async function digestOf(
  name: string,
  files: readonly string[],
  partitioned: boolean,
  signal?: AbortSignal,
): Promise<string> {
  const digests: string[] = [];
  for (const file of files) digests.push(await fileDigest(name, file, signal));
  return overall(files, digests, partitioned);
}

const PARQUET = /^PAR[1E]$/;

/** @throws PerennialError `SourceUnreadable` where a file lacks the marks at its ends */
async function checkParquet(where: string, path: string): Promise<void> {
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(where, error);
  });
  try {
    const { size } = await file.stat();
    const mark = async (at: number): Promise<string> =>
      (await file.read(Buffer.alloc(4), 0, 4, at)).buffer.toString('latin1');
    if (!PARQUET.test(await mark(0)))
      throw new PerennialError(
        'SourceUnreadable',
        `${where}: it is not Parquet; look at what it is, and set format where it is csv or jsonl`,
      );
    if (size < 12 || !PARQUET.test(await mark(size - 4)))
      throw new PerennialError(
        'SourceUnreadable',
        `${where}: the Parquet file ends too early; it was cut off, transfer it again`,
      );
  } finally {
    await file.close();
  }
}

/** Of several files the digest is over theirs in order; folders that are columns are content too. */
function overall(files: readonly string[], digests: readonly string[], partitioned: boolean): string {
  const [only] = digests;
  if (only !== undefined && digests.length === 1 && !partitioned) return only;
  const lines = digests.map((digest, i) =>
    partitioned ? [digest, ...partitionsOf(files[i] ?? '')].join(' ') : digest,
  );
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

async function fileDigest(name: string, path: string, signal?: AbortSignal): Promise<string> {
  const hash: Hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20, signal })) hash.update(chunk);
  } catch (error) {
    throw unreadable(`source ${name}: ${path}`, error);
  }
  return hash.digest('hex');
}
