import { z } from 'zod';
import { type OnlineView, onlineView, type ViewPlan } from '../../contracts/feature-store.ts';
import { OnlineStoreError } from './online-store.ts';

/** Stretches that the longest window is cut into: a look-up touches one more. */
const BUCKETS = 8;

/** What the store says of a view, beside its records. */
export const storedView = onlineView.extend({
  /** Of its records, see `RECORD_FORMAT`. */
  format: z.number().int(),
  /** Whether its records are encrypted. */
  personal: z.boolean(),
  /** Tells the keys that entities are known by, see `OnlineKeys.fingerprint`. */
  keys: z.string(),
  /** Microseconds of a bucket. */
  bucket: z.number().int().positive(),
  /** Microseconds of the longest window. */
  longest: z.number().int().positive(),
  /** How many values an event has. */
  values: z.number().int().positive(),
  /** The first bucket that is there; before it nothing is known. */
  first: z.number().int(),
  /** From which bucket on events were asked for, where that was more than the windows need. */
  backfill: z.number().int().nullable(),
});
export type StoredView = z.infer<typeof storedView>;

/** The part of it that is told. */
export const toldOf = (stored: StoredView): OnlineView =>
  onlineView.parse(
    Object.fromEntries(Object.entries(stored).filter(([name]) => Object.hasOwn(onlineView.shape, name))),
  );

/** What the online store knows a view by: the same for the same definition in the same pipeline. */
export const storeIdOf = (pipeline: string, plan: Pick<ViewPlan, 'name' | 'digest'>): string =>
  `${pipeline}/${plan.name}/${plan.digest.slice(0, 16)}`;

/** Microseconds of a bucket of a view. */
export const bucketLength = (windows: readonly number[]): number => Math.ceil(Math.max(...windows) / BUCKETS);

/** @throws OnlineStoreError where it is of another version of this program */
export function readDescription(text: string): StoredView {
  const parsed = storedView.safeParse(json(text));
  if (parsed.success) return parsed.data;
  throw new OnlineStoreError(
    'the online store describes a view in a way that this version does not know; run the same version on workers and servers, and materialise the view again',
  );
}

/** The same; `undefined` where there is none, or one of another version: such a view is written anew. */
export function readableDescription(text: string | undefined): StoredView | undefined {
  try {
    return text === undefined ? undefined : readDescription(text);
  } catch {
    return undefined;
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
