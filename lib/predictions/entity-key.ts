import { hash, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { normalForm } from '../privacy/normal-form.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { PREDICTION_KEY } from '../store/blob-backend.ts';
import { orMissing, writeDurably } from '../store/durable-file.ts';

const keyDocument = z.strictObject({ keyId: z.string(), salt: z.string() });
type KeyDocument = z.infer<typeof keyDocument>;

/** What says which key it is. */
type KeyStore = Pick<ArtifactStore, 'documents' | 'keyring'>;

const LOCAL = 'entity-key.json';
const VERSION = 'e';
/** Pseudonyms that are remembered: the keyed hash takes longer than all else that is recorded of a request. */
const REMEMBERED = 10_000;
/** Bytes of SHA-256's block and digest (RFC 2104); a derived key of 64 hexadecimal digits is one block. */
const BLOCK = 64;
const DIGEST = 32;
/** As many hexadecimal digits as `pseudonymOf` has. */
const DIGITS = 32;
/** Texts that are their own normal form: ASCII without spaces around it. */
const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

/**
 * The pseudonyms of entities in the prediction log: HMAC-SHA-256 of the key's normal form under a key that is derived
 * from the keyring, one for the whole deployment, so that truth finds its prediction on any server. Whoever has the log
 * without the keyring cannot try out who is in it.
 *
 * @example
 * const key = await EntityKey.open(store, segmentsFolder(config));
 * key.pseudonym('customer-17') // 'pe_5c1d…'
 */
export class EntityKey {
  readonly #known = new Map<string, string>();
  readonly #inner: Buffer;
  readonly #outer = Buffer.alloc(BLOCK + DIGEST);

  private constructor(private readonly key: string) {
    this.#inner = padded(key, 0x36);
    padded(key, 0x5c).copy(this.#outer);
  }

  /**
   * Which key it is stands in the artifact store, and in a copy beside the segments: a server that starts while the
   * store is away goes on with the same one. The first one to ask decides.
   *
   * @throws PerennialError `KeyringInvalid`, `StoreUnavailable`
   */
  static async open(store: KeyStore, folder: string): Promise<EntityKey> {
    const known = await copyIn(folder);
    const document = known ?? (await agreed(store));
    if (!known) await copyTo(folder, document).catch(() => undefined);
    return EntityKey.#of(store, document);
  }

  /** The key, where there is one: without it no entity was ever recorded. @throws as {@link open} */
  static async find(store: KeyStore, folder: string): Promise<EntityKey | undefined> {
    const document = (await copyIn(folder)) ?? (await stored(store));
    return document && EntityKey.#of(store, document);
  }

  static async #of({ keyring }: KeyStore, { keyId, salt }: KeyDocument): Promise<EntityKey> {
    return new EntityKey(await keyring.derived(keyId, 'prediction log', salt));
  }

  /** As `pseudonymOf` of lib/privacy with {@link pseudonymKey}, in a fifth of the time. */
  pseudonym(entity: string): string {
    const known = this.#known.get(entity);
    if (known !== undefined) return known;
    const text = Buffer.from(PLAIN.test(entity) ? entity : normalForm(entity), 'utf8');
    hash('sha256', Buffer.concat([this.#inner, text]), 'buffer').copy(this.#outer, BLOCK);
    const made = `p${VERSION}_${hash('sha256', this.#outer, 'hex').slice(0, DIGITS)}`;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(entity, made);
    return made;
  }

  /** The pseudonym of an id as a person's normal form gives it. */
  get pseudonymKey(): { key: string; version: string } {
    return { key: this.key, version: VERSION };
  }
}

/** The key's block with each byte xor `value`: the inner or the outer key of HMAC. */
const padded = (key: string, value: number): Buffer =>
  Buffer.from(Buffer.from(key, 'utf8').map((byte) => byte ^ value));

async function stored({ documents }: KeyStore): Promise<KeyDocument | undefined> {
  const found = await documents.read(PREDICTION_KEY);
  return found && keyDocument.parse(found.value);
}

async function agreed(store: KeyStore): Promise<KeyDocument> {
  const found = await stored(store);
  if (found) return found;
  const { id } = await store.keyring.current();
  const made = keyDocument.parse({ keyId: id, salt: randomBytes(16).toString('hex') });
  await store.documents.write(PREDICTION_KEY, made, { ifVersion: null });
  return (await stored(store)) ?? made;
}

async function copyIn(folder: string): Promise<KeyDocument | undefined> {
  const text = await readFile(join(folder, LOCAL), 'utf8').catch(orMissing);
  return text === undefined ? undefined : keyDocument.safeParse(parsed(text)).data;
}

async function copyTo(folder: string, document: KeyDocument): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, LOCAL);
  const temp = `${path}.${randomBytes(6).toString('hex')}`;
  await writeDurably(temp, JSON.stringify(document));
  await rename(temp, path);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
