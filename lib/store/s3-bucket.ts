import { createReadStream, createWriteStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  AbortMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { PerennialError } from '../../contracts/errors.ts';
import { isConflict, orAbsent, toStoreError } from './s3-errors.ts';
import type { S3Location } from './store-location.ts';

/** What lies in a bucket. */
export interface S3Object {
  /** Without the prefix of the store. */
  key: string;
  bytes: number;
  /** Epoch milliseconds; S3 tells it to the second. */
  modifiedAt: number;
}

/** Larger files go up in parts, this many at once: 4 × 16 MiB of memory. */
const UPLOAD = { partSize: 16 << 20, queueSize: 4 } as const;
/** S3 takes 10,000 parts. */
const MOST_PARTS = 9_000;
const READS = 5;
const TIMEOUTS = { connectionTimeout: 5_000, socketTimeout: 60_000 } as const;

/**
 * One prefix of a bucket, with no more than the store needs. Every error is a `PerennialError` of the store; requests
 * are tried five times before that.
 */
export class S3Bucket {
  readonly root: string;
  readonly #client: S3Client;
  readonly #bucket: string;
  readonly #prefix: string;

  constructor(location: S3Location) {
    this.root = location.root;
    this.#bucket = location.bucket;
    this.#prefix = location.prefix === '' ? '' : `${location.prefix}/`;
    this.#client = new S3Client({
      ...(location.region === undefined ? {} : { region: location.region }),
      // Servers other than Amazon's seldom have a host name for each bucket.
      ...(location.endpoint === undefined ? {} : { endpoint: location.endpoint, forcePathStyle: true }),
      maxAttempts: 5,
      requestHandler: TIMEOUTS,
    });
  }

  async head(key: string): Promise<S3Object | undefined> {
    const found = await this.#told(this.#client.send(new HeadObjectCommand(this.#at(key))).catch(orAbsent));
    return found && { key, bytes: found.ContentLength ?? 0, modifiedAt: found.LastModified?.getTime() ?? 0 };
  }

  /** Uploads a file; nothing is there before the whole is. */
  async putFile(key: string, path: string, bytes: number): Promise<void> {
    const partSize = Math.max(UPLOAD.partSize, Math.ceil(bytes / MOST_PARTS));
    if (bytes <= partSize) {
      await this.#told(
        this.#client.send(new PutObjectCommand({ ...this.#at(key), Body: await readFile(path) })),
      );
      return;
    }
    const upload = new Upload({
      client: this.#client,
      params: { ...this.#at(key), Body: createReadStream(path) },
      queueSize: UPLOAD.queueSize,
      partSize,
    });
    await this.#told(upload.done());
  }

  /** @returns the ETag; `undefined` where the condition did not hold */
  async putText(
    key: string,
    text: string,
    condition: { IfMatch?: string; IfNoneMatch?: '*' } = {},
  ): Promise<string | undefined> {
    const put = this.#client.send(
      new PutObjectCommand({
        ...this.#at(key),
        ...condition,
        Body: text,
        ContentType: 'application/json',
      }),
    );
    const answer = await this.#told(
      put.catch((error: unknown) => {
        // `IfMatch` of what is gone: 404.
        if (isConflict(error)) return undefined;
        return condition.IfMatch === undefined ? Promise.reject(error) : orAbsent(error);
      }),
    );
    return answer && (answer.ETag ?? '');
  }

  async text(key: string): Promise<{ text: string; etag: string } | undefined> {
    const read = async () => {
      const found = await this.#client.send(new GetObjectCommand(this.#at(key))).catch(orAbsent);
      if (!found) return undefined;
      return { text: (await found.Body?.transformToString()) ?? '', etag: found.ETag ?? '' };
    };
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#told(read());
      } catch (error) {
        // Some servers give out new content with the checksum of the old while an object is being replaced.
        if (attempt === READS || !(error instanceof PerennialError && error.retryable)) throw error;
        await sleep(50 * attempt);
      }
    }
  }

  /** Downloads into a new file (mode 0600). @returns `false` where there is no such object */
  async download(key: string, path: string): Promise<boolean> {
    const load = async () => {
      const found = await this.#client.send(new GetObjectCommand(this.#at(key))).catch(orAbsent);
      if (!found?.Body) return false;
      await pipeline(
        found.Body.transformToWebStream(),
        createWriteStream(path, { flags: 'wx', mode: 0o600 }),
      );
      return true;
    };
    return this.#told(load());
  }

  async *list(prefix: string): AsyncGenerator<S3Object> {
    const pages = paginateListObjectsV2(
      { client: this.#client },
      { Bucket: this.#bucket, Prefix: this.#prefix + prefix },
    );
    for await (const page of this.#each(pages))
      for (const { Key, Size, LastModified } of page.Contents ?? [])
        if (Key !== undefined)
          yield {
            key: Key.slice(this.#prefix.length),
            bytes: Size ?? 0,
            modifiedAt: LastModified?.getTime() ?? 0,
          };
  }

  /** @returns `false` where the condition did not hold */
  async remove(key: string, condition: { IfMatch?: string } = {}): Promise<boolean> {
    const removed = this.#client
      .send(new DeleteObjectCommand({ ...this.#at(key), ...condition }))
      .then(() => true)
      .catch((error: unknown) => {
        if (isConflict(error)) return false;
        orAbsent(error);
        return true;
      });
    return this.#told(removed);
  }

  /** Deletes an object and, where the bucket keeps them, its former versions. */
  async removeVersions(key: string): Promise<void> {
    await this.remove(key);
    const { Key: full } = this.#at(key);
    for (;;) {
      const page = await this.#told(
        this.#client.send(new ListObjectVersionsCommand({ Bucket: this.#bucket, Prefix: full })),
      );
      const kept = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].filter(
        // A bucket that never had versions lists its objects under the version "null".
        ({ Key, VersionId }) => Key === full && VersionId !== undefined,
      );
      if (kept.length === 0) return;
      for (const { VersionId } of kept)
        await this.#told(this.#client.send(new DeleteObjectCommand({ ...this.#at(key), VersionId })));
    }
  }

  /** Keys of objects that were deleted, and of which the bucket keeps versions. */
  async *deletedKeys(prefix: string): AsyncGenerator<string> {
    let from: { KeyMarker?: string; VersionIdMarker?: string } = {};
    const deleted = new Set<string | undefined>();
    const told = new Set<string>();
    for (;;) {
      const page = await this.#told(
        this.#client.send(
          new ListObjectVersionsCommand({ Bucket: this.#bucket, Prefix: this.#prefix + prefix, ...from }),
        ),
      );
      // The versions of a key may go on on the next page.
      for (const { Key, IsLatest } of page.DeleteMarkers ?? []) if (IsLatest) deleted.add(Key);
      for (const { Key } of page.Versions ?? []) {
        if (Key === undefined || !deleted.has(Key) || told.has(Key)) continue;
        told.add(Key);
        yield Key.slice(this.#prefix.length);
      }
      if (page.IsTruncated !== true) return;
      from = {
        ...(page.NextKeyMarker === undefined ? {} : { KeyMarker: page.NextKeyMarker }),
        ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
      };
    }
  }

  /** Gives up uploads that were begun before `before`; their parts cost room and cannot be seen. */
  async abortUploads(before: number): Promise<void> {
    for (;;) {
      const page = await this.#told(
        this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: this.#prefix })),
      );
      const old = (page.Uploads ?? []).filter(({ Initiated }) => (Initiated?.getTime() ?? before) < before);
      for (const { Key, UploadId } of old)
        await this.#told(
          this.#client
            .send(new AbortMultipartUploadCommand({ Bucket: this.#bucket, Key, UploadId }))
            .catch(orAbsent),
        );
      // What was given up is not listed again.
      if (old.length === 0 || page.IsTruncated !== true) return;
    }
  }

  close(): void {
    this.#client.destroy();
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  async #told<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw toStoreError(error, this.root);
    }
  }

  async *#each<T>(pages: AsyncIterable<T>): AsyncGenerator<T> {
    try {
      yield* pages;
    } catch (error) {
      throw toStoreError(error, this.root);
    }
  }
}
