import { hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import type { BlobKey } from './sealed-format.ts';

const keyId = z.string().regex(/^[a-z0-9-]{1,24}$/);
const keyringFile = z.strictObject({
  /** Id of the key that new blobs are sealed with. */
  current: keyId,
  /** 32 bytes each, as base64. Old keys stay for as long as blobs need them. */
  keys: z.record(
    keyId,
    z.base64().refine((text) => Buffer.from(text, 'base64').length === 32, 'expected 32 bytes as base64'),
  ),
});
type KeyringFile = z.infer<typeof keyringFile>;

/** What to do where there is no keyring file. */
export type WhereMissing =
  /** Make one with a new key, but where `needed` finds that an older one is lost: for a store that this machine alone uses. */
  | { create: true; needed?: () => Promise<boolean> }
  /** Refuse: other machines could not read what a key of this one sealed. */
  | { create: false; why: string };

/**
 * The keys that blobs are encrypted with: a JSON file `{ current, keys: { id: base64 of 32 bytes } }`, readable by its
 * owner alone. It is read when it is first needed, and again when it changes.
 *
 * @example
 * const keyring = new Keyring('.perennial/keyring.json', { create: true });
 * const { id } = await keyring.current();
 */
export class Keyring {
  #read: { at: number; keys: KeyringFile } | undefined;

  constructor(
    private readonly path: string,
    private readonly whereMissing: WhereMissing,
  ) {}

  /** The key for new blobs; the file is made where it may be. @throws PerennialError `KeyringInvalid` */
  async current(): Promise<BlobKey> {
    const keys = (await this.#load()) ?? (await this.#make());
    return this.#named(keys, keys.current) ?? this.#without(keys.current);
  }

  /** The key of an id. @throws PerennialError `KeyringInvalid` where the keyring does not hold it */
  async key(id: string): Promise<BlobKey> {
    const keys = await this.#load();
    return (keys && this.#named(keys, id)) ?? this.#without(id);
  }

  /**
   * A secret of 32 bytes as hex that is derived from a key (HKDF with SHA-256, RFC 5869), the same for the same key,
   * purpose and salt. Where the key is replaced by a newer one, it has to stay in the keyring.
   *
   * @throws PerennialError `KeyringInvalid`
   */
  async derived(id: string, purpose: string, salt: string): Promise<string> {
    const { secret } = await this.key(id);
    return Buffer.from(hkdfSync('sha256', secret, salt, `perennial ${purpose}`, 32)).toString('hex');
  }

  #named({ keys }: KeyringFile, id: string): BlobKey | undefined {
    const secret = Object.hasOwn(keys, id) ? keys[id] : undefined;
    return secret === undefined ? undefined : { id, secret: Buffer.from(secret, 'base64') };
  }

  #without(id: string): never {
    throw new PerennialError(
      'KeyringInvalid',
      `the keyring ${this.path} does not hold the key "${id}"; put it back from where you keep keys apart from backups, or name the right keyring by PERENNIAL_KEYRING`,
    );
  }

  /** `undefined` where there is no file. */
  async #load(): Promise<KeyringFile | undefined> {
    const info = await stat(this.path).catch(() => undefined);
    if (!info) return undefined;
    if (this.#read?.at === info.mtimeMs) return this.#read.keys;
    if ((info.mode & 0o077) !== 0)
      throw new PerennialError(
        'KeyringInvalid',
        `the keyring ${this.path} is open to other users (mode ${(info.mode & 0o777).toString(8)}); run chmod 600 on it`,
      );
    const keys = keyringFile.safeParse(json(await readFile(this.path, 'utf8')));
    // The issues are not told: they may quote a key.
    if (!keys.success)
      throw new PerennialError(
        'KeyringInvalid',
        `the keyring ${this.path} is not { "current": ID, "keys": { ID: base64 of 32 bytes } } with ids of a-z, 0-9 and "-"`,
      );
    this.#read = { at: info.mtimeMs, keys: keys.data };
    return keys.data;
  }

  /** Two processes that make it at once end with the same file: a link, unlike a rename, replaces nothing. */
  async #make(): Promise<KeyringFile> {
    if (!this.whereMissing.create)
      throw new PerennialError(
        'KeyringInvalid',
        `there is no keyring: ${this.whereMissing.why}. Make one, { "current": "a", "keys": { "a": base64 of 32 random bytes } }, mode 0600, the same on every machine, and name it by PERENNIAL_KEYRING`,
      );
    if (await this.whereMissing.needed?.()) {
      // Another process may have made it meanwhile, and sealed something.
      const made = await this.#load();
      if (made) return made;
      throw new PerennialError(
        'KeyringInvalid',
        `the keyring ${this.path} is gone, and the artifact store holds what only its keys open; put it back from where you keep keys apart from backups, or name the right keyring by PERENNIAL_KEYRING`,
      );
    }
    const id = `k-${new Date().toISOString().slice(0, 10)}-${randomBytes(3).toString('hex')}`;
    const fresh: KeyringFile = { current: id, keys: { [id]: randomBytes(32).toString('base64') } };
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const temp = `${this.path}.${randomUUID()}`;
    try {
      const file = await open(temp, 'wx', 0o600);
      try {
        await file.writeFile(`${JSON.stringify(fresh, null, 2)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await link(temp, this.path).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
    } finally {
      await rm(temp, { force: true });
    }
    return (await this.#load()) ?? fresh;
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
