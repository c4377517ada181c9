import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { materializeView } from '../../lib/feature-store/materialize.ts';
import { fieldOf } from '../../lib/feature-store/online-backend.ts';
import type { OnlineFeatures } from '../../lib/feature-store/online-features.ts';
import { openFeatureStore } from '../../lib/feature-store/open-feature-store.ts';
import { ownScript } from '../../lib/processes/own-script.ts';
import {
  contentOf,
  FeatureWorld,
  NOW,
  PIPELINE,
  randomNumbers,
  someEvents,
} from '../support/feature-world.ts';
import { RedisServer } from '../support/redis-server.ts';

/** An amount that nothing else is like. */
const NEEDLE = 987_654.321_5;

let world: FeatureWorld;
let store: OnlineFeatures;
const folder = (): string => join(world.folder, 'online');
const open = (): Promise<OnlineFeatures> =>
  openFeatureStore(
    { dataDir: world.folder, featureStore: { kind: 'lmdb', folder: folder() } },
    world.artifacts,
  );
const materialize = (through: OnlineFeatures = store) =>
  materializeView(world.database, world.plan, through, { pipeline: PIPELINE, until: NOW, personal: false });

beforeEach(async () => {
  world = await FeatureWorld.create();
  store = await open();
});
afterEach(async () => {
  await store.close();
  await world.close();
});

/** How often the amount stands in any file of a folder. */
async function sightings(of: string): Promise<number> {
  const needle = Buffer.from(Float64Array.of(NEEDLE).buffer);
  let found = 0;
  for (const entry of await readdir(of, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const bytes = await readFile(join(entry.parentPath, entry.name));
    for (let at = bytes.indexOf(needle); at >= 0; at = bytes.indexOf(needle, at + 1)) found++;
  }
  return found;
}

/** What a bucket of a view has records of. */
async function fieldsOf(view: string, bucket: number): Promise<string[]> {
  const found: string[] = [];
  for await (const fields of (await store.backend.write(view)).fields(bucket))
    found.push(...fields.map((field) => field.toString('hex')));
  return found;
}

/** A process that writes the file anew all the time, when it has begun. */
async function rewriting(pauseMs: number): Promise<ChildProcess> {
  const { path, execArgv } = ownScript(import.meta.url, './feature-store-rewriter.ts');
  const child = spawn(process.execPath, [...execArgv, path, folder(), String(pauseMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}

const others = someEvents(4_000, 300);
const needles = Array.from({ length: 50 }, (_, at) => ({
  key: 'needle',
  time: NOW - at * 3_000_000 - 1,
  amount: NEEDLE,
  other: 1,
}));

describe('an LMDB file that is written anew', () => {
  it('has nothing left of what was deleted', async () => {
    await world.set([...others, ...needles]);
    await materialize();
    expect(await sightings(folder())).toBeGreaterThan(40);
    await world.set(others);
    await materialize();
    // What a file goes on having: without it this test would say nothing.
    expect(await sightings(folder())).toBeGreaterThan(0);
    const before = await contentOf(store, world.id);
    await store.writeAnew();
    expect(await sightings(folder())).toBe(0);
    expect(await contentOf(store, world.id)).toEqual(before);
  });

  it('is found by whoever had the former one open, and supplants who wrote it', async () => {
    await world.set(others);
    await materialize();
    const expected = await world.trained('payer-1', NOW);
    const lookUp = async (through: OnlineFeatures) => [
      ...(await through.lookUp(world.served, ['payer-1'], NOW)).values,
    ];
    const reader = await open();
    const late = await open();
    expect(await lookUp(reader)).toEqual(expected);
    const writer = await reader.backend.write(world.id);
    await store.writeAnew();
    await store.writeAnew();
    expect(await lookUp(reader)).toEqual(expected);
    expect(await lookUp(store)).toEqual(expected);
    expect((await late.views()).map(({ store: id }) => id)).toEqual([world.id]);
    await expect(writer.complete(1, 'mark')).rejects.toMatchObject({ code: 'StageFailed', retryable: true });
    // Each of them writes where the others read.
    await world.set([...others, { key: 'payer-1', time: NOW - 5, amount: 3, other: 4 }]);
    await materialize(late);
    expect(await lookUp(reader)).toEqual(await world.trained('payer-1', NOW));
    expect(await lookUp(reader)).not.toEqual(expected);
    expect((await readdir(folder())).filter((name) => name.startsWith('store-'))).toHaveLength(1);
    await reader.close();
    await late.close();
  });

  it('has what was written after its process last looked into the former one', async () => {
    await world.set(others);
    await materialize();
    const field = fieldOf(createHash('md5').update('late').digest(), 0).toString('hex');
    const { path, execArgv } = ownScript(import.meta.url, './feature-store-putter.ts');
    // LMDB shows a process what was there when it first looked, for as long as it does not let others have a turn.
    await store.backend.description(world.id);
    spawnSync(process.execPath, [...execArgv, path, folder(), world.id, field], { stdio: 'inherit' });
    await store.writeAnew();
    expect(await fieldsOf(world.id, 1)).toContain(field);
  });

  it('has all that was written meanwhile', async () => {
    const field = (number: number): Buffer => fieldOf(createHash('md5').update(`${number}`).digest(), 0);
    const record = (number: number) => ({ field: field(number), bytes: Buffer.alloc(200, number) });
    const filled = await store.backend.write(world.id);
    // Copying them takes longer than writing one.
    for (let from = 0; from < 60_000; from += 5_000)
      await filled.put(
        0,
        Array.from({ length: 5_000 }, (_, at) => record(from + at)),
      );
    const rewriter = await rewriting(20);
    let supplanted = 0;
    let writer = await store.backend.write(world.id);
    let number = 0;
    // However long the machine takes for a copy.
    while (number < 300 || supplanted < 3) {
      const written = await writer.put(1, [record(number)]).catch((error: unknown) => {
        expect(error).toMatchObject({ code: 'StageFailed', retryable: true });
      });
      if (written === undefined) {
        supplanted++;
        writer = await store.backend.write(world.id);
      } else number++;
      await delay(5);
    }
    rewriter.kill('SIGKILL');
    const found = new Set(await fieldsOf(world.id, 1));
    const all = Array.from({ length: number }, (_, at) => field(at).toString('hex'));
    expect(all.filter((one) => !found.has(one))).toEqual([]);
    expect(found.size).toBe(number);
  });

  it('is the former one or the new one, whenever the process is killed', async () => {
    await world.set(others);
    await materialize();
    const expected = await contentOf(store, world.id);
    const random = randomNumbers(5);
    for (let round = 0; round < 10; round++) {
      const child = await rewriting(0);
      const ended = once(child, 'exit');
      await delay(random() * 200);
      child.kill('SIGKILL');
      expect(await ended).toEqual([null, 'SIGKILL']);
      // Who had it open, who opens it now, and who writes it next.
      expect(await contentOf(store, world.id)).toEqual(expected);
      const other = await open();
      expect(await contentOf(other, world.id)).toEqual(expected);
      expect(await materialize(other)).toMatchObject({ changed: 0 });
      await other.close();
    }
    await store.writeAnew();
    expect((await readdir(folder())).filter((name) => name.startsWith('store-'))).toHaveLength(1);
    expect(await contentOf(store, world.id)).toEqual(expected);
  });
});

describe('a Redis server', () => {
  it('is asked to write its own files anew, and need not do so', async () => {
    const redis = await RedisServer.start();
    const refusing = await RedisServer.start('--rename-command', 'BGREWRITEAOF', '');
    try {
      for (const { url, folder: files } of [redis, refusing]) {
        const online = await openFeatureStore(
          { dataDir: world.folder, featureStore: { kind: 'redis', url } },
          world.artifacts,
          { timeoutMs: 10_000 },
        );
        await world.set([...others, ...needles]);
        await materialize(online);
        await world.set(others);
        await materialize(online);
        await expect.poll(() => sightings(files), { timeout: 30_000 }).toBeGreaterThan(40);
        await online.writeAnew();
        if (url === redis.url) await expect.poll(() => sightings(files), { timeout: 30_000 }).toBe(0);
        await online.close();
      }
    } finally {
      await redis.close();
      await refusing.close();
    }
  });
});
