import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { whileLocked } from './document-lock.ts';
import { type Documents, documentPath, parsedDocument, type StoredDocument } from './documents.ts';
import { orMissing, writeDurably } from './durable-file.ts';

/** Documents as files of a folder, `<root>/<key>.json`; changed under a lock file, read without one. */
export class FileDocuments implements Documents {
  constructor(private readonly root: string) {}

  async read(key: string): Promise<StoredDocument | undefined> {
    const path = this.#path(key);
    const text = await readFile(path, 'utf8').catch(orMissing);
    return text === undefined ? undefined : { value: parsedDocument(text, path), version: versionOf(text) };
  }

  async write(
    key: string,
    value: unknown,
    options?: { ifVersion: string | null },
  ): Promise<string | undefined> {
    const path = this.#path(key);
    const text = JSON.stringify(value);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const temp = `${path}.${randomUUID()}`;
    try {
      await writeDurably(temp, text);
      return await whileLocked(`${path}.lock`, async () => {
        if (options && (await this.#versionAt(path)) !== options.ifVersion) return undefined;
        await rename(temp, path);
        return versionOf(text);
      });
    } finally {
      await rm(temp, { force: true });
    }
  }

  async *keys(prefix: string): AsyncGenerator<string> {
    const folder = join(this.root, dirname(documentPath(`${prefix}x`)));
    const entries = await readdir(folder, { withFileTypes: true }).catch(orMissing);
    for (const entry of entries ?? []) {
      if (entry.isDirectory()) yield* this.keys(`${prefix}${entry.name}/`);
      else if (entry.name.endsWith('.json')) yield `${prefix}${entry.name.slice(0, -'.json'.length)}`;
    }
  }

  async remove(key: string, options?: { ifVersion: string }): Promise<boolean> {
    const path = this.#path(key);
    if ((await this.#versionAt(path)) === null) return true;
    return whileLocked(`${path}.lock`, async () => {
      const version = await this.#versionAt(path);
      if (options && version !== null && version !== options.ifVersion) return false;
      await rm(path, { force: true });
      return true;
    });
  }

  #path(key: string): string {
    return join(this.root, documentPath(key));
  }

  async #versionAt(path: string): Promise<string | null> {
    const text = await readFile(path, 'utf8').catch(orMissing);
    return text === undefined ? null : versionOf(text);
  }
}

/** Of the content: a document that comes back to what it was is the same one for all that read it. */
const versionOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32);
