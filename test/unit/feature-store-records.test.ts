import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ServedView } from '../../contracts/serving.ts';
import { bucketOf, EventRecord, recordsOf, SLICES, sliceOf } from '../../lib/feature-store/event-record.ts';
import { FieldSet } from '../../lib/feature-store/field-set.ts';
import { OnlineKeys, onlineSecrets } from '../../lib/feature-store/online-keys.ts';
import { RecordReader } from '../../lib/feature-store/online-reader.ts';
import { type LookedUp, OnlineStoreError } from '../../lib/feature-store/online-store.ts';
import { bucketLength } from '../../lib/feature-store/stored-view.ts';
import { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { definedColumns, servedEverything, sweptColumns, type TestEvent } from '../support/feature-events.ts';
import { type RecordedEvents, recordedEvents } from '../support/feature-records.ts';

const CASES = 10_000;
/** Whole milliseconds, since look-ups are at such. */
const START = 1_600_000_000_000_000;

let folder: string;
let keys: OnlineKeys;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'feature-records-'));
  keys = new OnlineKeys(await onlineSecrets(await ArtifactStore.create(join(folder, 'store')), folder));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const sync = (answer: LookedUp | Promise<LookedUp>): LookedUp => {
  if (answer instanceof Promise) throw new Error('expected an answer at once');
  return answer;
};

function lookedUp(recorded: Omit<RecordedEvents, 'keys' | 'entity'>, at: number): number[] {
  const { backend } = recordedEvents({ ...recorded, keys, entity: 'somebody' });
  const reader = new RecordReader(backend, keys);
  return [...sync(reader.lookUp(recorded.view, ['somebody'], at / 1_000)).values];
}

/** Amounts as data has them: cents, fractions, both signs; sums may cancel. */
const amount = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: -1_000_000, max: 1_000_000 }).map((cents) => cents / 100) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1e9, -1e9, 0.1, 1 / 3) },
  { weight: 1, arbitrary: fc.constant(Number.NaN) },
);

/** Windows in milliseconds; not all lengths are divided by the eight buckets. */
const windows = fc
  .uniqueArray(fc.constantFrom(1, 3, 8, 10, 16, 63, 64, 100, 1_000), { minLength: 1, maxLength: 3 })
  .map((millis) => millis.map((milli) => milli * 1_000));

interface Case {
  view: ServedView;
  events: TestEvent[];
  at: number;
  sealed: boolean;
  mostTogether: number;
}

/** Moments lie anywhere around a question, or just at or beside where a window or a bucket begins. */
const caseOf = (size: { minLength?: number; maxLength: number }): fc.Arbitrary<Case> =>
  fc
    .record({ windows, values: fc.integer({ min: 1, max: 3 }), at: fc.integer({ min: -40, max: 2_000 }) })
    .chain(({ windows: lengths, values, at: millis }) => {
      const at = (millis < 0 ? millis : START / 1_000 + millis) * 1_000;
      const longest = Math.max(...lengths);
      const bucket = bucketLength(lengths);
      const border = fc
        .tuple(
          fc.oneof(
            fc.constantFrom(at, ...lengths.map((length) => at - length)),
            fc.integer({ min: -10, max: 1 }).map((number) => (bucketOf(at, bucket) + number) * bucket),
          ),
          fc.integer({ min: -1, max: 1 }),
        )
        .map(([moment, beside]) => moment + beside);
      const anywhere = fc.integer({ min: at - longest - 2 * bucket, max: at + bucket });
      return fc.record({
        view: fc.constant(servedEverything('pipeline/view/0', values, lengths)),
        events: fc.array(
          fc.record({
            time: fc.oneof(border, anywhere),
            values: fc.array(amount, { minLength: values, maxLength: values }),
          }),
          size,
        ),
        at: fc.constant(at),
        sealed: fc.boolean(),
        mostTogether: fc.constantFrom(0, 2, 512),
      });
    });

/** Two ways to add up give the same sums, but the spread is a difference of them. */
function expectDefined(view: ServedView, found: readonly number[], defined: readonly number[]): void {
  view.columns.forEach(({ aggregate }, column) => {
    const [ours = 0, theirs = 0] = [found[column], defined[column]];
    const spread = /^(?:var|stddev)/.test(aggregate) && Number.isFinite(theirs);
    const right = spread
      ? Math.abs(ours - theirs) <= 1e-12 * theirs + 1e-6
      : ours === theirs || (Number.isNaN(ours) && !Number.isFinite(theirs));
    if (!right) expect({ column: view.columns[column], found: ours }).toEqual({ defined: theirs });
  });
}

const sameBits = (a: readonly number[], b: readonly number[]): void => {
  expect(Buffer.from(Float64Array.from(a).buffer)).toEqual(Buffer.from(Float64Array.from(b).buffer));
};

it('gives what training gets, bit for bit, and what the definition says', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(caseOf({ maxLength: 12 }), ({ at, ...recorded }) => {
      const found = lookedUp(recorded, at);
      sameBits(found, sweptColumns(recorded.view, recorded.events, at));
      expectDefined(recorded.view, found, definedColumns(recorded.view, recorded.events, at));
    }),
    { numRuns: CASES },
  );
});

it('does so for many events, by the states of slices and blocks', { timeout: 60_000 }, () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 300, max: 3_000 }).chain((size) => caseOf({ minLength: size, maxLength: size })),
      ({ at, ...recorded }) => {
        const found = lookedUp(recorded, at);
        sameBits(found, sweptColumns(recorded.view, recorded.events, at));
        expectDefined(recorded.view, found, definedColumns(recorded.view, recorded.events, at));
      },
    ),
    { numRuns: 100 },
  );
});

const bucket = { start: 0, length: 1_000 };
const eventsAt = (times: readonly number[]) => ({
  times: Float64Array.from(times),
  values: [Float64Array.from(times), Float64Array.from(times)],
  count: times.length,
});

it('refuses a record of which a bit has changed, an end is missing or which has other values', () => {
  const records = [
    ...recordsOf(bucket, eventsAt([1, 2, 3])),
    ...recordsOf(bucket, eventsAt(Array.from({ length: 600 }, (_, at) => at))),
  ];
  for (const { bytes } of records) {
    expect(() => EventRecord.read(bytes, 2)).not.toThrow();
    expect(() => EventRecord.read(bytes, 1)).toThrow(OnlineStoreError);
    expect(() => EventRecord.read(Buffer.concat([bytes, Buffer.alloc(8)]), 2)).toThrow(OnlineStoreError);
  }
  fc.assert(
    fc.property(fc.nat(records.length - 1), fc.nat(), fc.nat(7), (which, place, bit) => {
      const bytes = Buffer.from(records[which]?.bytes ?? []);
      expect(() => EventRecord.read(bytes.subarray(0, place % bytes.length), 2)).toThrow(OnlineStoreError);
      const at = place % bytes.length;
      bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
      expect(() => EventRecord.read(bytes, 2)).toThrow(OnlineStoreError);
    }),
    { numRuns: 2_000 },
  );
});

const manyEvents: RecordedEvents['events'] = Array.from({ length: 200 }, (_, at) => ({
  time: START + at * 7,
  values: [at],
}));

it('refuses a look-up that misses a slice', () => {
  const view = servedEverything('pipeline/view/0', 1, [5_000]);
  const recorded = { view, keys, entity: 'somebody', events: manyEvents, sealed: false, mostTogether: 10 };
  const at = (START + 1_000) / 1_000;
  const { backend, records } = recordedEvents(recorded);
  const reader = new RecordReader(backend, keys);
  expect(sync(reader.lookUp(view, ['somebody'], at)).values[0]).toBe(143);
  for (const name of [...records.keys()]) if (!name.endsWith('00')) records.delete(name);
  expect(() => reader.lookUp(view, ['somebody'], at)).toThrow(OnlineStoreError);
});

it('opens a sealed record only at its place, and only with its keys', async () => {
  const view = servedEverything('pipeline/view/0', 1, [80_000]);
  const recorded = { view, keys, entity: 'somebody', events: manyEvents, sealed: true, mostTogether: 512 };
  const { backend, records } = recordedEvents(recorded);
  const at = (START + 80_000) / 1_000;
  const reader = new RecordReader(backend, keys);
  expect(sync(reader.lookUp(view, ['somebody'], at)).values[0]).toBe(200);
  for (const bytes of records.values()) expect(bytes.includes(Buffer.alloc(8))).toBe(false);
  // The same again gives the same bytes, so that what has not changed is not written.
  expect(recordedEvents(recorded).records).toEqual(records);
  const other = recordedEvents({ ...recorded, view: { ...view, store: 'pipeline/view/1' } });
  expect([...other.records.keys()]).toEqual([...records.keys()]);
  for (const [name, bytes] of other.records) records.set(name, bytes);
  expect(() => reader.lookUp(view, ['somebody'], at)).toThrow(OnlineStoreError);

  const others = await ArtifactStore.create(join(folder, 'other'));
  const elsewhere = new OnlineKeys(await onlineSecrets(others, join(folder, 'x')));
  const foreign = recordedEvents({ ...recorded, keys: elsewhere });
  for (const [name, bytes] of foreign.records)
    records.set(name.replace(/ .*/, ` ${keys.entity('somebody').toString('hex')}00`), bytes);
  expect(() => reader.lookUp(view, ['somebody'], at)).toThrow(OnlineStoreError);
});

it('knows the bucket and the slice of a moment, also before 1970', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: -(2 ** 45), max: 2 ** 51 }),
      fc.integer({ min: 1, max: 2 ** 43 }),
      (moment, length) => {
        const number = bucketOf(moment, length);
        expect(BigInt(number) * BigInt(length) <= BigInt(moment)).toBe(true);
        expect(BigInt(number + 1) * BigInt(length) > BigInt(moment)).toBe(true);
        const slice = sliceOf({ start: number * length, length }, moment);
        expect(slice).toBeGreaterThanOrEqual(1);
        expect(slice).toBeLessThanOrEqual(SLICES);
      },
    ),
  );
});

it('keeps fields in a set as Set does', () => {
  const field = fc.uint8Array({ minLength: 17, maxLength: 17 }).map((bytes) => {
    bytes[16] = (bytes[16] ?? 0) % 65;
    return Buffer.from(bytes);
  });
  fc.assert(
    fc.property(fc.array(field, { maxLength: 2_000, size: 'max' }), fc.array(field), (added, others) => {
      const set = new FieldSet();
      for (const one of added) set.add(one);
      for (const one of added) expect(set.has(one)).toBe(true);
      const names = new Set(added.map((one) => one.toString('hex')));
      for (const one of others) expect(set.has(one)).toBe(names.has(one.toString('hex')));
    }),
    { numRuns: 30 },
  );
});
