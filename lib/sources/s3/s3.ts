import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../../contracts/errors.ts';
import type { S3Source } from '../../../contracts/spec/sources.ts';
import { formatOf } from '../formats.ts';
import { hostPortOf } from '../hosts.ts';
import { isPartitioned, partitionsOf } from '../partitions.ts';
import { prepareFiles } from '../prepared-files.ts';
import { type AcquiredSource, maxBytesOf, type SourceFormat, type SourceOptions } from '../source.ts';
import { tooLarge } from '../source-errors.ts';
import { s3Client } from './client.ts';
import { KeyPattern } from './key-pattern.ts';
import { type Bucket, fetchObject, type ListedObject, listObjects } from './objects.ts';
import { s3Error } from './s3-errors.ts';

type ReadOptions = Pick<SourceOptions, 'hosts' | 'secrets' | 'signal' | 'timeouts'>;

/**
 * Downloads the objects of a source.
 *
 * @throws PerennialError `SourceDenied`, `SourceNotFound`, `SourceUnavailable`, `SourceUnreadable`
 */
export async function acquireS3(
  name: string,
  source: S3Source,
  options: SourceOptions,
): Promise<AcquiredSource> {
  return withBucket(name, source, options, async (where, bucket, pattern) => {
    const objects = await listObjects(where, bucket, pattern);
    const maxBytes = maxBytesOf(source);
    if (objects.reduce((sum, { bytes }) => sum + bytes, 0) > maxBytes) throw tooLarge(where, maxBytes);
    const keys = objects.map(({ key }) => key);
    const format = formatOf(where, source, keys[0] ?? '');
    const files: string[] = [];
    for (const [index, object] of objects.entries()) {
      const file = await placeFor(where, object, index, format, options.scratchDir);
      await fetchObject(`source ${name}: s3://${bucket.name}/${object.key}`, bucket, object, file);
      files.push(file);
    }
    const prepared = await prepareFiles(
      name,
      source,
      files,
      { format, partitioned: isPartitioned(source, pattern.pattern, keys) },
      {
        scratchDir: options.scratchDir,
        maxBytes,
        labels: keys.map((key) => `s3://${bucket.name}/${key}`),
        ...(options.signal ? { signal: options.signal } : {}),
      },
    );
    return { kind: 's3', ...prepared, identity: identityOf(objects), origin: source.s3 };
  });
}

/** Keys, sizes and ETags as the store lists them: no byte of the objects is read. */
export function identifyS3(name: string, source: S3Source, options: ReadOptions): Promise<string> {
  return withBucket(name, source, options, async (where, bucket, pattern) =>
    identityOf(await listObjects(where, bucket, pattern)),
  );
}

/** The objects of a source as the store lists them; no byte of them is read. */
export const listS3 = (name: string, source: S3Source, options: ReadOptions): Promise<ListedObject[]> =>
  withBucket(name, source, options, (where, bucket, pattern) => listObjects(where, bucket, pattern));

/** An ETag is no digest of the bytes: the word before the colon says so. */
const identityOf = (objects: readonly ListedObject[]): string =>
  `etag:${createHash('sha256')
    .update(JSON.stringify(objects.map(({ key, etag, bytes }) => [key, etag, bytes])))
    .digest('hex')}`;

/** Where an object goes: names of our own, below the folders that are columns. */
async function placeFor(
  where: string,
  { key }: ListedObject,
  index: number,
  format: SourceFormat,
  scratchDir: string,
): Promise<string> {
  const segments = partitionsOf(key);
  // The engine takes paths for patterns.
  if (segments.some((segment) => /[[*?{]/.test(segment)))
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: ${key} has one of [ * ? { in a folder name, which would be read as a pattern; rename it`,
    );
  const folder = join(scratchDir, 's3', ...segments);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  return join(folder, `${String(index).padStart(6, '0')}.${format}`);
}

async function withBucket<T>(
  name: string,
  source: S3Source,
  options: ReadOptions,
  work: (where: string, bucket: Bucket, pattern: KeyPattern) => Promise<T>,
): Promise<T> {
  const where = `source ${name}: ${source.s3}`;
  const [, bucketName = '', key = ''] = /^s3:\/\/([^/]+)\/(.+)$/s.exec(source.s3) ?? [];
  const place = source.endpoint
    ? hostPortOf(new URL(source.endpoint))
    : { hostname: `${bucketName}.s3.amazonaws.com`, port: 443 };
  const client = await s3Client(where, source, options);
  try {
    const bucket = { client, name: bucketName, place, signal: options.signal };
    return await work(where, bucket, new KeyPattern(key));
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw s3Error(where, place, error);
  } finally {
    client.destroy();
  }
}
