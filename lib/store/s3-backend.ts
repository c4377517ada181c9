import { rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { PerennialError } from '../../contracts/errors.ts';
import { type BlobBackend, type BlobHead, blobName, blobPath, SEALED_SUFFIX } from './blob-backend.ts';
import { sha256OfFile } from './digest.ts';
import { ReadCache } from './read-cache.ts';
import { S3Bucket } from './s3-bucket.ts';
import { S3Documents } from './s3-documents.ts';
import type { S3Location } from './store-location.ts';

/** S3 tells times to the second. */
const GRAIN_MS = 2_000;
/** A collector that has not decided after this has died; see {@link S3Backend.remove}. */
const DOOM_MS = 60_000;
const POLL_MS = 100;

/** Only the time of such an object matters; the SDK warns of empty ones. */
const MARK = 'true';

const touchedKey = (name: string): string => `touched/${name}`;
const doomedKey = (name: string): string => `doomed/${name}`;

/**
 * Blobs in a bucket, for several machines, with a local cache of those that were read or written here.
 *
 * To touch a blob is to write the tiny object `touched/<name>`: one small request whatever the blob's size, no second
 * copy, no new version of the blob in a bucket that keeps versions. S3 has no delete that depends on a time, so the
 * collector says first what it is about to delete (`doomed/<name>`), looks at the time after that, and only then
 * deletes. Who touches writes first and looks for `doomed/<name>` after that: one of the two sees the other.
 */
export class S3Backend implements BlobBackend {
  readonly evicts = true;
  readonly root: string;
  readonly documents: S3Documents;
  /** Downloads under way. */
  readonly #loading = new Map<string, Promise<string | undefined>>();

  private constructor(
    private readonly bucket: S3Bucket,
    private readonly cache: ReadCache,
  ) {
    this.root = bucket.root;
    this.documents = new S3Documents(bucket);
  }

  /** @param cache folder and size, in bytes, of the local copies */
  static async create(location: S3Location, cache: { folder: string; maxBytes: number }): Promise<S3Backend> {
    return new S3Backend(new S3Bucket(location), await ReadCache.create(cache.folder, cache.maxBytes));
  }

  tempPath(): string {
    return this.cache.tempPath();
  }

  async adopt(temp: string, name: string): Promise<void> {
    await this.bucket.putFile(blobPath(name), temp, (await stat(temp)).size);
    await this.cache.adopt(temp, name);
  }

  async head(name: string): Promise<BlobHead | undefined> {
    const found = await this.bucket.head(blobPath(name));
    return found && { bytes: found.bytes, touchedAt: found.modifiedAt };
  }

  async touch(name: string): Promise<BlobHead | undefined> {
    if (!(await this.head(name))) return undefined;
    await this.bucket.putText(touchedKey(name), MARK);
    await this.#spared(name);
    const found = await this.head(name);
    if (!found) await this.bucket.remove(touchedKey(name));
    return found;
  }

  async local(name: string): Promise<string | undefined> {
    const cached = await this.cache.get(name);
    if (cached !== undefined) {
      // Asked for all the same: what was erased on another machine must not be had from here.
      const head = await this.head(name).catch((error: unknown) => {
        if (error instanceof PerennialError && error.code === 'StoreUnavailable') return null;
        throw error;
      });
      if (head !== undefined) return cached;
      await this.cache.remove(name);
      return undefined;
    }
    const loading = this.#loading.get(name) ?? this.#load(name).finally(() => this.#loading.delete(name));
    this.#loading.set(name, loading);
    return loading;
  }

  forget(name: string): Promise<void> {
    return this.cache.remove(name);
  }

  async *list(): AsyncGenerator<BlobHead & { name: string }> {
    const touched = new Map<string, number>();
    for await (const { key, modifiedAt } of this.bucket.list('touched/'))
      touched.set(key.slice('touched/'.length), modifiedAt);
    for await (const { key, bytes, modifiedAt } of this.bucket.list('sha256/')) {
      const name = blobName(key.slice('sha256/'.length));
      if (name !== undefined) yield { name, bytes, touchedAt: Math.max(modifiedAt, touched.get(name) ?? 0) };
    }
  }

  async remove(name: string, untouchedSince: number): Promise<boolean> {
    if (await this.#isWanted(name, untouchedSince)) return false;
    const started = Date.now();
    await this.bucket.putText(doomedKey(name), MARK);
    try {
      if (await this.#isWanted(name, untouchedSince)) return false;
      // Held up for so long that others may take this collector for dead.
      if (Date.now() - started > DOOM_MS / 2) return false;
      await this.bucket.remove(blobPath(name));
      await this.bucket.remove(touchedKey(name));
      await this.cache.remove(name);
      return true;
    } finally {
      await this.bucket.remove(doomedKey(name));
    }
  }

  async erase(name: string): Promise<void> {
    await this.bucket.removeVersions(blobPath(name));
    await this.bucket.removeVersions(touchedKey(name));
    await this.cache.remove(name);
  }

  async formerVersions(): Promise<number> {
    let deleted = 0;
    for await (const key of this.bucket.deletedKeys('sha256/'))
      if (blobName(key.slice('sha256/'.length)) !== undefined) deleted += 1;
    return deleted;
  }

  async sweep(before: number): Promise<void> {
    await this.bucket.abortUploads(before);
    await this.cache.sweep(before);
  }

  copies(): Promise<string[]> {
    return this.cache.names();
  }

  /** Whether a blob was touched since, or so short a time ago that S3's clock cannot tell. */
  async #isWanted(name: string, untouchedSince: number): Promise<boolean> {
    const [blob, touch] = await Promise.all([
      this.bucket.head(blobPath(name)),
      this.bucket.head(touchedKey(name)),
    ]);
    const touchedAt = Math.max(blob?.modifiedAt ?? 0, touch?.modifiedAt ?? 0);
    return blob === undefined || touchedAt > untouchedSince || Date.now() - touchedAt < GRAIN_MS;
  }

  /** Waits until no collector is about to delete the blob. */
  async #spared(name: string): Promise<void> {
    for (;;) {
      const doom = await this.bucket.head(doomedKey(name));
      if (!doom) return;
      if (Date.now() - doom.modifiedAt > DOOM_MS) await this.bucket.remove(doomedKey(name));
      else await sleep(POLL_MS);
    }
  }

  async #load(name: string): Promise<string | undefined> {
    const temp = this.cache.tempPath();
    try {
      if (!(await this.bucket.download(blobPath(name), temp))) return undefined;
      // An encrypted blob is checked where it is decrypted.
      if (!name.endsWith(SEALED_SUFFIX) && (await sha256OfFile(temp)) !== name)
        throw new PerennialError(
          'ArtifactCorrupt',
          `artifact cas:${name} came from ${this.root} with other bytes than its digest says; delete ${blobPath(name)} there and run the stage again`,
        );
      return await this.cache.adopt(temp, name);
    } finally {
      await rm(temp, { force: true });
    }
  }
}
