import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { S3Client } from '@aws-sdk/client-s3';
import { PerennialError } from '../../../contracts/errors.ts';
import type { HostPort } from '../hosts.ts';
import { unavailable, unreadable } from '../source-errors.ts';
import type { KeyPattern } from './key-pattern.ts';
import { s3Error } from './s3-errors.ts';

/** An object as the store lists it. */
export interface ListedObject {
  key: string;
  etag: string;
  bytes: number;
}

/** A bucket within reach. */
export interface Bucket {
  client: S3Client;
  name: string;
  place: HostPort;
  signal?: AbortSignal | undefined;
}

/** Objects that a glob may match: more is a mistake, or a case for fewer and larger files. */
const MAX_OBJECTS = 100_000;
const MAX_TRIES = 5;
const FIRST_PAUSE_MS = 250;

const abortOf = ({ signal }: Bucket): { abortSignal?: AbortSignal } =>
  signal ? { abortSignal: signal } : {};

/**
 * The objects that match, in the order of their keys' bytes.
 *
 * @throws PerennialError `SourceNotFound` where none does; errors of the SDK as they are
 */
export async function listObjects(
  where: string,
  bucket: Bucket,
  pattern: KeyPattern,
): Promise<ListedObject[]> {
  const { HeadObjectCommand, ListObjectsV2Command } = await import('@aws-sdk/client-s3');
  const Bucket = bucket.name;
  if (!pattern.isGlob) {
    const Key = pattern.pattern;
    const head = await bucket.client.send(new HeadObjectCommand({ Bucket, Key }), abortOf(bucket));
    return [{ key: Key, etag: head.ETag ?? '', bytes: head.ContentLength ?? 0 }];
  }
  const found: ListedObject[] = [];
  let ContinuationToken: string | undefined;
  do {
    const page = await bucket.client.send(
      new ListObjectsV2Command({
        Bucket,
        Prefix: pattern.prefix,
        ...(ContinuationToken ? { ContinuationToken } : {}),
      }),
      abortOf(bucket),
    );
    // Folders are objects of no size in some stores.
    for (const { Key: key = '', ETag: etag = '', Size: bytes = 0 } of page.Contents ?? [])
      if (!key.endsWith('/') && pattern.matches(key)) found.push({ key, etag, bytes });
    if (found.length > MAX_OBJECTS)
      throw new PerennialError(
        'SourceUnreadable',
        `${where}: more than ${MAX_OBJECTS} objects match; write fewer and larger ones, or a narrower glob`,
      );
    ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (ContinuationToken);
  if (found.length === 0)
    throw new PerennialError(
      'SourceNotFound',
      `${where}: no object matches; looked at keys that begin with ${pattern.prefix || 'anything'}`,
    );
  return found.sort((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
}

/**
 * Transfers one object. Where the connection breaks, it goes on from there, as long as the object is the same.
 *
 * @throws PerennialError
 */
export async function fetchObject(
  where: string,
  bucket: Bucket,
  object: ListedObject,
  path: string,
): Promise<void> {
  const { GetObjectCommand } = await import('@aws-sdk/client-s3');
  const { signal } = bucket;
  const file = await open(path, 'w', 0o600);
  let bytes = 0;
  try {
    for (let tries = 1; bytes < object.bytes; tries++) {
      try {
        const command = new GetObjectCommand({
          Bucket: bucket.name,
          Key: object.key,
          ...(object.etag ? { IfMatch: object.etag } : {}),
          ...(bytes > 0 ? { Range: `bytes=${bytes}-` } : {}),
        });
        const { Body } = await bucket.client.send(command, abortOf(bucket));
        if (!(Body instanceof Readable)) throw unavailable(where, 'there is no body');
        for await (const chunk of Body) {
          const part = Buffer.from(chunk);
          await file.write(part, 0, part.length, bytes).catch((error: unknown) => {
            throw unreadable(where, error);
          });
          bytes += part.length;
          if (bytes > object.bytes) break;
        }
        if (bytes !== object.bytes)
          throw unavailable(where, `${bytes} bytes came where ${object.bytes} were listed`);
      } catch (error) {
        const failure = s3Error(where, bucket.place, error);
        const passing = failure instanceof PerennialError && failure.code === 'SourceUnavailable';
        if (signal?.aborted || !passing || tries >= MAX_TRIES || bytes > object.bytes) throw failure;
        await sleep(FIRST_PAUSE_MS * 2 ** tries, undefined, signal ? { signal } : {});
      }
    }
  } finally {
    await file.close();
  }
}
