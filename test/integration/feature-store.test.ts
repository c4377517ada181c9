import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { materializeView } from '../../lib/feature-store/materialize.ts';
import { materializedAside } from '../../lib/feature-store/materialize-aside.ts';
import type { MaterializeJob } from '../../lib/feature-store/materialize-job.ts';
import type { OnlineFeatures } from '../../lib/feature-store/online-features.ts';
import { OnlineStoreError } from '../../lib/feature-store/online-store.ts';
import { featureStoreAccess, openFeatureStore } from '../../lib/feature-store/open-feature-store.ts';
import type { FeatureStoreLocation } from '../../lib/feature-store/settings.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { contentOf, FeatureWorld, HOUR, NOW, PIPELINE, someEvents } from '../support/feature-world.ts';
import { freePort } from '../support/free-port.ts';
import { RedisServer } from '../support/redis-server.ts';

const DAY = 24 * HOUR;
const ENTITIES = 20;

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.close());

describe.each(['lmdb', 'redis'] as const)('the online store in %s', (kind) => {
  let world: FeatureWorld;
  let store: OnlineFeatures;
  beforeEach(async () => {
    world = await FeatureWorld.create();
    store = await openFeatureStore(
      { dataDir: world.folder, featureStore: locationOf(kind, world) },
      world.artifacts,
      // Other tests use the machine too.
      { timeoutMs: 10_000 },
    );
  });
  afterEach(async () => {
    await store.forget(PIPELINE, new Set());
    await store.forget('payments-2', new Set());
    expect(await store.views()).toEqual([]);
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

  it('keeps records from those who look into the store, where the view is personal', async () => {
    await world.set(someEvents(3_000, ENTITIES));
    const open = await materialize(NOW);
    const plain = await contentOf(store, world.id);
    const done = await materialize(NOW, { personal: true });
    // The same events, but all is written anew.
    expect(done).toMatchObject({ changed: open.changed, written: open.written, removed: 0 });
    const sealed = await contentOf(store, world.id);
    const records = Object.keys(sealed).filter((name) => !name.startsWith('mark'));
    expect(records).toEqual(Object.keys(plain).filter((name) => !name.startsWith('mark')));
    for (const name of records) {
      expect(Buffer.from(plain[name] ?? '', 'base64')[0]).toBe(1);
      expect(Buffer.from(sealed[name] ?? '', 'base64')[0]).toBe(129);
    }
    await expectTrained(NOW);
    expect(await materialize(NOW, { personal: true })).toMatchObject({ changed: 0, written: 0 });
  });

  it('moves its horizon with the time, and goes further back where it is asked to', async () => {
    await world.set(someEvents(4_000, ENTITIES, 12));
    await materialize(NOW - 2 * DAY);
    await expectTrained(NOW - 2 * DAY);
    const early = NOW - 4 * DAY;
    await expect(expectTrained(early)).rejects.toThrow(/from .* on, and the look-up needs earlier ones/);

    const [before] = await store.views();
    const moved = await materialize(NOW);
    expect(moved.removed).toBeGreaterThan(0);
    expect(Date.parse(moved.from)).toBeGreaterThan(Date.parse(before?.from ?? ''));
    await expectTrained(NOW);
    await expect(expectTrained(NOW - 2 * DAY)).rejects.toThrow(/needs earlier ones/);

    const filled = await materialize(NOW, { from: NOW - 9 * DAY });
    expect(Date.parse(filled.from)).toBeLessThanOrEqual(NOW - 9 * DAY);
    for (const at of [NOW, NOW - 2 * DAY, early, NOW - 6 * DAY]) await expectTrained(at);
    // The beginning stays until it is taken back.
    const later = await materialize(NOW + HOUR);
    expect(later.from).toBe(filled.from);
    await expectTrained(early);
    const shorter = await materialize(NOW + HOUR, { from: null });
    expect(Date.parse(shorter.from)).toBeGreaterThan(Date.parse(filled.from));
    expect(shorter.removed).toBeGreaterThan(0);
    await expectTrained(NOW + HOUR);
    const marks = Object.keys(await contentOf(store, world.id)).filter((name) => name.startsWith('mark'));
    expect(marks).toHaveLength(9);
  });

  it('answers for an entity with very many events as for others, and when it has few of them left', async () => {
    const many = someEvents(30_000, 1, 5, 7).map((event) => ({ ...event, key: 'payer-5' }));
    await world.set([...someEvents(500, ENTITIES), ...many]);
    await materialize(NOW, { personal: true });
    for (const at of [NOW, NOW + 7 * HOUR + 1]) await expectTrained(at);
    const before = Object.keys(await contentOf(store, world.id)).length;
    await world.set([...someEvents(500, ENTITIES), ...many.slice(0, 200)]);
    const { removed } = await materialize(NOW, { personal: true });
    expect(removed).toBeGreaterThan(50);
    expect(Object.keys(await contentOf(store, world.id))).toHaveLength(before - removed);
    await expectTrained(NOW);
  });

  it('removes a view, and makes the same of it again', async () => {
    await world.set(someEvents(3_000, ENTITIES));
    await materialize(NOW);
    const before = await contentOf(store, world.id);
    await store.removeView(world.id);
    expect(await contentOf(store, world.id)).toEqual({});
    await materialize(NOW);
    expect(await contentOf(store, world.id)).toEqual(before);
  });

  it('removes the views of a pipeline that are not in use, and no others', async () => {
    await world.set(someEvents(300, ENTITIES));
    const other = { ...world.plan, digest: '1'.repeat(64) };
    const options = { until: NOW, personal: false };
    await materialize(NOW);
    await materializeView(world.database, other, store, { ...options, pipeline: PIPELINE });
    await materializeView(world.database, other, store, { ...options, pipeline: 'payments-2' });
    // As where the first materialisation was killed.
    await store.backend.write(`${PIPELINE}/half/0`).then((writer) => writer.close());
    const gone = await store.forget(PIPELINE, new Set([world.id]));
    expect(gone.sort()).toEqual([`${PIPELINE}/half/0`, `${PIPELINE}/payer/${'1'.repeat(16)}`]);
    const left = (await store.views()).map(({ store: id }) => id);
    expect(left.sort()).toEqual([`payments-2/payer/${'1'.repeat(16)}`, world.id]);
    await expectTrained(NOW);
  });

  it('lets one that was thought dead write no more', async () => {
    await world.set(someEvents(3_000, ENTITIES));
    const first = await store.backend.write(world.id);
    await first.put(1, [{ field: Buffer.alloc(17, 1), bytes: Buffer.from('x') }]);
    await materialize(NOW);
    const expected = await contentOf(store, world.id);
    await expect(first.put(1, [{ field: Buffer.alloc(17, 2), bytes: Buffer.from('y') }])).rejects.toThrow(
      /another process began/,
    );
    await expect(first.complete(1, 'mark')).rejects.toThrow(/another process began/);
    await first.close();
    expect(await contentOf(store, world.id)).toEqual(expected);
  });

  it('refuses a view that it does not have, or has otherwise', async () => {
    await world.set(someEvents(300, ENTITIES));
    await expect(async () => store.lookUp(world.served, ['payer-1'], NOW)).rejects.toThrow(
      /does not hold the view; materialise it first/,
    );
    await materialize(NOW);
    const wider = { ...world.served, values: world.served.values + 1 };
    await expect(async () => store.lookUp(wider, ['payer-1'], NOW)).rejects.toThrow(/the model expects/);
    await expect(async () => store.lookUp(world.served, ['payer-1'], Number.NaN)).rejects.toThrow(
      OnlineStoreError,
    );
    // As where the keyring was lost, and another one was made.
    const others = await ArtifactStore.create(join(world.folder, 'others'));
    const config = { dataDir: join(world.folder, 'other'), featureStore: locationOf(kind, world) };
    const stranger = await openFeatureStore(config, others, { timeoutMs: 10_000 });
    await expect(async () => stranger.lookUp(world.served, ['payer-1'], NOW)).rejects.toThrow(
      /under another keyring/,
    );
    // Two of one process share what they read.
    await stranger.close();
    await expectTrained(NOW);
  });

  it('is written by a process beside this one as by this one', async () => {
    await world.set(someEvents(3_000, ENTITIES));
    await materialize(NOW);
    const expected = await contentOf(store, world.id);
    await store.removeView(world.id);
    const file = join(world.folder, 'events.parquet');
    await world.database.copyToParquet('SELECT * FROM payments', file);
    const config = { dataDir: world.folder, featureStore: locationOf(kind, world) };
    const job: MaterializeJob = {
      plan: world.plan,
      sources: [{ name: 'payments', files: [file] }],
      access: await featureStoreAccess(config, world.artifacts),
      pipeline: PIPELINE,
      until: NOW,
      personal: false,
      spillDir: world.folder,
    };
    const told: number[] = [];
    const done = await materializedAside(job, undefined, (complete, changed) => told.push(complete, changed));
    expect(done).toMatchObject({ changed: 10, removed: 0 });
    expect(told.slice(-2)).toEqual([10, 10]);
    expect(await contentOf(store, world.id)).toEqual(expected);
    const wrong = { ...job, plan: { ...job.plan, eventsSql: 'SELECT * FROM elsewhere' } };
    await expect(materializedAside(wrong)).rejects.toMatchObject({ code: 'SqlInvalid' });
    const away: MaterializeJob = {
      ...job,
      access: { ...job.access, place: { kind: 'redis', url: `redis://127.0.0.1:${await freePort()}/0` } },
    };
    await expect(materializedAside(away)).rejects.toMatchObject({
      code: 'FeaturesUnavailable',
      retryable: true,
    });
  });

  it('stops where it is told to, and goes on from there', async () => {
    await world.set(someEvents(3_000, ENTITIES));
    const stop = new AbortController();
    const options = { pipeline: PIPELINE, until: NOW, personal: false };
    await expect(
      materializeView(world.database, world.plan, store, {
        ...options,
        signal: stop.signal,
        progress: (complete) => complete === 4 && stop.abort(new Error('enough')),
      }),
    ).rejects.toThrow('enough');
    expect(await store.views()).toEqual([]);
    expect(await materialize(NOW)).toMatchObject({ changed: 6 });
    await expectTrained(NOW);
  });
});

/** All tests share the server, since each world has keys and a store of its own; views are removed after each. */
function locationOf(kind: 'lmdb' | 'redis', world: FeatureWorld): FeatureStoreLocation {
  return kind === 'lmdb' ? { kind, folder: join(world.folder, 'online') } : { kind, url: redis.url };
}
