import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PersonRequest } from '../../lib/erasure/person.ts';
import { withoutSuppressed } from '../../lib/erasure/suppressed-rows.ts';
import { Suppressions } from '../../lib/erasure/suppressions.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { ErasureFixture, personalSpec } from '../support/erasure-fixture.ts';

let fixture: ErasureFixture;
beforeEach(async () => {
  fixture = await ErasureFixture.create();
});
afterEach(() => fixture.close());

const AT = '2026-01-01T00:00:00.000Z';
const SOURCE =
  "(SELECT unnest([42, 7, NULL, 42]) AS customer, unnest(['a@b.example', 'Ann@B.example', 'x', NULL]) AS email, unnest(range(4)) AS value)";

const suppress = (entity: string, others: Partial<PersonRequest> = {}): Promise<void> =>
  new Suppressions(fixture.store).add(fixture.person(entity, others), [], randomUUID(), AT);

async function left(spec = personalSpec(), relation = SOURCE, source = 'people', store = fixture.store) {
  const { suppressed, path } = await withoutSuppressed(
    store,
    fixture.database,
    spec,
    source,
    relation,
    fixture.newPath(),
  );
  const from = path === undefined ? relation : `read_parquet('${path}')`;
  const rows = await fixture.database.rows(`SELECT value FROM ${from}`);
  expect(suppressed).toBe(4 - rows.length);
  return rows.map(({ value }) => value);
}

describe('people who were erased', () => {
  it('are left out, others and rows without an id stay in order', async () => {
    expect(await left()).toEqual([0, 1, 2, 3]);
    await suppress('42');
    expect(await left()).toEqual([1, 2]);
    await suppress('nobody');
    expect(await left()).toEqual([1, 2]);
  });

  it('are known by the normal form of a kind, and under the name that a source gives the column', async () => {
    const byMail = personalSpec({
      subject: ['email'],
      columns: { email: { kind: 'email', action: 'pseudonym' } },
    });
    await suppress('ann@b.example');
    expect(await left(byMail)).toEqual([0, 2, 3]);
    const renamed = `(SELECT customer AS cust, value FROM ${SOURCE})`;
    await suppress('7');
    expect(await left(personalSpec(), renamed)).toEqual([0, 1, 2, 3]);
    const spec = personalSpec({ subjectIn: { people: { customer: 'cust' } } });
    expect(await left(spec, renamed)).toEqual([0, 2, 3]);
  });

  it('are left out only where the request was about', async () => {
    await suppress('42', { pipelines: ['other'] });
    await suppress('7', { column: 'email' });
    expect(await left()).toEqual([0, 1, 2, 3]);
    expect(await left(personalSpec({}, 'other'))).toEqual([1, 2]);
  });

  it('stay out after the keyring got a new key, and nobody comes back where the old one is gone', async () => {
    await suppress('42');
    const path = join(fixture.folder, 'keyring.json');
    const ring = JSON.parse(await readFile(path, 'utf8'));
    const newer = { ...ring.keys, newer: Buffer.alloc(32, 1).toString('base64') };
    await writeFile(path, JSON.stringify({ current: 'newer', keys: newer }), { mode: 0o600 });
    const reopened = await ArtifactStore.create(join(fixture.folder, 'artifacts'));
    expect(await left(personalSpec(), SOURCE, 'people', reopened)).toEqual([1, 2]);
    await writeFile(path, JSON.stringify({ current: 'newer', keys: { newer: newer.newer } }), {
      mode: 0o600,
    });
    const withoutOld = await ArtifactStore.create(join(fixture.folder, 'artifacts'));
    await expect(left(personalSpec(), SOURCE, 'people', withoutOld)).rejects.toThrow(/keyring/);
  });

  it('stand in no document of the store', async () => {
    await suppress('ann@b.example');
    const documents = fixture.store.documents;
    for await (const key of documents.keys('suppressed/'))
      expect(JSON.stringify((await documents.read(key))?.value)).not.toMatch(/ann|b\.example/);
  });
});

describe('what took the place of something erased', () => {
  it('is named by references to the old one, over several erasures', async () => {
    const { store } = fixture;
    const [a, b, c] = [await store.putJson('a'), await store.putJson('b'), await store.putJson('c')];
    await store.replace(a.sha256, b, { certificate: '1' });
    await store.replace(b.sha256, c, { certificate: '2' });
    const followed = await store.erasures.followed();
    expect([...followed([a.sha256])]).toEqual([a.sha256, b.sha256, c.sha256]);
  });
});
