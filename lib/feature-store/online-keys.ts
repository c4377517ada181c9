import { createCipheriv, createDecipheriv } from 'node:crypto';
import { join } from 'node:path';
import { KeyedHash } from '../privacy/keyed-hash.ts';
import { agreedKey, type KeyStore } from '../store/agreed-key.ts';
import { FEATURE_KEY } from '../store/blob-backend.ts';
import { ENTITY_BYTES } from './online-backend.ts';
import { OnlineStoreError } from './online-store.ts';

const LOCAL = 'feature-key.json';
/** Digests that are remembered: the keyed hash takes longer than reading a record. */
const REMEMBERED = 10_000;
/** The first byte of a sealed record, which no format of records is. */
const SEALED = 0x81;
const NONCE = 12;
const TAG = 16;

/** What the keys of the online store are, 64 hexadecimal digits each. Never on a command line, in a file or a history. */
export interface OnlineSecrets {
  readonly entities: string;
  readonly nonces: string;
  readonly records: string;
}

/**
 * The secrets of a deployment, derived from its keyring.
 *
 * @param folder in which a copy says which key it is, for a process that starts while the store is away
 * @throws PerennialError `KeyringInvalid`, `StoreUnavailable`
 */
export async function onlineSecrets(store: KeyStore, folder: string): Promise<OnlineSecrets> {
  const secret = await agreedKey(store, { document: FEATURE_KEY, copy: join(folder, LOCAL) });
  return {
    entities: await secret('feature store entities'),
    nonces: await secret('feature store nonces'),
    records: await secret('feature store records'),
  };
}

/**
 * What keeps the online store from telling who is in it: entities are known by HMAC-SHA-256 of their keys, cut to 128
 * bits, and records of personal views are encrypted by AES-256-GCM.
 *
 * ```
 * sealed record:  129 | nonce, 12 bytes | ciphertext | tag, 16 bytes
 * nonce:          HMAC-SHA-256 of place and plaintext under a key of its own, cut
 * ```
 *
 * With such a nonce (as in SIV, RFC 5297) the same record of the same place has the same bytes, so that a writer sees
 * what has not changed. The place is associated data: a record that was moved does not open.
 */
export class OnlineKeys {
  readonly #known = new Map<string, Buffer>();
  readonly #entities: KeyedHash;
  readonly #nonces: KeyedHash;
  readonly #secret: Buffer;

  constructor({ entities, nonces, records }: OnlineSecrets) {
    this.#entities = new KeyedHash(entities);
    this.#nonces = new KeyedHash(nonces);
    this.#secret = Buffer.from(records, 'hex');
  }

  /** Tells these keys from others, and nothing of what they are. */
  get fingerprint(): string {
    return this.#nonces.digest(Buffer.from('fingerprint')).toString('hex').slice(0, 16);
  }

  /** What the store knows an entity by, {@link ENTITY_BYTES}. */
  entity(key: string): Buffer {
    const known = this.#known.get(key);
    if (known) return known;
    const made = Buffer.from(this.#entities.digest(Buffer.from(key, 'utf8')).subarray(0, ENTITY_BYTES));
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(key, made);
    return made;
  }

  /** @param place see {@link recordPlace} */
  seal(place: Buffer, plain: Buffer): Buffer {
    const nonce = this.#nonces.digest(Buffer.concat([place, plain])).subarray(0, NONCE);
    const cipher = createCipheriv('aes-256-gcm', this.#secret, nonce).setAAD(place);
    return Buffer.concat([
      Buffer.of(SEALED),
      nonce,
      cipher.update(plain),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
  }

  /** The plain bytes of a record, whether it is sealed or not. @throws OnlineStoreError where it does not open */
  unseal(place: () => Buffer, bytes: Uint8Array): Uint8Array {
    if (bytes[0] !== SEALED) return bytes;
    const body = 1 + NONCE;
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#secret, bytes.subarray(1, body), {
        authTagLength: TAG,
      });
      decipher.setAAD(place());
      decipher.setAuthTag(bytes.subarray(-TAG));
      const plain = decipher.update(bytes.subarray(body, -TAG));
      decipher.final();
      return plain;
    } catch (cause) {
      throw new OnlineStoreError(
        'a record of the online store does not open: it is damaged, or was written under another keyring; name the right keyring by PERENNIAL_KEYRING, or remove the view and materialise it again',
        { cause },
      );
    }
  }
}

/** What tells the place of a record from all others. */
export function recordPlace(view: string, bucket: number, field: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${view} ${bucket} `), field]);
}
