import { setTimeout as sleep } from 'node:timers/promises';
import { PerennialError } from '../../contracts/errors.ts';

/** A document as it was read. */
export interface StoredDocument {
  /** What was written; check it with its schema. */
  value: unknown;
  /** Changes with every change of the content; see {@link Documents.write}. */
  version: string;
}

/**
 * Small JSON documents in the artifact store, by key: manifests of runs, the index of the step cache, what was erased,
 * heads of incremental sources. Unlike blobs they change; every write is atomic and may depend on what was read.
 *
 * A key is one or more names joined by `/`; each of letters, digits, `.`, `_` and `-`, first a letter or a digit. No
 * personal data in keys.
 *
 * @example
 * const { version } = (await documents.read('heads/flights')) ?? { version: null };
 * const written = await documents.write('heads/flights', { watermark: 7 }, { ifVersion: version });
 * if (written === undefined) console.log('somebody else was faster');
 */
export interface Documents {
  read(key: string): Promise<StoredDocument | undefined>;
  /**
   * @param options.ifVersion writes only where the document still has this version; `null`: only where there is none
   * @returns the new version; `undefined` where it was not written because of `ifVersion`. Over a network also where it
   *   was written and the answer was lost: read it again, and make changes that may be made twice
   */
  write(key: string, value: unknown, options?: { ifVersion: string | null }): Promise<string | undefined>;
  /** Keys that begin with `prefix`, which ends with `/`, in no order. */
  keys(prefix: string): AsyncIterable<string>;
  /** @returns whether it is gone; `false` only where it has another version than `ifVersion` */
  remove(key: string, options?: { ifVersion: string }): Promise<boolean>;
}

/** Names at the top of a store that are no documents. */
const RESERVED = new Set(['sha256', 'tmp', 'touched', 'doomed']);
const KEY = /^[A-Za-z0-9][\w.-]{0,199}(\/[A-Za-z0-9][\w.-]{0,199}){0,7}$/;

/** The key, checked; the store's root and this make the place of a document. */
export function documentPath(key: string): string {
  if (!KEY.test(key) || RESERVED.has(key.split('/')[0] ?? ''))
    throw new PerennialError(
      'InputInvalid',
      `"${key.slice(0, 100)}" is no key of a document: names of letters, digits, ".", "_" and "-", joined by "/"`,
    );
  return `${key}.json`;
}

/** Parses a document; one that is none was put there by somebody else. */
export function parsedDocument(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new PerennialError(
      'ArtifactCorrupt',
      `${place} is not JSON; delete it or restore it from a backup`,
    );
  }
}

const ATTEMPTS = 100;
const PAUSE_MS = 5;
const AT_ONCE = 16;

/**
 * Changes a document by what it holds; again with the newer content where somebody else was faster.
 *
 * @param change the new value for the old one; `undefined` leaves it as it is
 * @returns the value that stands now
 * @throws PerennialError `StoreUnavailable` where it changes faster than it can be read
 */
export async function updateDocument(
  documents: Documents,
  key: string,
  change: (value: unknown) => unknown,
): Promise<unknown> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const found = await documents.read(key);
    const value = change(found?.value);
    if (value === undefined) return found?.value;
    if ((await documents.write(key, value, { ifVersion: found?.version ?? null })) !== undefined)
      return value;
    await sleep(Math.random() * PAUSE_MS * Math.min(attempt + 1, 20));
  }
  throw new PerennialError('StoreUnavailable', `the document ${key} is changed by too many at once`, true);
}

/** All documents below a prefix, several read at once. One that goes meanwhile is left out. */
export async function* documentsBelow(
  documents: Documents,
  prefix: string,
): AsyncGenerator<StoredDocument & { key: string }> {
  const read = async (keys: readonly string[]) =>
    Promise.all(keys.map(async (key) => ({ key, found: await documents.read(key) })));
  let batch: string[] = [];
  const told = function* (answers: Awaited<ReturnType<typeof read>>) {
    for (const { key, found } of answers) if (found) yield { key, ...found };
  };
  for await (const key of documents.keys(prefix)) {
    batch.push(key);
    if (batch.length < AT_ONCE) continue;
    yield* told(await read(batch));
    batch = [];
  }
  yield* told(await read(batch));
}
