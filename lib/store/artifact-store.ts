import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { chmod, copyFile, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { ArtifactRef, MediaType } from '../../contracts/refs.ts';

/** SHA-256 of a file as lower-case hex, streamed. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** Artifacts hold people's data: for the owner alone. */
const FOLDER = { recursive: true, mode: 0o700 } as const;

/**
 * Content-addressed artifacts in a folder: `<root>/sha256/ab/cdef…`. Writing is atomic (temp file, fsync, rename)
 * and idempotent: the same bytes are stored once. Blobs are read-only by convention.
 *
 * @example
 * const store = await ArtifactStore.create('.perennial/artifacts');
 * const ref = await store.putJson({ hello: 'world' });
 * const path = await store.path(ref); // verified local file
 */
export class ArtifactStore {
  /** Digests whose bytes this process has already compared with their name. */
  readonly #verified = new Set<string>();

  private constructor(readonly root: string) {}

  /** @param root folder that holds the blobs; created where it is missing */
  static async create(root: string): Promise<ArtifactStore> {
    await mkdir(join(root, 'sha256'), FOLDER);
    await mkdir(join(root, 'tmp'), FOLDER);
    return new ArtifactStore(root);
  }

  /** Copies a file into the store. */
  async putFile(path: string, mediaType: MediaType | (string & {})): Promise<ArtifactRef> {
    const temp = join(this.root, 'tmp', randomUUID());
    try {
      await copyFile(path, temp);
      // A copy comes with the mode of its source.
      await chmod(temp, 0o600);
      return await this.#adopt(temp, await sha256OfFile(temp), mediaType);
    } finally {
      await rm(temp, { force: true });
    }
  }

  /** Stores bytes or text. */
  async putBytes(bytes: Uint8Array | string, mediaType: MediaType | (string & {})): Promise<ArtifactRef> {
    const temp = join(this.root, 'tmp', randomUUID());
    const content = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes;
    try {
      const file = await open(temp, 'wx', 0o600);
      try {
        await file.writeFile(content);
      } finally {
        await file.close();
      }
      return await this.#adopt(temp, createHash('sha256').update(content).digest('hex'), mediaType);
    } finally {
      await rm(temp, { force: true });
    }
  }

  /** Stores a value as JSON. */
  async putJson(value: unknown): Promise<ArtifactRef> {
    return this.putBytes(JSON.stringify(value), 'application/json');
  }

  /**
   * The local path of an artifact, its bytes verified once per process. Never write to it.
   *
   * @throws PerennialError `ArtifactMissing`, `ArtifactCorrupt`
   */
  async path(ref: ArtifactRef): Promise<string> {
    const path = this.#blobPath(ref.sha256);
    const info = await stat(path).catch(() => undefined);
    if (!info)
      throw new PerennialError(
        'ArtifactMissing',
        `artifact ${ref.uri} (${ref.mediaType}) is not in the store at ${this.root}; restore it from a backup or run the stage again`,
      );
    if (!this.#verified.has(ref.sha256)) {
      if (info.size !== ref.bytes || (await sha256OfFile(path)) !== ref.sha256)
        throw new PerennialError(
          'ArtifactCorrupt',
          `artifact ${ref.uri} has other bytes than its digest says; delete ${path} and run the stage again`,
        );
      this.#verified.add(ref.sha256);
    }
    return path;
  }

  /** Whether an artifact is in the store with the right size. */
  async has(ref: ArtifactRef): Promise<boolean> {
    const info = await stat(this.#blobPath(ref.sha256)).catch(() => undefined);
    return info?.size === ref.bytes;
  }

  /** The bytes of an artifact. */
  async bytes(ref: ArtifactRef): Promise<Buffer> {
    return readFile(await this.path(ref));
  }

  /** The parsed JSON of an artifact; check it with its schema. */
  async json(ref: ArtifactRef): Promise<unknown> {
    return JSON.parse((await this.bytes(ref)).toString('utf8'));
  }

  /** All artifacts, with when they were last written or asked for. */
  async blobs(): Promise<{ sha256: string; bytes: number; touchedAt: number }[]> {
    const folder = join(this.root, 'sha256');
    const found: { sha256: string; bytes: number; touchedAt: number }[] = [];
    for (const prefix of await readdir(folder))
      for (const rest of await readdir(join(folder, prefix))) {
        const info = await stat(join(folder, prefix, rest));
        found.push({ sha256: prefix + rest, bytes: info.size, touchedAt: info.mtimeMs });
      }
    return found;
  }

  /**
   * Deletes an artifact; the garbage collector's alone.
   *
   * @param options.untouchedSince epoch milliseconds: one that was written or asked for later is needed again and stays
   * @returns whether it was deleted
   */
  async remove(sha256: string, options: { untouchedSince: number }): Promise<boolean> {
    const path = this.#blobPath(sha256);
    const info = await stat(path).catch(() => undefined);
    if (!info || info.mtimeMs > options.untouchedSince) return false;
    this.#verified.delete(sha256);
    await rm(path, { force: true });
    return true;
  }

  async #adopt(temp: string, sha256: string, mediaType: string): Promise<ArtifactRef> {
    const target = this.#blobPath(sha256);
    const { size } = await stat(temp);
    const ref = { uri: `cas:${sha256}`, sha256, bytes: size, mediaType };
    // A fresh modification time tells the garbage collector that a run has just asked for these bytes. Where it
    // has deleted them in between, they are written again.
    if (
      (await stat(target).catch(() => undefined))?.size === size &&
      (await utimes(target, new Date(), new Date()).then(
        () => true,
        () => false,
      ))
    )
      return ref;
    const file = await open(temp, 'r+');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await mkdir(dirname(target), FOLDER);
    await rename(temp, target);
    return ref;
  }

  #blobPath(sha256: string): string {
    return join(this.root, 'sha256', sha256.slice(0, 2), sha256.slice(2));
  }
}
