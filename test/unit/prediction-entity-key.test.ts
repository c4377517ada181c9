import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EntityKey } from '../../lib/predictions/entity-key.ts';
import { pseudonymOf } from '../../lib/privacy/pseudonym.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';

let folder: string;
let store: ArtifactStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'entity-key-'));
  store = await ArtifactStore.create(join(folder, 'store'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = (segments: string): Promise<EntityKey> => EntityKey.open(store, join(folder, segments));

it('gives the pseudonyms that lib/privacy gives, for whatever text', async () => {
  const key = await open('a');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string({
          unit: fc.constantFrom('a', ' ', '\u00c4', 'e', '\u0301', '\u00a0', '\ud83d\ude00', '\n'),
        }),
      ),
      (entity) => {
        expect(key.pseudonym(entity)).toBe(pseudonymOf(entity, undefined, key.pseudonymKey));
      },
    ),
  );
  expect(key.pseudonym('customer-17')).toMatch(/^pe_[0-9a-f]{32}$/);
});

it('is one key for all servers, also for one that starts while the store is away', async () => {
  const first = (await open('a')).pseudonym('x');
  expect((await open('b')).pseudonym('x')).toBe(first);
  const documents = new Proxy(store.documents, {
    get: () => () => Promise.reject(new Error('the store is away')),
  });
  const again = await EntityKey.open({ documents, keyring: store.keyring }, join(folder, 'a'));
  expect(again.pseudonym('x')).toBe(first);
  await expect(EntityKey.open({ documents, keyring: store.keyring }, join(folder, 'c'))).rejects.toThrow();
});

it('leaves nothing on disk that gives the key away', async () => {
  const key = await open('a');
  const copy = await readFile(join(folder, 'a', 'entity-key.json'), 'utf8');
  expect(copy).not.toContain(key.pseudonymKey.key);
});
