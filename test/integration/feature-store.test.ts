import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { materializeView } from '../../lib/feature-store/materialize.ts';
import type { OnlineFeatures } from '../../lib/feature-store/online-features.ts';
import { openFeatureStore } from '../../lib/feature-store/open-feature-store.ts';
import type { FeatureStoreLocation } from '../../lib/feature-store/settings.ts';
import { FeatureWorld, HOUR, NOW, PIPELINE, someEvents } from '../support/feature-world.ts';

const DAY = 24 * HOUR;
const ENTITIES = 20;

describe.each(['lmdb'] as const)('the online store in %s', (kind) => {
  let world: FeatureWorld;
  let store: OnlineFeatures;
  beforeEach(async () => {
    world = await FeatureWorld.create();
    store = await openFeatureStore(
      { dataDir: world.folder, featureStore: await locationOf(kind, world) },
      world.artifacts,
    );
  });
  afterEach(async () => {
    await store.close();
    await world.close();
  });

  const materialize = (until: number, options: { from?: number | null; personal?: boolean } = {}) =>
    materializeView(world.database, world.plan, store, {
      pipeline: PIPELINE,
      until,
      personal: false,
      ...options,
    });

  /** For all entities, and one that nobody knows. */
  async function expectTrained(at: number): Promise<void> {
    const keys = Array.from({ length: ENTITIES + 1 }, (_, number) => `payer-${number}`);
    const { values } = await store.lookUp(world.served, keys, at);
    const expected = await Promise.all(keys.map((key) => world.trained(key, at)));
    expect([...values]).toEqual(expected.flat());
  }

  it('gives what training gets, now and a little later, and without a key nothing', async () => {
    await world.set(someEvents(3_000, ENTITIES));
    const done = await materialize(NOW);
    expect(done).toMatchObject({ view: 'payer', events: expect.any(Number), changed: 10, removed: 0 });
    for (const at of [NOW, NOW + 1, NOW + HOUR, NOW + 3 * DAY]) await expectTrained(at);
    const { values, until } = await store.lookUp(world.served, [undefined, 'payer-1'], NOW);
    expect(until).toBe(NOW);
    const width = world.served.columns.length;
    expect([...values.subarray(0, width)]).toEqual(new Array(width).fill(Number.NaN));
    expect([...values.subarray(width)]).toEqual(await world.trained('payer-1', NOW));
    expect(await store.views()).toMatchObject([{ store: world.id, pipeline: PIPELINE, view: 'payer' }]);
  });

  it('writes nothing where there is nothing new, and only what is', async () => {
    await world.set(someEvents(3_000, ENTITIES));
    await materialize(NOW);
    expect(await materialize(NOW)).toMatchObject({ changed: 0, written: 0, removed: 0 });

    const late = { key: 'payer-3', time: NOW - 30 * HOUR, amount: 12.5, other: 1 };
    await world.add([late, late]);
    expect(await materialize(NOW)).toMatchObject({ changed: 1, written: 1, removed: 0 });
    await expectTrained(NOW);

    await world.database.run(`UPDATE payments SET amount = 13 WHERE key = 'payer-3' AND amount = 12.5`);
    expect(await materialize(NOW)).toMatchObject({ written: 1, removed: 0 });
    await expectTrained(NOW);

    await world.add([{ key: 'payer-2', time: NOW + 60_000, amount: 4, other: null }]);
    const later = NOW + 120_000;
    expect(await materialize(later)).toMatchObject({ changed: 1, written: 1 });
    await expectTrained(later);

    await world.database.run(`DELETE FROM payments WHERE key = 'payer-3'`);
    const { removed, written } = await materialize(later);
    expect(removed).toBeGreaterThan(5);
    expect(written).toBe(0);
    await expectTrained(later);
  });
});

async function locationOf(_kind: 'lmdb', world: FeatureWorld): Promise<FeatureStoreLocation> {
  return { kind: 'lmdb', folder: join(world.folder, 'online') };
}
