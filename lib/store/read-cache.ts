import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { blobName } from './blob-backend.ts';
import { orMissing } from './durable-file.ts';

interface Cached {
  path: string;
  bytes: number;
  usedAt: number;
}

/**
 * Copies of a remote store's blobs in a folder of this machine, by name; encrypted ones as they are. What was not used
 * for longest goes first when there is too much. Several processes may share it.
 */
export class ReadCache {
  #evicting: Promise<void> = Promise.resolve();

  private constructor(
    private readonly folder: string,
    private readonly maxBytes: number,
  ) {}

  static async create(folder: string, maxBytes: number): Promise<ReadCache> {
    for (const part of ['sha256', 'tmp']) await mkdir(join(folder, part), { recursive: true, mode: 0o700 });
    return new ReadCache(folder, maxBytes);
  }

  tempPath(): string {
    return join(this.folder, 'tmp', randomUUID());
  }

  /** The copy of a blob, used just now; `undefined` where there is none. */
  async get(name: string): Promise<string | undefined> {
    const path = this.#path(name);
    const now = new Date();
    const used = await utimes(path, now, now).then(() => true, orMissing);
    return used ? path : undefined;
  }

  /** Takes a whole file as the copy of a blob, and makes room for it. */
  async adopt(temp: string, name: string): Promise<string> {
    const path = this.#path(name);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await rename(temp, path);
    this.#evicting = this.#evicting.then(() => this.#evict(path)).catch(() => undefined);
    await this.#evicting;
    return path;
  }

  async remove(name: string): Promise<void> {
    await rm(this.#path(name), { force: true });
  }

  /** Names of all copies. */
  async names(): Promise<string[]> {
    return (await this.#all()).flatMap(({ path }) => blobName(path.slice(-this.#tail(path))) ?? []);
  }

  /** Deletes what a killed process left half written before `before`, epoch milliseconds. */
  async sweep(before: number): Promise<void> {
    const folder = join(this.folder, 'tmp');
    for (const name of await readdir(folder)) {
      const info = await stat(join(folder, name)).catch(orMissing);
      if (info && info.mtimeMs < before) await rm(join(folder, name), { force: true });
    }
  }

  /** Deletes the longest unused until the rest fits; never the newest, which somebody waits for. */
  async #evict(newest: string): Promise<void> {
    const all = await this.#all();
    let bytes = all.reduce((sum, copy) => sum + copy.bytes, 0);
    for (const copy of all.sort((a, b) => a.usedAt - b.usedAt)) {
      if (bytes <= this.maxBytes) return;
      if (copy.path === newest) continue;
      await rm(copy.path, { force: true });
      bytes -= copy.bytes;
    }
  }

  async #all(): Promise<Cached[]> {
    const root = join(this.folder, 'sha256');
    const found: Cached[] = [];
    for (const prefix of await readdir(root))
      for (const rest of (await readdir(join(root, prefix)).catch(orMissing)) ?? []) {
        const path = join(root, prefix, rest);
        const info = await stat(path).catch(orMissing);
        if (info) found.push({ path, bytes: info.size, usedAt: info.mtimeMs });
      }
    return found;
  }

  #tail(path: string): number {
    return path.length - join(this.folder, 'sha256').length - 1;
  }

  #path(name: string): string {
    return join(this.folder, 'sha256', name.slice(0, 2), name.slice(2));
  }
}
