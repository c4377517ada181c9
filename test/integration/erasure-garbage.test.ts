import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ArtifactRef } from '../../contracts/refs.ts';
import { ErasureFixture, personalSpec } from '../support/erasure-fixture.ts';

let fixture: ErasureFixture;
beforeAll(async () => {
  fixture = await ErasureFixture.create();
});
afterAll(() => fixture.close());

const spec = personalSpec();

/** What a stage does: stores first, records then. */
async function stored(text: string): Promise<ArtifactRef> {
  const artifact = await fixture.store.putBytes(text, 'text/plain', { encrypt: true });
  await fixture.catalogue.record(spec, { artifact, kind: 'train', subject: [] });
  return artifact;
}

/** What the collector does with what nobody needs any more. */
async function collect({ sha256 }: ArtifactRef): Promise<boolean> {
  const { store, catalogue } = fixture;
  if (!(await store.remove(sha256, { untouchedSince: Date.now() + 60_000 }))) return false;
  return catalogue.forget(sha256, (artifact) => store.touch(artifact));
}

describe('the entry of an artifact that the collector deletes', () => {
  it('goes with it', async () => {
    const artifact = await stored('gone');
    expect(await collect(artifact)).toBe(true);
    expect(await fixture.catalogue.of(artifact.sha256)).toBeUndefined();
    expect(await fixture.catalogue.forget(artifact.sha256, async () => false)).toBe(true);
  });

  it('stays where the artifact came back before the collector looks', async () => {
    const artifact = await stored('back in time');
    const entry = await fixture.catalogue.of(artifact.sha256);
    await fixture.store.remove(artifact.sha256, { untouchedSince: Date.now() + 60_000 });
    await stored('back in time');
    const forgotten = await fixture.catalogue.forget(artifact.sha256, (ref) => fixture.store.touch(ref));
    expect(forgotten).toBe(false);
    expect(await fixture.catalogue.of(artifact.sha256)).toEqual(entry);
  });

  it('stays where the artifact comes back after the collector has looked', async () => {
    const artifact = await stored('back too late');
    const entry = await fixture.catalogue.of(artifact.sha256);
    await fixture.store.remove(artifact.sha256, { untouchedSince: Date.now() + 60_000 });
    const forgotten = await fixture.catalogue.forget(artifact.sha256, async (ref) => {
      const seen = await fixture.store.touch(ref);
      expect(seen).toBe(false);
      await stored('back too late');
      return seen;
    });
    expect(forgotten).toBe(false);
    expect(await fixture.catalogue.of(artifact.sha256)).toEqual(entry);
  });

  it('stays where two collectors are at it while the artifact comes back', async () => {
    const artifact = await stored('twice');
    await fixture.store.remove(artifact.sha256, { untouchedSince: Date.now() + 60_000 });
    const first = await fixture.catalogue.forget(artifact.sha256, async (ref) => {
      const seen = await fixture.store.touch(ref);
      await stored('twice');
      // The other one marks the entry anew, and is killed before it takes its mark back.
      const other = fixture.catalogue.forget(artifact.sha256, () => Promise.reject(new Error('killed')));
      await expect(other).rejects.toThrow('killed');
      return seen;
    });
    expect(first).toBe(false);
    expect(await fixture.catalogue.of(artifact.sha256)).toMatchObject({ artifact, kinds: ['train'] });
  });

  it('stays where the collector is killed in the middle, and goes with the next one', async () => {
    const artifact = await stored('killed');
    await fixture.store.remove(artifact.sha256, { untouchedSince: Date.now() + 60_000 });
    const killed = fixture.catalogue.forget(artifact.sha256, () => Promise.reject(new Error('killed')));
    await expect(killed).rejects.toThrow('killed');
    expect((await fixture.catalogue.all()).get(artifact.sha256)).toMatchObject({ artifact });
    expect(await fixture.catalogue.forget(artifact.sha256, async () => false)).toBe(true);
  });

  it('is there whenever the artifact is, however collectors and stages fall upon each other', async () => {
    for (let round = 0; round < 60; round++) {
      const artifact = await stored('again and again');
      const late = async <T>(work: () => Promise<T>) => {
        await sleep(Math.random() * 4);
        return work();
      };
      await Promise.all([
        late(() => collect(artifact)),
        late(() => stored('again and again')),
        late(() => collect(artifact)),
        late(() => stored('again and again')),
      ]);
      const entry = await fixture.catalogue.of(artifact.sha256);
      if (await fixture.store.has(artifact))
        expect(entry, `round ${round}`).toMatchObject({ kinds: ['train'] });
    }
  }, 60_000);
});
