import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { flush, orMissing } from '../store/durable-file.ts';
import type { S3Location, StoreLocation } from '../store/store-location.ts';

/** Where the Parquet files of the prediction log lie. A file appears whole or not at all. */
export interface PredictionArchive {
  /** For messages: a folder, or `s3://bucket/prefix`. */
  readonly root: string;
  /** Places of files that begin with `prefix`, which ends with `/` or is empty. */
  list(prefix: string): AsyncIterable<string>;
  has(key: string): Promise<boolean>;
  /** Takes a file, durably and in one step; one that is there is replaced. The given one may be gone then. */
  put(key: string, path: string): Promise<void>;
  /** A local file with the content, for reading; `undefined` where there is none (any more). @param scratch a path for a copy */
  get(key: string, scratch: string): Promise<string | undefined>;
  /** Puts a file in the place of another one, of which nothing is kept. */
  replace(key: string, path: string): Promise<void>;
  /** Deletes it, and what is kept of it. */
  remove(key: string): Promise<void>;
}

/** The archive of a location. @example await openArchive({ kind: 'file', root: '.perennial/predictions/archive' }) */
export async function openArchive(location: StoreLocation): Promise<PredictionArchive> {
  return location.kind === 'file' ? new FileArchive(location.root) : s3Archive(location);
}

const PART = '.part';

/** An archive in a folder. */
class FileArchive implements PredictionArchive {
  constructor(readonly root: string) {}

  async *list(prefix: string): AsyncGenerator<string> {
    const entries = await readdir(join(this.root, prefix), { withFileTypes: true }).catch(orMissing);
    for (const entry of entries ?? []) {
      if (entry.isDirectory()) yield* this.list(`${prefix}${entry.name}/`);
      else if (!entry.name.endsWith(PART)) yield `${prefix}${entry.name}`;
    }
  }

  async has(key: string): Promise<boolean> {
    return (await stat(join(this.root, key)).catch(orMissing)) !== undefined;
  }

  async put(key: string, path: string): Promise<void> {
    const target = join(this.root, key);
    await mkdir(dirname(target), { recursive: true, mode: 0o700 });
    const temp = `${target}.${randomUUID()}${PART}`;
    try {
      // Scratch files may lie on another disk, from which nothing can be renamed.
      await rename(path, temp).catch(() => copyFile(path, temp));
      await flush(temp);
      await rename(temp, target);
    } finally {
      await rm(temp, { force: true });
    }
  }

  replace(key: string, path: string): Promise<void> {
    return this.put(key, path);
  }

  async get(key: string): Promise<string | undefined> {
    return (await this.has(key)) ? join(this.root, key) : undefined;
  }

  async remove(key: string): Promise<void> {
    await rm(join(this.root, key), { force: true });
  }
}

/**
 * An archive in a bucket. Where the bucket keeps former versions, what is replaced would stay in one of them: so the new
 * content comes under a name of its own first, then all versions of the old one go. Whoever is killed in between leaves
 * the new content there, and it is read from there. The SDK takes half a second to load.
 */
async function s3Archive(location: S3Location): Promise<PredictionArchive> {
  const { S3Bucket } = await import('../store/s3-bucket.ts');
  const bucket = new S3Bucket(location);
  const put = async (key: string, path: string): Promise<void> =>
    bucket.putFile(key, path, (await stat(path)).size);
  return {
    root: bucket.root,
    async *list(prefix) {
      for await (const { key } of bucket.list(prefix))
        yield key.endsWith(PART) ? key.slice(0, -PART.length) : key;
    },
    has: async (key) =>
      (await bucket.head(key)) !== undefined || (await bucket.head(`${key}${PART}`)) !== undefined,
    put,
    replace: async (key, path) => {
      await put(`${key}${PART}`, path);
      await bucket.removeVersions(key);
      await put(key, path);
      await bucket.removeVersions(`${key}${PART}`);
    },
    get: async (key, scratch) =>
      (await bucket.download(key, scratch)) || (await bucket.download(`${key}${PART}`, scratch))
        ? scratch
        : undefined,
    remove: async (key) => {
      await bucket.removeVersions(key);
      await bucket.removeVersions(`${key}${PART}`);
    },
  };
}
