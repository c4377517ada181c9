import { afterEach, beforeEach, expect, it } from 'vitest';
import { materializeView } from '../../lib/feature-store/materialize.ts';
import type { OnlineFeatures } from '../../lib/feature-store/online-features.ts';
import { OnlineStoreError } from '../../lib/feature-store/online-store.ts';
import { type OpenOptions, openFeatureStore } from '../../lib/feature-store/open-feature-store.ts';
import { featureStoreSettings } from '../../lib/feature-store/settings.ts';
import { contentOf, FeatureWorld, NOW, PIPELINE, someEvents } from '../support/feature-world.ts';
import { RedisServer } from '../support/redis-server.ts';

/** More than a busy machine takes; without a limit of its own a look-up would wait for the server for good. */
const REFUSED_WITHIN_MS = 10_000;

let world: FeatureWorld;
let redis: RedisServer;
let store: OnlineFeatures | undefined;
beforeEach(async () => {
  world = await FeatureWorld.create();
  await world.set(someEvents(1_000, 10));
});
afterEach(async () => {
  await store?.close();
  store = undefined;
  await redis.close();
  await world.close();
});

async function open(url: string, options?: OpenOptions): Promise<OnlineFeatures> {
  const settings = featureStoreSettings({ PERENNIAL_FEATURE_STORE: url }, '/');
  store = await openFeatureStore({ dataDir: world.folder, ...settings }, world.artifacts, options);
  return store;
}

const materialize = (into: OnlineFeatures) =>
  materializeView(world.database, world.plan, into, { pipeline: PIPELINE, until: NOW, personal: false });

const lookUp = async (from: OnlineFeatures) => [
  ...(await from.lookUp(world.served, ['payer-1'], NOW)).values,
];

/** Milliseconds until a look-up is refused. */
async function refusedIn(from: OnlineFeatures): Promise<number> {
  const begin = performance.now();
  await expect(lookUp(from)).rejects.toThrow(OnlineStoreError);
  return performance.now() - begin;
}

it('refuses look-ups at once while the server is away, and answers when it is back', async () => {
  redis = await RedisServer.start();
  const features = await open(redis.url);
  await materialize(features);
  const expected = await world.trained('payer-1', NOW);
  await expect.poll(() => lookUp(features), { timeout: 20_000 }).toEqual(expected);

  await redis.kill();
  for (let time = 0; time < 20; time++) expect(await refusedIn(features)).toBeLessThan(REFUSED_WITHIN_MS);
  await expect(materialize(features)).rejects.toThrow(OnlineStoreError);
  await expect(features.views()).rejects.toThrow(OnlineStoreError);
  await redis.start();
  await expect.poll(() => lookUp(features).catch(() => undefined), { timeout: 20_000 }).toEqual(expected);
  expect(await materialize(features)).toMatchObject({ changed: 0, written: 0 });
});

it('holds no request of a server that hangs, and answers when it goes on', async () => {
  redis = await RedisServer.start();
  const features = await open(redis.url);
  await materialize(features);
  const expected = await world.trained('payer-1', NOW);
  await expect.poll(() => lookUp(features), { timeout: 20_000 }).toEqual(expected);

  redis.pause();
  const many = await Promise.all(Array.from({ length: 500 }, () => refusedIn(features)));
  expect(Math.max(...many)).toBeLessThan(REFUSED_WITHIN_MS);
  // Once it owes an answer, nothing more is asked, nor queued.
  await expect(lookUp(features)).rejects.toThrow(/does not answer|cannot be reached/);
  // Longer than a connection is kept that does not answer.
  const begin = performance.now();
  while (performance.now() - begin < 1_500) expect(await refusedIn(features)).toBeLessThan(REFUSED_WITHIN_MS);
  redis.resume();
  await expect.poll(() => lookUp(features).catch(() => undefined), { timeout: 20_000 }).toEqual(expected);
});

it('begins while the server is away', async () => {
  redis = await RedisServer.start();
  await redis.kill();
  const features = await open(redis.url);
  expect(await refusedIn(features)).toBeLessThan(REFUSED_WITHIN_MS);
  await redis.start();
  await expect
    .poll(() => materialize(features).catch(() => undefined), { timeout: 20_000 })
    .toMatchObject({ view: 'payer' });
  const expected = await world.trained('payer-1', NOW);
  await expect.poll(() => lookUp(features).catch(() => undefined), { timeout: 20_000 }).toEqual(expected);
});

it('takes the password from a secret, and tells nobody', async () => {
  const password = 'p@ss/word:%';
  redis = await RedisServer.start('--requirepass', password);
  process.env.PERENNIAL_SECRET_REDIS = password;
  const secret = ':${env:PERENNIAL_SECRET_REDIS}@';
  const features = await open(redis.url.replace('//', `//${secret}`), { timeoutMs: 10_000 });
  await materialize(features);
  expect(await lookUp(features)).toEqual(await world.trained('payer-1', NOW));
  await features.close();

  process.env.PERENNIAL_SECRET_REDIS = 'another';
  const refused = await open(redis.url.replace('//', `//${secret}`));
  const error: unknown = await materialize(refused).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(OnlineStoreError);
  expect(String(error)).not.toContain('another');
  expect(() =>
    featureStoreSettings({ PERENNIAL_FEATURE_STORE: 'redis://:hunter2@example.org' }, '/'),
  ).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }));
});

it('refuses a server that deletes what it likes', async () => {
  redis = await RedisServer.start('--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru');
  await expect(materialize(await open(redis.url))).rejects.toThrow(/maxmemory-policy allkeys-lru/);
});

it('refuses a cluster', async () => {
  redis = await RedisServer.start('--cluster-enabled', 'yes');
  await expect(materialize(await open(redis.url))).rejects.toThrow(/Redis Cluster, which is not supported/);
});

it('has what it had after the server was killed', async () => {
  redis = await RedisServer.start();
  const features = await open(redis.url, { timeoutMs: 10_000 });
  await materialize(features);
  const before = await contentOf(features, world.id);
  await redis.kill();
  await redis.start();
  await expect
    .poll(() => contentOf(features, world.id).catch(() => undefined), { timeout: 20_000 })
    .toEqual(before);
});
