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

/** Under which an object tells what it holds, and of which batch, so that the same batch knows its own. */
const DIGEST = 'perennial-sha256';
const BATCH = 'perennial-batch';
const IDENTITY = 'perennial-identity';

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
 * Of two that write under one name at the same time the store lets the first one in.
 *
 * @param table `identity` is a digest of what the rows are; `write` writes them to a local path and says how many there
 *   are
 * @throws PerennialError `OutputExists`, `OutputDenied`, `OutputUnwritable`, `OutputUnavailable`, `SecretMissing`
 */
export async function writeS3Output(
  output: S3Output,
  table: {
    batchId: string;
    identity: string;
    rows: number;
    write: (path: string) => Promise<number>;
  },
  options: NetworkOptions,
): Promise<Omit<WrittenOutput, 'kind'>> {
  const { batchId, identity, rows } = table;
  const format = formatOf(output.s3, output.format);
  const destination = placeOf(output.s3, format, batchId);
  return withPlace(output, destination, options, async (place) => {
    const own = async (): Promise<Omit<WrittenOutput, 'kind'> | undefined> => {
      const there = await headOf(place);
      if (there?.identity === identity && there.digest !== undefined)
        return { destination, format, rows, bytes: there.bytes, sha256: there.digest };
      if (there && !output.overwrite) throw taken(place.where);
      return undefined;
    };
    const known = await own();
    if (known) return known;
    const path = join(options.scratchDir, `output.${format}`);
    try {
      await table.write(path);
      const sha256 = await sha256OfFile(path);
      const { size: bytes } = await stat(path);
      const metadata = { [DIGEST]: sha256, [BATCH]: batchId, [IDENTITY]: identity };
      try {
        await upload(place, path, { bytes, metadata, replace: output.overwrite }, options.signal);
      } catch (error) {
        // Somebody was quicker: most likely another attempt of this batch.
        const quicker = isRefusedAsTaken(error) ? await own() : undefined;
        if (quicker) return quicker;
        throw error;
      }
      return { destination, format, rows, bytes, sha256 };
    } finally {
      await rm(path, { force: true });
    }
  });
}

/**
 * Whether the place can be looked at, and is free or this batch's own; before any row is scored.
 *
 * @throws PerennialError as {@link writeS3Output}
 */
export async function checkS3Output(
  output: S3Output,
  batchId: string,
  options: NetworkOptions,
): Promise<void> {
  const destination = placeOf(output.s3, formatOf(output.s3, output.format), batchId);
  await withPlace(output, destination, options, async (place) => {
    const there = await headOf(place);
    if (there && there.batchId !== batchId && !output.overwrite) throw taken(place.where);
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

interface Head {
  batchId: string | undefined;
  identity: string | undefined;
  digest: string | undefined;
  bytes: number | null;
}

async function headOf({ client, bucket, key }: Place): Promise<Head | undefined> {
  const { HeadObjectCommand, NotFound } = await import('@aws-sdk/client-s3');
  try {
    const { Metadata, ContentLength } = await client.send(
      new HeadObjectCommand({ Bucket: bucket, Key: key }),
    );
    return {
      batchId: Metadata?.[BATCH],
      identity: Metadata?.[IDENTITY],
      digest: Metadata?.[DIGEST],
      bytes: ContentLength ?? null,
    };
  } catch (error) {
    if (error instanceof NotFound) return undefined;
    throw error;
  }
}

/** 412: the name was taken meanwhile; 409: it is being taken at this moment. */
const isRefusedAsTaken = (error: unknown): boolean =>
  error instanceof Error && /^(PreconditionFailed|ConditionalRequestConflict)$/.test(error.name);

async function upload(
  { client, bucket, key }: Place,
  path: string,
  object: { bytes: number; metadata: Record<string, string>; replace: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { Upload } = await import('@aws-sdk/lib-storage');
  signal.throwIfAborted();
  const sending = new Upload({
    client,
    // An upload of several parts hands the condition to the request that completes it.
    params: {
      Bucket: bucket,
      Key: key,
      Body: createReadStream(path),
      Metadata: object.metadata,
      ...(object.replace ? {} : { IfNoneMatch: '*' }),
    },
    queueSize: PARTS_AT_ONCE,
    partSize: Math.max(PART_BYTES, Math.ceil(object.bytes / MOST_PARTS)),
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
