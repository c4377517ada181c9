import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ViewPlan } from '../contracts/feature-store.ts';
import type { ServedView } from '../contracts/serving.ts';
import { featureView } from '../contracts/spec/feature-views.ts';
import { Database } from '../lib/duckdb/database.ts';
import { materializeView } from '../lib/feature-store/materialize.ts';
import type { OnlineFeatures } from '../lib/feature-store/online-features.ts';
import { openFeatureStore } from '../lib/feature-store/open-feature-store.ts';
import { plannedView } from '../lib/feature-store/served-views.ts';
import type { FeatureStoreLocation } from '../lib/feature-store/settings.ts';
import { storeIdOf } from '../lib/feature-store/stored-view.ts';
import { planView } from '../lib/feature-store/view-plan.ts';
import { ArtifactStore } from '../lib/store/artifact-store.ts';
import { RedisServer } from '../test/support/redis-server.ts';
import { machine, table } from './figures.ts';

const EVENTS = 1_000_000;
const ENTITIES = 10_000;
const NEW_EVENTS = 1_000;
const LOOK_UPS = 5_000;
const PIPELINE = 'bench';
const NOW = Date.UTC(2026, 4, 17, 11, 23, 45);
const WEEK_MS = 7 * 86_400_000;

/** One feature over four windows. */
const VIEW = featureView.parse({
  events: 'SELECT * FROM events',
  entity: ['entity'],
  timestamp: 'happened',
  windows: ['1h', '6h', '1d', '7d'],
  features: { amount: 'avg(amount)' },
});

/** Whose events there are: of many, or nearly all of one. */
const SHAPES = [
  ['10,000 entities', `'e' || (hash(i) % ${ENTITIES})`, (at: number) => `e${at % ENTITIES}`],
  ['one very busy entity', `'busy'`, () => 'busy'],
] as const;

interface Ground {
  readonly database: Database;
  readonly plan: ViewPlan;
  readonly store: OnlineFeatures;
  readonly personal: boolean;
}

const servedOf = ({ plan }: Ground): ServedView => plannedView(storeIdOf(PIPELINE, plan), plan);

const materialized = ({ database, plan, store, personal }: Ground) =>
  materializeView(database, plan, store, { pipeline: PIPELINE, until: NOW, personal });

/** Microseconds of look-ups of one row each, one after the other: half of them took no longer, 99 of 100. */
async function lookUps(ground: Ground, keyAt: (at: number) => string): Promise<[string, string]> {
  const view = servedOf(ground);
  const taken: number[] = [];
  for (let at = 0; at < LOOK_UPS + 500; at++) {
    // Each a little later, so that edges of windows fall between other events.
    const moment = NOW + at * 7;
    const key = keyAt(at * 7_919);
    const begin = performance.now();
    const answer = ground.store.lookUp(view, [key], moment);
    if (answer instanceof Promise) await answer;
    if (at >= 500) taken.push((performance.now() - begin) * 1_000);
  }
  taken.sort((a, b) => a - b);
  const quantile = (share: number): string => (taken[Math.floor(share * taken.length)] ?? 0).toFixed(0);
  return [quantile(0.5), quantile(0.99)];
}

async function measured(
  name: string,
  location: FeatureStoreLocation,
  home: string,
  personal: boolean,
): Promise<string[][]> {
  const rows: string[][] = [];
  const artifacts = await ArtifactStore.create(join(home, 'artifacts'));
  for (const [shape, entity, keyAt] of SHAPES) {
    const store = await openFeatureStore({ dataDir: home, featureStore: location }, artifacts, {
      timeoutMs: 10_000,
    });
    const database = await Database.create({ tempDir: home });
    try {
      const event = (rows: number, seed: number): string =>
        `SELECT ${entity} AS entity, make_timestamp(CAST(${NOW} - 1 - (hash(i + ${seed}) % ${WEEK_MS}) AS BIGINT) * 1000) AS happened,
           (hash(i * 3 + ${seed}) % 100000) / 100.0 AS amount FROM range(${rows}) AS numbers(i)`;
      await database.run(`CREATE TABLE events AS ${event(EVENTS, 1)}`);
      const plan = await planView(database, 'view', VIEW);
      const ground = { database, plan, store, personal };
      await store.removeView(storeIdOf(PIPELINE, plan));
      const whole = await materialized(ground);
      const nothing = await materialized(ground);
      await database.run(
        `INSERT INTO events SELECT * REPLACE (make_timestamp(${NOW - 1} * 1000 - CAST(hash(amount, happened) % 3600000000 AS BIGINT)) AS happened) FROM (${event(NEW_EVENTS, 2)})`,
      );
      const news = await materialized(ground);
      const [half, most] = await lookUps(ground, keyAt);
      rows.push([
        `${name}, ${shape}`,
        half,
        most,
        whole.seconds.toFixed(2),
        `${news.seconds.toFixed(2)} (${news.written} of ${whole.written} records)`,
        nothing.seconds.toFixed(2),
      ]);
    } finally {
      database.close();
      await store.close();
    }
  }
  return rows;
}

/**
 * Look-ups of one row of a view of one feature over four windows, and its materialisation, in LMDB and in Redis on the
 * loopback address, records plain and encrypted.
 */
async function featureLookUp(): Promise<void> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`);
  const home = mkdtempSync(join(tmpdir(), 'perennial-bench-features-'));
  const redis = await RedisServer.start();
  try {
    say(`${machine()}\n`);
    const rows: string[][] = [];
    for (const personal of [false, true]) {
      const kept = personal ? ', encrypted' : '';
      rows.push(
        ...(await measured(`LMDB${kept}`, { kind: 'lmdb', folder: join(home, 'lmdb') }, home, personal)),
        ...(await measured(`Redis${kept}`, { kind: 'redis', url: redis.url }, home, personal)),
      );
    }
    say(
      table(
        [
          `${EVENTS.toLocaleString('en')} events in the longest window`,
          'look-up, p50 µs',
          'p99 µs',
          'first materialisation, s',
          `with ${NEW_EVENTS.toLocaleString('en')} new events, s`,
          'with none, s',
        ],
        rows,
      ),
    );
    say(`\n${machine()}`);
  } finally {
    await redis.close();
    rmSync(home, { recursive: true, force: true });
  }
}

await featureLookUp();
