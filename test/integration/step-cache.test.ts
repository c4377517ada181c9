import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { cachedStage } from '../../activities/cached.ts';
import { cachePolicy } from '../../contracts/cache.ts';
import { artifactRef } from '../../contracts/refs.ts';
import { StepCache } from '../../lib/cache/step-cache.ts';
import { type StoreOnAMachine, storeOnAMachine, TestBucket } from '../support/stores.ts';

const output = z.strictObject({ rows: z.number(), table: artifactRef });
const DAY = 86_400_000;

let s3: TestBucket;
beforeAll(async () => {
  s3 = await TestBucket.start();
}, 900_000);
afterAll(() => s3?.close());
let counter = 0;

describe.each(['file', 's3'] as const)('the step cache of a store of kind %s', (kind) => {
  let machine: StoreOnAMachine;
  let worked: number;
  beforeEach(async () => {
    machine = await storeOnAMachine(
      kind === 's3' ? { artifactStore: s3.location(`cache-${counter++}`) } : {},
    );
    worked = 0;
  });
  afterEach(() => machine.close());

  const run = (rows: number, policy: z.input<typeof cachePolicy> = {}, stage = 'split', pipeline = 'bank') =>
    cachedStage(
      { store: async () => machine.store },
      { stage, codeVersion: 1, pipeline, input: { rows }, policy: cachePolicy.parse(policy), output },
      async () => {
        worked++;
        return { rows, table: await machine.store.putJson({ rows }) };
      },
    );
  const cache = () => new StepCache(machine.store);

  it('works once for the same input, and says so', async () => {
    const first = await run(1);
    expect(first.cache).toMatchObject({ hit: false, storedAt: expect.any(String) });
    const second = await run(1, {}, 'split', 'another pipeline');
    expect(second).toEqual({ output: first.output, cache: { ...first.cache, hit: true } });
    await run(2);
    await run(1, {}, 'prepare');
    expect(worked).toBe(3);
    const { entries, total } = await cache().list({ stage: 'split' }, 1);
    expect([total, entries.length]).toEqual([2, 1]);
    expect((await cache().list({ pipeline: 'bank' }, 9)).entries.map(({ stage }) => stage).sort()).toEqual([
      'prepare',
      'split',
      'split',
    ]);
  });

  it('works again where it is told to, and stores that only with "refresh"', async () => {
    expect((await run(1, { mode: 'off' })).cache).toEqual({ key: null, hit: false, storedAt: null });
    expect((await run(1)).cache.hit).toBe(false);
    expect((await run(1, { mode: 'refresh' })).cache.hit).toBe(false);
    await sleep(5);
    expect((await run(1, { ttl: '1ms' })).cache.hit).toBe(false);
    expect((await run(1, { ttl: '1h' })).cache.hit).toBe(true);
    expect(worked).toBe(4);
  });

  it('does not count a result whose artifact is gone, erased or another one', async () => {
    const { output: first } = await run(1);
    await machine.store.replace(first.table.sha256, null, { certificate: 'e-1' });
    await expect(run(1)).rejects.toMatchObject({ code: 'ArtifactErased' });
    expect((await cache().list({}, 9)).total).toBe(0);

    const { output: second } = await run(2);
    if (kind === 's3') await sleep(2_100);
    expect(await machine.store.remove(second.table.sha256, { untouchedSince: Date.now() })).toBe(true);
    expect((await run(2)).cache.hit).toBe(false);
    expect((await run(2)).cache.hit).toBe(true);
  });

  it('does not take a result that the stage of today cannot read', async () => {
    const { cache: of } = await run(1);
    if (!of.key) throw new Error('no key');
    await cache().remember({ stage: 'split', key: of.key }, 'bank', { rows: 'many' }, Date.now());
    expect((await run(1)).cache.hit).toBe(false);
    expect((await run(1)).cache.hit).toBe(true);
  });

  it('goes on where several do the same at once', async () => {
    const results = await Promise.all(Array.from({ length: 6 }, () => run(1)));
    expect(new Set(results.map(({ output: { table } }) => table.sha256)).size).toBe(1);
    expect((await run(1)).cache.hit).toBe(true);
    expect((await cache().list({}, 9)).total).toBe(1);
  });

  it('keeps a result that is used from the garbage collector, and drops the others', async () => {
    const [old, used] = [await run(1), await run(2)];
    await run(3);
    const asOf = Date.now();
    const third = await cache().list({}, 9);
    expect(third.total).toBe(3);
    // Used a day later, so it outlives what was not.
    if (!used.cache.key) throw new Error('no key');
    await cache().find({ stage: 'split', key: used.cache.key }, cachePolicy.parse({}), output, asOf + DAY);
    const stored = new Set((await machine.store.blobs()).map(({ sha256 }) => sha256));
    const { removed, kept, needed } = await cache().collect(DAY, asOf + DAY + 10_000, stored);
    expect({ removed, kept }).toEqual({ removed: 2, kept: 1 });
    expect([...needed]).toEqual([used.output.table.sha256]);
    expect(await machine.store.has(old.output.table)).toBe(true);
    expect((await run(2)).cache.hit).toBe(true);
    expect((await run(1)).cache.hit).toBe(false);
  });

  it('forgets by stage, pipeline and key', async () => {
    await run(1, {}, 'ingest');
    await run(2, {}, 'ingest', 'flights');
    const { cache: of } = await run(3, {}, 'split');
    expect(await cache().remove({ key: of.key?.slice(0, 12) })).toEqual({ removed: 1, kept: 0 });
    expect(await cache().remove({ stage: 'ingest', pipeline: 'flights' })).toMatchObject({ removed: 1 });
    expect(await cache().remove({ pipeline: 'flights' })).toMatchObject({ removed: 0 });
    expect(await cache().remove({})).toMatchObject({ removed: 1 });
    expect((await cache().list({}, 9)).total).toBe(0);
  });
});
