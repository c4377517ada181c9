import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { materializeView } from '../../lib/feature-store/materialize.ts';
import type { OnlineFeatures } from '../../lib/feature-store/online-features.ts';
import { openFeatureStore } from '../../lib/feature-store/open-feature-store.ts';
import type { FeatureStoreLocation } from '../../lib/feature-store/settings.ts';
import { ownScript } from '../../lib/processes/own-script.ts';
import { interrupted } from '../support/feature-interruptions.ts';
import {
  contentOf,
  FeatureWorld,
  HOUR,
  NOW,
  PIPELINE,
  randomNumbers,
  someEvents,
} from '../support/feature-world.ts';
import { RedisServer } from '../support/redis-server.ts';
import type { WriterTask } from './feature-store-writer.ts';

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.close());

/** Other tests use the machine too. */
const PATIENT = { timeoutMs: 10_000 };
const LATER = NOW + 10 * HOUR;
const options = { pipeline: PIPELINE, personal: true };

describe.each(['lmdb', 'redis'] as const)('a materialisation into %s that is killed', (kind) => {
  let world: FeatureWorld;
  let store: OnlineFeatures;
  const location = (name: string): FeatureStoreLocation =>
    kind === 'lmdb' ? { kind, folder: join(world.folder, name) } : { kind, url: redis.url };
  const open = (name: string): Promise<OnlineFeatures> =>
    openFeatureStore({ dataDir: world.folder, featureStore: location(name) }, world.artifacts, PATIENT);
  beforeEach(async () => {
    world = await FeatureWorld.create();
    store = await open('online');
  });
  afterEach(async () => {
    await store.forget(PIPELINE, new Set());
    await store.close();
    await world.close();
  });

  /** What a store has that nothing ever happened to. */
  async function undisturbed(until: number): Promise<Record<string, string>> {
    const fresh = await openFeatureStore(
      {
        dataDir: world.folder,
        featureStore: { kind: 'lmdb', folder: join(world.folder, 'undisturbed') },
      },
      world.artifacts,
    );
    try {
      await fresh.removeView(world.id);
      await materializeView(world.database, world.plan, fresh, { ...options, until });
      return await contentOf(fresh, world.id);
    } finally {
      await fresh.close();
    }
  }

  /** Many events of one entity too, so that there are slices. */
  const first = [
    ...someEvents(1_000, 12),
    ...someEvents(2_000, 1, 1, 5).map((event) => ({ ...event, key: 'busy' })),
  ];
  /** A late event, a corrected and a deleted one, a deleted entity, a new one, and a later end. */
  const second = first
    .filter(({ key }, at) => at !== 17 && key !== 'payer-7')
    .map((event, at) => (at === 100 ? { ...event, amount: 77 } : event))
    .filter((event, at) => event.key !== 'busy' || at % 2 === 0)
    .concat([
      { key: 'payer-1', time: NOW - 40 * HOUR, amount: 5, other: null },
      { key: 'new', time: LATER - HOUR, amount: 1, other: 1 },
    ]);

  it('is made good by the next one, whichever change was the last', async () => {
    await world.set(first);
    await world.keepAs('first');
    const withFirst = await undisturbed(NOW);
    await world.set(second);
    await world.keepAs('second');
    const withSecond = await undisturbed(LATER);
    expect(withFirst).not.toEqual(withSecond);
    const run = (until: number, through: OnlineFeatures) =>
      materializeView(world.database, world.plan, through, { ...options, until });
    const stoppedAt = (last: number, made: boolean): OnlineFeatures =>
      interrupted(store, (change, was) => {
        if (change === last && was === made) throw new Error('killed');
      });
    let finished = false;
    for (let last = 0; !finished; last += kind === 'lmdb' ? 1 : 5)
      for (const made of [false, true]) {
        // The first time of all; then on the way to what came late, and back again before that was complete.
        await store.removeView(world.id);
        await world.put('first');
        await run(NOW, stoppedAt(last, made)).catch(() => undefined);
        await run(NOW, store);
        expect(await contentOf(store, world.id)).toEqual(withFirst);
        await world.put('second');
        finished = await run(LATER, stoppedAt(last, made)).then(
          () => true,
          () => false,
        );
        await world.put('first');
        await run(NOW, store);
        expect(await contentOf(store, world.id)).toEqual(withFirst);
        await world.put('second');
        await run(LATER, stoppedAt(last, made)).catch(() => undefined);
        await run(LATER, store);
        expect(await contentOf(store, world.id)).toEqual(withSecond);
      }
  });

  async function writing(task: Omit<WriterTask, 'folder' | 'featureStore' | 'personal'>, after?: number) {
    const { path, execArgv } = ownScript(import.meta.url, './feature-store-writer.ts');
    const whole: WriterTask = {
      ...task,
      folder: world.folder,
      featureStore: location('online'),
      personal: true,
    };
    const child = spawn(process.execPath, [...execArgv, path, JSON.stringify(whole)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    if (after !== undefined)
      child.stdout.once('data', () => void delay(after).then(() => child.kill('SIGKILL')));
    else child.stdout.resume();
    const [, signal] = await ended;
    return signal === 'SIGKILL';
  }

  it('is read by others meanwhile, who see nothing half written', async () => {
    const steady = someEvents(2_000, 1, 3, 9).map((event) => ({ ...event, key: 'steady' }));
    const file = join(world.folder, 'events.parquet');
    await world.set([...first, ...steady]);
    await materializeView(world.database, world.plan, store, { ...options, until: NOW });
    const expected = await world.trained('steady', NOW);
    await world.set([...second, ...steady]);
    await world.database.copyToParquet('SELECT * FROM payments', file);
    let ended = false;
    const writer = writing({ parquet: file, until: NOW }).finally(() => {
      ended = true;
    });
    while (!ended) {
      const { values } = await store.lookUp(world.served, ['steady'], NOW);
      expect([...values]).toEqual(expected);
      await delay(1);
    }
    expect(await writer).toBe(false);
    for (const key of ['busy', 'payer-1', 'payer-7', 'steady']) {
      const { values } = await store.lookUp(world.served, [key], NOW);
      expect([...values]).toEqual(await world.trained(key, NOW));
    }
  });

  it('loses and doubles nothing where the process is killed', async () => {
    const files = [join(world.folder, 'first.parquet'), join(world.folder, 'second.parquet')] as const;
    await world.set(first);
    await world.database.copyToParquet('SELECT * FROM payments', files[0]);
    await world.set(second);
    await world.database.copyToParquet('SELECT * FROM payments', files[1]);
    const withSecond = await undisturbed(LATER);
    const random = randomNumbers(kind === 'lmdb' ? 11 : 12);
    let killed = 0;
    for (let round = 0; round < (kind === 'lmdb' ? 6 : 3); round++) {
      if (round % 3 === 0) await store.removeView(world.id);
      const die = { change: Math.floor(random() * 30), made: random() < 0.5 };
      const odd = round % 2 === 1;
      const died = odd
        ? await writing({ parquet: files[0], until: NOW }, Math.floor(random() * 60))
        : await writing({ parquet: files[0], until: NOW, die });
      if (died) killed++;
      // And again, on the way to what came late.
      if (await writing({ parquet: files[1], until: LATER }, Math.floor(random() * 40))) killed++;
      await materializeView(world.database, world.plan, store, { ...options, until: LATER });
      expect(await contentOf(store, world.id)).toEqual(withSecond);
    }
    // Those that die at a change; a kill by the clock may come when all is written.
    expect(killed).toBeGreaterThanOrEqual(2);
    await rm(files[0]);
  });
});
