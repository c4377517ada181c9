import type { ViewPlan } from '../../contracts/feature-store.ts';
import type { Database } from '../duckdb/database.ts';
import { eventsIn, markOf, stampOf } from './bucket-mark.ts';
import { bucketSums } from './event-buckets.ts';
import type { OnlineFeatures } from './online-features.ts';
import { readableDescription } from './stored-view.ts';

/** What an online store has of a view that the sources do not have. */
export interface Surplus {
  /** Whether its buckets are other ones than the sources give; also where it lacks events. */
  readonly differs: boolean;
  /** Buckets that have more events than the sources give them, and how many more. */
  readonly buckets: number;
  readonly events: number;
}

/**
 * Holds a view in the online store against the sources, over the stretch of time that the store has. Nothing is changed.
 *
 * @param database in which the sources stand under their names
 * @param view its id in the store, its plan, and whether its records are encrypted
 * @returns `undefined` where the view is not there as a whole
 * @throws PerennialError `SqlInvalid` where the events cannot be read; OnlineStoreError where the store is away
 */
export async function surplusOf(
  database: Database,
  store: OnlineFeatures,
  { id, plan, personal }: { id: string; plan: ViewPlan; personal: boolean },
): Promise<Surplus | undefined> {
  const all = await store.backend.views();
  const stored = readableDescription(all.find(({ view }) => view === id)?.description);
  if (!stored) return undefined;
  const { first, bucket: length } = stored;
  const horizon = { from: first * length, until: Date.parse(stored.until) * 1_000, length };
  const sums = await bucketSums(database, plan, horizon);
  const stamp = await stampOf(database, store.keys, personal);
  const wanted = new Map(sums.map((sum) => [sum.bucket, sum]));
  const known = await store.backend.buckets(id);
  let differs = sums.some(({ bucket }) => !known.has(bucket));
  let [buckets, events] = [0, 0];
  for (const [bucket, mark] of known) {
    const sum = wanted.get(bucket);
    if (sum && mark === markOf(stamp, sum)) continue;
    differs = true;
    const more = (mark === undefined ? 0 : eventsIn(mark)) - (sum?.events ?? 0);
    if (more <= 0) continue;
    buckets++;
    events += more;
  }
  return { differs, buckets, events };
}
