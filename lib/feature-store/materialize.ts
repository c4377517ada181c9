import { PerennialError } from '../../contracts/errors.ts';
import type { MaterializedView, ViewPlan } from '../../contracts/feature-store.ts';
import type { Database } from '../duckdb/database.ts';
import { interruptedBy } from '../duckdb/interruption.ts';
import { markOf, stampOf } from './bucket-mark.ts';
import { BucketRewrite } from './bucket-rewrite.ts';
import { type BucketSum, bucketSums, entityEvents, type Horizon } from './event-buckets.ts';
import { bucketOf, RECORD_FORMAT } from './event-record.ts';
import type { ViewWriter } from './online-backend.ts';
import type { OnlineFeatures } from './online-features.ts';
import { bucketLength, readableDescription, type StoredView, storeIdOf, toldOf } from './stored-view.ts';

const MICROS = 1_000;

export interface MaterializeOptions {
  readonly pipeline: string;
  /** Events before it are there afterwards; milliseconds of Unix time. */
  readonly until: number;
  /**
   * From when on there are events, where that is earlier than the windows need; milliseconds of Unix time. It is
   * remembered: left out, the beginning stays where it was; `null` goes back to what the windows need.
   */
  readonly from?: number | null;
  /** Whether records are encrypted. */
  readonly personal: boolean;
  readonly signal?: AbortSignal;
  /** Is told of the buckets that are complete, among those that had changed. */
  readonly progress?: (complete: number, changed: number) => void;
}

/**
 * Brings the online store to where the sources are: afterwards it has exactly the events of a view before `until`,
 * whatever it had before. Buckets of time whose events are what they were are not read; of others, records that are
 * what they were are not written. A bucket is marked as complete when all of it is written, with the sum of its events;
 * the mark goes before the first of its records does. So a run that was killed at any moment is repaired by the next
 * one, and a late, a corrected and a deleted event count exactly once.
 *
 * @param database in which the sources stand under their names
 * @throws PerennialError `SqlInvalid` where the events cannot be read, `InputInvalid` where there is no such time;
 *   `StageFailed`, retryable, where another process began to materialise the view; OnlineStoreError where the store is
 *   away
 * @example
 * await materializeView(database, plan, store, { pipeline: 'delays', until: Date.now(), personal: false });
 */
export async function materializeView(
  database: Database,
  plan: ViewPlan,
  store: OnlineFeatures,
  options: MaterializeOptions,
): Promise<MaterializedView> {
  const begin = performance.now();
  const { signal } = options;
  signal?.throwIfAborted();
  const id = storeIdOf(options.pipeline, plan);
  const writer = await store.backend.write(id);
  const release = interruptedBy(signal, database.connection);
  try {
    const before = readableDescription(await writer.description());
    const stretch = stretchOf(plan, options, before);
    const sums = await bucketSums(database, plan, stretch.horizon);
    const stamp = await stampOf(database, store.keys, options.personal);
    const known = await store.backend.buckets(id);
    const changed = sums.filter((sum) => known.get(sum.bucket) !== markOf(stamp, sum));
    const counts = await rewrite(database, plan, {
      writer,
      id,
      store,
      stretch,
      stamp,
      known,
      changed,
      options,
    });
    const after = describe(id, plan, options, { stretch, sums, keys: store.keys.fingerprint });
    const there = new Set(sums.map(({ bucket }) => bucket));
    const gone = [...known.keys()].filter((bucket) => !there.has(bucket));
    // Before anything goes that the description promises.
    if (gone.length > 0 || before === undefined || !same(before, after))
      await writer.describe(JSON.stringify(after));
    for (const bucket of gone) counts.removed += await writer.drop(bucket);
    return {
      ...toldOf(after),
      changed: changed.length + gone.length,
      ...counts,
      seconds: (performance.now() - begin) / 1_000,
    };
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    release();
    await writer.close();
  }
}

/** Which events are there afterwards. */
interface Stretch {
  readonly horizon: Horizon;
  readonly first: number;
  readonly backfill: number | null;
}

function stretchOf(plan: ViewPlan, { until, from }: MaterializeOptions, before?: StoredView): Stretch {
  const length = bucketLength(plan.windows);
  const end = Math.round(until * MICROS);
  if (!Number.isSafeInteger(end) || (typeof from === 'number' && !Number.isSafeInteger(from * MICROS)))
    throw new PerennialError(
      'InputInvalid',
      `until ${until}, from ${from}: expected milliseconds of Unix time`,
    );
  const needed = bucketOf(end - Math.max(...plan.windows), length) - 1;
  const asked = typeof from === 'number' ? bucketOf(Math.floor(from * MICROS), length) : from;
  const backfill = asked === undefined ? (before?.backfill ?? null) : asked;
  const first = Math.min(needed, backfill ?? needed);
  return { horizon: { from: first * length, until: end, length }, first, backfill };
}

interface Rewrite {
  readonly writer: ViewWriter;
  readonly id: string;
  readonly store: OnlineFeatures;
  readonly stretch: Stretch;
  readonly stamp: string;
  readonly known: ReadonlyMap<number, string | undefined>;
  readonly changed: readonly BucketSum[];
  readonly options: MaterializeOptions;
}

/** Replaces the buckets that have changed, one after the other. */
async function rewrite(database: Database, plan: ViewPlan, task: Rewrite) {
  const { writer, id, store, stretch, known, changed, options } = task;
  const counts = { written: 0, removed: 0 };
  if (changed.length === 0) return counts;
  const marks = new Map(changed.map((sum) => [sum.bucket, markOf(task.stamp, sum)]));
  const { length } = stretch.horizon;
  let complete = 0;
  let current: BucketRewrite | undefined;
  const finish = async (): Promise<void> => {
    if (!current) return;
    const { written, removed } = await current.complete(marks.get(current.bucket) ?? '');
    counts.written += written;
    counts.removed += removed;
    options.progress?.(++complete, changed.length);
  };
  const buckets = [...marks.keys()];
  for await (const events of entityEvents(database, plan, stretch.horizon, buckets)) {
    if (current?.bucket !== events.bucket) {
      await finish();
      options.signal?.throwIfAborted();
      const { bucket } = events;
      current = new BucketRewrite(writer, bucket, {
        view: id,
        length,
        keys: store.keys,
        sealed: options.personal,
        fresh: !known.has(bucket),
      });
    }
    await current.add(events);
  }
  await finish();
  return counts;
}

function describe(
  store: string,
  plan: ViewPlan,
  { pipeline, until, personal }: MaterializeOptions,
  { stretch, sums, keys }: { stretch: Stretch; sums: readonly BucketSum[]; keys: string },
): StoredView {
  const { horizon, first, backfill } = stretch;
  return {
    store,
    pipeline,
    view: plan.name,
    entity: [...plan.entity],
    columns: plan.columns.map(({ name }) => name),
    from: new Date(Math.ceil(horizon.from / MICROS)).toISOString(),
    until: new Date(until).toISOString(),
    materializedAt: new Date().toISOString(),
    events: sums.reduce((all, { events }) => all + events, 0),
    format: RECORD_FORMAT,
    personal,
    keys,
    bucket: horizon.length,
    longest: Math.max(...plan.windows),
    values: plan.values,
    first,
    backfill,
  };
}

/** Whether only the moment of materialisation differs. */
const same = (a: StoredView, b: StoredView): boolean =>
  JSON.stringify({ ...a, materializedAt: '' }) === JSON.stringify({ ...b, materializedAt: '' });
