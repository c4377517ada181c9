import { createHash, randomUUID } from 'node:crypto';
import { constants, copyFile, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

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
 * address and its headers; the body is named by its digest, so that a reader never sees a mixture.
 */
export class HttpCache {
  private constructor(private readonly folder: string) {}

  /** @param secretParts the address and the headers as sent; only their digest is stored */
  static of(cacheDir: string, secretParts: unknown): HttpCache {
    const key = createHash('sha256').update(JSON.stringify(secretParts)).digest('hex');
    return new HttpCache(join(cacheDir, key));
  }

  /** What was remembered, where its body is there too. */
  async read(): Promise<Remembered | undefined> {
    const text = await readFile(join(this.folder, 'answer.json'), 'utf8').catch(() => '');
    const parsed = remembered.safeParse(parseJson(text));
    return parsed.success ? parsed.data : undefined;
  }

  /** Gives the remembered body a second name; `false` where it has gone. */
  async take(answer: Remembered, target: string): Promise<boolean> {
    return sameFile(this.#body(answer.sha256), target).then(
      () => true,
      () => false,
    );
  }

  async keep(answer: Remembered, body: string): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    // Names of this call alone: the first is the very file that the caller goes on reading.
    const [newBody, newAnswer] = [this.#temp(), this.#temp()];
    try {
      await sameFile(body, newBody);
      await rename(newBody, this.#body(answer.sha256));
      await writeFile(newAnswer, JSON.stringify(answer), { mode: 0o600, flag: 'wx' });
      await rename(newAnswer, join(this.folder, 'answer.json'));
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

/** A hard link costs nothing; between file systems there is none. */
async function sameFile(from: string, to: string): Promise<void> {
  await link(from, to).catch((error: NodeJS.ErrnoException) => {
    if (!/^(EXDEV|EPERM|EMLINK)$/.test(error.code ?? '')) throw error;
    return copyFile(from, to, constants.COPYFILE_EXCL);
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
