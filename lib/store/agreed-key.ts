import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { ArtifactStore } from './artifact-store.ts';
import { orMissing, writeDurably } from './durable-file.ts';

const keyDocument = z.strictObject({ keyId: z.string(), salt: z.string() });
type KeyDocument = z.infer<typeof keyDocument>;

/** What says which key it is. */
export type KeyStore = Pick<ArtifactStore, 'documents' | 'keyring'>;

/** Where it stands which key of the keyring a secret is derived from. */
export interface AgreedKey {
  /** The document in the artifact store. */
  document: string;
  /** A copy of it on this machine: a process that starts while the store is away goes on with the same key. */
  copy: string;
}

/**
 * Gives secrets of a purpose, derived from the keyring, one for the whole deployment: the first process to ask decides
 * which key of the keyring it is.
 *
 * @returns 64 hexadecimal digits for a purpose
 * @throws PerennialError `KeyringInvalid`, `StoreUnavailable`
 * @example const secret = (await agreedKey(store, { document, copy }))('prediction log')
 */
export async function agreedKey(
  store: KeyStore,
  where: AgreedKey,
): Promise<(purpose: string) => Promise<string>> {
  const known = await copyIn(where.copy);
  const document = known ?? (await agreed(store, where.document));
  if (!known) await copyTo(where.copy, document).catch(() => undefined);
  return derived(store, document);
}

/** The same, where there is one: without it nothing was ever kept under it. @throws as {@link agreedKey} */
export async function findKey(
  store: KeyStore,
  where: AgreedKey,
): Promise<((purpose: string) => Promise<string>) | undefined> {
  const document = (await copyIn(where.copy)) ?? (await stored(store, where.document));
  return document && derived(store, document);
}

const derived =
  ({ keyring }: KeyStore, { keyId, salt }: KeyDocument) =>
  (purpose: string): Promise<string> =>
    keyring.derived(keyId, purpose, salt);

async function stored({ documents }: KeyStore, name: string): Promise<KeyDocument | undefined> {
  const found = await documents.read(name);
  return found && keyDocument.parse(found.value);
}

async function agreed(store: KeyStore, name: string): Promise<KeyDocument> {
  const found = await stored(store, name);
  if (found) return found;
  const { id } = await store.keyring.current();
  const made = keyDocument.parse({ keyId: id, salt: randomBytes(16).toString('hex') });
  await store.documents.write(name, made, { ifVersion: null });
  return (await stored(store, name)) ?? made;
}

async function copyIn(path: string): Promise<KeyDocument | undefined> {
  const text = await readFile(path, 'utf8').catch(orMissing);
  return text === undefined ? undefined : keyDocument.safeParse(parsed(text)).data;
}

async function copyTo(path: string, document: KeyDocument): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
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
