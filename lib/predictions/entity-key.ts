import { join } from 'node:path';
import { KeyedHash } from '../privacy/keyed-hash.ts';
import { normalForm } from '../privacy/normal-form.ts';
import { agreedKey, findKey, type KeyStore } from '../store/agreed-key.ts';
import { PREDICTION_KEY } from '../store/blob-backend.ts';

const LOCAL = 'entity-key.json';
const PURPOSE = 'prediction log';
const VERSION = 'e';
/** Pseudonyms that are remembered: the keyed hash takes longer than all else that is recorded of a request. */
const REMEMBERED = 10_000;
/** As many hexadecimal digits as `pseudonymOf` has. */
const DIGITS = 32;
/** Texts that are their own normal form: ASCII without spaces around it. */
const PLAIN = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/;

const placeIn = (folder: string) => ({ document: PREDICTION_KEY, copy: join(folder, LOCAL) });

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
  readonly #hash: KeyedHash;

  private constructor(private readonly key: string) {
    this.#hash = new KeyedHash(key);
  }

  /**
   * Which key it is stands in the artifact store, and in a copy beside the segments: a server that starts while the
   * store is away goes on with the same one. The first one to ask decides.
   *
   * @throws PerennialError `KeyringInvalid`, `StoreUnavailable`
   */
  static async open(store: KeyStore, folder: string): Promise<EntityKey> {
    const secret = await agreedKey(store, placeIn(folder));
    return new EntityKey(await secret(PURPOSE));
  }

  /** The key, where there is one: without it no entity was ever recorded. @throws as {@link open} */
  static async find(store: KeyStore, folder: string): Promise<EntityKey | undefined> {
    const secret = await findKey(store, placeIn(folder));
    return secret && new EntityKey(await secret(PURPOSE));
  }

  /** As `pseudonymOf` of lib/privacy with {@link pseudonymKey}, in a fifth of the time. */
  pseudonym(entity: string): string {
    const known = this.#known.get(entity);
    if (known !== undefined) return known;
    const text = Buffer.from(PLAIN.test(entity) ? entity : normalForm(entity), 'utf8');
    const made = `p${VERSION}_${this.#hash.digest(text).toString('hex').slice(0, DIGITS)}`;
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(entity, made);
    return made;
  }

  /** The pseudonym of an id as a person's normal form gives it. */
  get pseudonymKey(): { key: string; version: string } {
    return { key: this.key, version: VERSION };
  }
}
