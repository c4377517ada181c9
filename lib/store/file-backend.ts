import { randomUUID } from 'node:crypto';
import { link, mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type BlobBackend, type BlobHead, blobName, blobPath } from './blob-backend.ts';
import { flush, orMissing } from './durable-file.ts';
import { FileDocuments } from './file-documents.ts';

/** Artifacts hold people's data: for the owner alone. */
const FOLDER = { recursive: true, mode: 0o700 } as const;

/** Blobs in a folder, of this machine or of a network file system. */
export class FileBackend implements BlobBackend {
  readonly evicts = false;
  readonly documents: FileDocuments;

  private constructor(readonly root: string) {
    this.documents = new FileDocuments(root);
  }

  /** @param root created where it is missing */
  static async create(root: string): Promise<FileBackend> {
    await mkdir(join(root, 'sha256'), FOLDER);
    await mkdir(join(root, 'tmp'), FOLDER);
    return new FileBackend(root);
  }

  tempPath(): string {
    return join(this.root, 'tmp', randomUUID());
  }

  async adopt(temp: string, name: string): Promise<void> {
    await flush(temp);
    const target = this.#path(name);
    await mkdir(dirname(target), FOLDER);
    await rename(temp, target);
  }

  async head(name: string): Promise<BlobHead | undefined> {
    const info = await stat(this.#path(name)).catch(orMissing);
    return info && { bytes: info.size, touchedAt: info.mtimeMs };
  }

  /** A fresh modification time; where the collector has taken the file in between, there is nothing to give it to. */
  async touch(name: string): Promise<BlobHead | undefined> {
    const now = new Date();
    const touched = await utimes(this.#path(name), now, now).then(() => true, orMissing);
    return touched ? this.head(name) : undefined;
  }

  async local(name: string): Promise<string | undefined> {
    return (await this.head(name)) && this.#path(name);
  }

  async forget(): Promise<void> {
    // There is no copy beside the blob.
  }

  async copies(): Promise<string[]> {
    return [];
  }

  async formerVersions(): Promise<number> {
    return 0;
  }

  async *list(): AsyncGenerator<BlobHead & { name: string }> {
    const folder = join(this.root, 'sha256');
    for (const prefix of await readdir(folder))
      for (const rest of (await readdir(join(folder, prefix)).catch(orMissing)) ?? []) {
        const name = blobName(`${prefix}/${rest}`);
        const head = name === undefined ? undefined : await this.head(name);
        if (name !== undefined && head) yield { name, ...head };
      }
  }

  /**
   * The file is moved aside before its time is read: from then on nobody can touch it, and who asks for these bytes
   * writes them again.
   */
  async remove(name: string, untouchedSince: number): Promise<boolean> {
    const path = this.#path(name);
    const listed = await this.head(name);
    if (!listed || listed.touchedAt > untouchedSince) return false;
    const aside = this.tempPath();
    if (!(await rename(path, aside).then(() => true, orMissing))) return false;
    try {
      if ((await stat(aside)).mtimeMs <= untouchedSince) return true;
      await link(aside, path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      return false;
    } finally {
      await rm(aside, { force: true });
    }
  }

  async erase(name: string): Promise<void> {
    await rm(this.#path(name), { force: true });
  }

  async sweep(before: number): Promise<void> {
    const folder = join(this.root, 'tmp');
    for (const name of await readdir(folder)) {
      const path = join(folder, name);
      const info = await stat(path).catch(orMissing);
      if (info && info.mtimeMs < before) await rm(path, { force: true });
    }
  }

  #path(name: string): string {
    return join(this.root, blobPath(name));
  }
}
