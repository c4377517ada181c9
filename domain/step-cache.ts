import type { CacheFilter, CachePolicy } from '../contracts/cache.ts';
import { durationMs } from '../contracts/durations.ts';

/** Times of a stored result, ISO. */
export interface StoredTimes {
  storedAt: string;
  lastHitAt: string | null;
}

/** Whether a policy takes a result of that age. */
export const isFresh = (
  { storedAt }: Pick<StoredTimes, 'storedAt'>,
  policy: CachePolicy,
  asOf: number,
): boolean =>
  policy.mode === 'use' &&
  (policy.ttl === undefined || asOf - Date.parse(storedAt) <= durationMs(policy.ttl));

/** Whether a result is kept: stored or used within `keepMs`. */
export const isKept = ({ storedAt, lastHitAt }: StoredTimes, keepMs: number, asOf: number): boolean =>
  asOf - Math.max(Date.parse(storedAt), Date.parse(lastHitAt ?? storedAt)) <= keepMs;

/** Whether a result is among those that a filter means; an empty filter means all. */
export const isMeant = (
  entry: { stage: string; pipeline: string; key: string },
  filter: CacheFilter,
): boolean =>
  (filter.stage === undefined || entry.stage === filter.stage) &&
  (filter.pipeline === undefined || entry.pipeline === filter.pipeline) &&
  (filter.key === undefined || entry.key.startsWith(filter.key));
