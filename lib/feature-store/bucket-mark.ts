import { createHash } from 'node:crypto';
import type { Database } from '../duckdb/database.ts';
import { type BucketSum, engineVersion } from './event-buckets.ts';
import { RECORD_FORMAT } from './event-record.ts';
import type { OnlineKeys } from './online-keys.ts';

/** What a bucket's records follow from beside its events. */
export async function stampOf(database: Database, keys: OnlineKeys, personal: boolean): Promise<string> {
  const facts = {
    format: RECORD_FORMAT,
    engine: await engineVersion(database),
    keys: keys.fingerprint,
    personal,
  };
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 16);
}

/** What stands in the store beside a bucket that is complete: the same for the same records. */
export const markOf = (stamp: string, { events, sum }: BucketSum): string => `${stamp} ${events} ${sum}`;

/** How many events a complete bucket has. */
export const eventsIn = (mark: string): number => Number(mark.split(' ')[1]);
