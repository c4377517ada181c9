import { createHmac, randomBytes } from 'node:crypto';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { pseudonymOf } from '../privacy/pseudonym.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import { PREDICTION_KEY } from '../store/blob-backend.ts';
import { orMissing, writeDurably } from '../store/durable-file.ts';

const keyDocument = z.strictObject({ keyId: z.string(), salt: z.string() });
type KeyDocument = z.infer<typeof keyDocument>;

const LOCAL = 'entity-key.json';
const VERSION = 'e';
/** Pseudonyms that are remembered: the keyed hash takes longer than all else that is recorded of a request. */
const REMEMBERED = 20_000;

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

  private constructor(private readonly key: string) {}

  /**
   * Which key it is stands in the artifact store, and in a copy beside the segments: a server that starts while the
   * store is away goes on with the same one.
   *
   * @throws PerennialError `KeyringInvalid`, `StoreUnavailable`
   */
  static async open(
    { documents, keyring }: Pick<ArtifactStore, 'documents' | 'keyring'>,
    folder: string,
  ): Promise<EntityKey> {
    const local = join(folder, LOCAL);
    const copy = await readFile(local, 'utf8').catch(orMissing);
    const known = copy === undefined ? undefined : keyDocument.safeParse(parsed(copy)).data;
    const { keyId, salt } = known ?? (await agreed({ documents, keyring }));
    const key = await keyring.derived(keyId, 'prediction log', salt);
    if (!known) await copyTo(folder, local, { keyId, salt }).catch(() => undefined);
    return new EntityKey(key);
  }

  pseudonym(entity: string): string {
    const known = this.#known.get(entity);
    if (known !== undefined) return known;
    const made = pseudonymOf(entity, undefined, { key: this.key, version: VERSION });
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(entity, made);
    return made;
  }

  /** The pseudonym of an id as a person's normal form gives it. */
  get pseudonymKey(): { key: string; version: string } {
    return { key: this.key, version: VERSION };
  }

  /** Tells it from other keys, and says nothing of it. */
  get check(): string {
    return createHmac('sha256', this.key).update('perennial check of the entity key').digest('hex').slice(0, 16);
  }
}

async function agreed({
  documents,
  keyring,
}: Pick<ArtifactStore, 'documents' | 'keyring'>): Promise<KeyDocument> {
  const found = await documents.read(PREDICTION_KEY);
  if (found) return keyDocument.parse(found.value);
  const { id } = await keyring.current();
  const made = keyDocument.parse({ keyId: id, salt: randomBytes(16).toString('hex') });
  await documents.write(PREDICTION_KEY, made, { ifVersion: null });
  const written = await documents.read(PREDICTION_KEY);
  return written ? keyDocument.parse(written.value) : made;
}

async function copyTo(folder: string, path: string, document: KeyDocument): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
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
