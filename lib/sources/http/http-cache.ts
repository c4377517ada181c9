import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../../contracts/errors.ts';
import type { Keyring } from '../../store/keyring.ts';
import { sealFile, unsealFile } from '../../store/sealed-file.ts';

const remembered = z.strictObject({
  etag: z.string().nullable(),
  lastModified: z.string().nullable(),
  /** Of the body as stored: content encodings taken off. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  mediaType: z.string(),
});

/** What an address answered last. */
export type Remembered = z.infer<typeof remembered>;

/**
 * Remembers what web addresses answered, so that an unchanged one is not transferred again. One folder for each
 * address and its headers; the body is named by its digest, so that a reader never sees a mixture, and encrypted: that it
 * holds people is found out only after it was read.
 */
export class HttpCache {
  private constructor(
    private readonly folder: string,
    private readonly keyring: Keyring,
  ) {}

  /** @param secretParts the address and the headers as sent; only their digest is stored */
  static of({ folder, keyring }: { folder: string; keyring: Keyring }, secretParts: unknown): HttpCache {
    const key = createHash('sha256').update(JSON.stringify(secretParts)).digest('hex');
    return new HttpCache(join(folder, key), keyring);
  }

  /** What was remembered, where its body is there too. */
  async read(): Promise<Remembered | undefined> {
    const text = await readFile(join(this.folder, 'answer.json'), 'utf8').catch(() => '');
    const parsed = remembered.safeParse(parseJson(text));
    return parsed.success ? parsed.data : undefined;
  }

  /** Decrypts the remembered body into a new file; `false` where it has gone, or its key has. */
  async take(answer: Remembered, target: string): Promise<boolean> {
    try {
      await unsealFile(this.#body(answer.sha256), target, this.keyring);
      return true;
    } catch {
      await rm(target, { force: true });
      return false;
    }
  }

  /** Where there is no key to be had, nothing is remembered. */
  async keep(answer: Remembered, body: string): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const [newBody, newAnswer] = [this.#temp(), this.#temp()];
    try {
      await sealFile(body, newBody, this.keyring);
      await rename(newBody, this.#body(answer.sha256));
      await writeFile(newAnswer, JSON.stringify(answer), { mode: 0o600, flag: 'wx' });
      await rename(newAnswer, join(this.folder, 'answer.json'));
    } catch (error) {
      if (error instanceof PerennialError && error.code === 'KeyringInvalid') return;
      throw error;
    } finally {
      for (const temp of [newBody, newAnswer]) await rm(temp, { force: true });
    }
    for (const name of await readdir(this.folder))
      if (name.startsWith('body-') && name !== `body-${answer.sha256}`)
        await rm(join(this.folder, name), { force: true });
  }

  async forget(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  #temp(): string {
    return join(this.folder, `new-${randomUUID()}`);
  }

  #body(sha256: string): string {
    return join(this.folder, `body-${sha256}`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
