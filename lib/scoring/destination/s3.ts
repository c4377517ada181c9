import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import type { S3Output, WrittenOutput } from '../../../contracts/batch-output.ts';
import type { Secrets } from '../../secrets.ts';
import { type HostRules, hostPortOf } from '../../sources/hosts.ts';
import { s3Client } from '../../sources/s3/client.ts';
import { s3Error } from '../../sources/s3/s3-errors.ts';
import { sha256OfFile } from '../../store/digest.ts';
import { formatOf, placeOf } from './file.ts';
import { asOutputError, taken } from './output-errors.ts';

/** Parts of an upload, this many at once: 4 × 16 MiB of memory. S3 takes 10,000 parts. */
const PART_BYTES = 16 << 20;
const PARTS_AT_ONCE = 4;
const MOST_PARTS = 9_000;

/** Under which an object tells what it holds, so that the same batch knows its own. */
const DIGEST = 'perennial-sha256';

/** What writing to a network needs. */
export interface NetworkOptions {
  hosts: HostRules;
  secrets: Secrets;
  scratchDir: string;
  signal: AbortSignal;
}

interface Place {
  client: S3Client;
  bucket: string;
  key: string;
  where: string;
}

/**
 * Writes a batch's object. It is there as a whole or not at all; the same batch once more finds its own and leaves it.
 *
 * @param write writes the rows to a local path and says how many there are
 * @throws PerennialError `OutputExists`, `OutputDenied`, `OutputUnwritable`, `OutputUnavailable`, `SecretMissing`
 */
export async function writeS3Output(
  output: S3Output,
  batchId: string,
  options: NetworkOptions,
  write: (path: string) => Promise<number>,
): Promise<Omit<WrittenOutput, 'kind'>> {
  const format = formatOf(output.s3, output.format);
  const destination = placeOf(output.s3, format, batchId);
  return withPlace(output, destination, options, async (place) => {
    const path = join(options.scratchDir, `output.${format}`);
    try {
      const rows = await write(path);
      const sha256 = await sha256OfFile(path);
      const { size: bytes } = await stat(path);
      const there = await headOf(place);
      if (there?.digest !== sha256) {
        if (there && !output.overwrite) throw taken(place.where);
        await upload(place, path, bytes, sha256, options.signal);
      }
      return { destination, format, rows, bytes, sha256 };
    } finally {
      await rm(path, { force: true });
    }
  });
}

/** Whether the place can be looked at; before any row is scored. @throws PerennialError as {@link writeS3Output} */
export async function checkS3Output(
  output: S3Output,
  batchId: string,
  options: NetworkOptions,
): Promise<void> {
  const destination = placeOf(output.s3, formatOf(output.s3, output.format), batchId);
  await withPlace(output, destination, options, async (place) => {
    await headOf(place);
  });
}

async function withPlace<T>(
  output: S3Output,
  destination: string,
  options: NetworkOptions,
  work: (place: Place) => Promise<T>,
): Promise<T> {
  const where = `output ${destination}`;
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]+)\/(.*)$/s.exec(destination) ?? [];
  const at = output.endpoint
    ? hostPortOf(new URL(output.endpoint))
    : { hostname: `${bucket}.s3.amazonaws.com`, port: 443 };
  let client: S3Client | undefined;
  try {
    client = await s3Client(where, output, options);
    return await work({ client, bucket, key, where });
  } catch (error) {
    if (options.signal.aborted) throw error;
    throw options.secrets.hide(asOutputError(s3Error(where, at, error)));
  } finally {
    client?.destroy();
  }
}

async function headOf({ client, bucket, key }: Place): Promise<{ digest: string | undefined } | undefined> {
  const { HeadObjectCommand, NotFound } = await import('@aws-sdk/client-s3');
  try {
    const { Metadata } = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
    return { digest: Metadata?.[DIGEST] };
  } catch (error) {
    if (error instanceof NotFound) return undefined;
    throw error;
  }
}

async function upload(
  { client, bucket, key }: Place,
  path: string,
  bytes: number,
  sha256: string,
  signal: AbortSignal,
): Promise<void> {
  const { Upload } = await import('@aws-sdk/lib-storage');
  signal.throwIfAborted();
  const sending = new Upload({
    client,
    params: { Bucket: bucket, Key: key, Body: createReadStream(path), Metadata: { [DIGEST]: sha256 } },
    queueSize: PARTS_AT_ONCE,
    partSize: Math.max(PART_BYTES, Math.ceil(bytes / MOST_PARTS)),
    // Parts of an upload that broke off cost money and are nobody's.
    leavePartsOnError: false,
  });
  const stop = (): void => void sending.abort();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await sending.done();
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
