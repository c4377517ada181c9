import type { SourceLook } from '../../contracts/new-data.ts';
import type { EventsSource, Source } from '../../contracts/spec/sources.ts';
import type { Database } from '../duckdb/database.ts';
import { sha256Of } from '../store/digest.ts';
import { identifyFiles, lookAtFiles } from './files.ts';
import { headOf } from './http/http.ts';
import { largestInPostgres } from './postgres/postgres.ts';
import { identifyS3 } from './s3/s3.ts';
import type { SourceOptions } from './source.ts';

/** What {@link lookAtSource} works with. */
export interface LookOptions extends Omit<SourceOptions, 'scratchDir' | 'events'> {
  /** Where an event log stands, in words that change with every batch. */
  head(source: EventsSource): Promise<string>;
}

/**
 * Asks a source what it has, as cheaply as it can be had: files by names, sizes and times, and by their bytes only where
 * those differ; web addresses by HEAD (ETag, Last-Modified, else the length); objects by keys, sizes and ETags;
 * PostgreSQL by the largest value of `incremental.watermark`; event logs by their number of batches.
 *
 * @param before what it said last
 * @returns compare with {@link hasNews}
 * @throws PerennialError as `acquireSource`
 */
export async function lookAtSource(
  database: Database,
  name: string,
  source: Source,
  before: SourceLook | undefined,
  options: LookOptions,
): Promise<SourceLook> {
  try {
    // A pinned source gives the same rows for ever.
    if (source.pin !== undefined) return same(`pin:${source.pin}`);
    if ('path' in source) {
      const quick = await lookAtFiles(database, name, source, options);
      if (before && before.quick === quick) return before;
      return { quick, identity: await identifyFiles(database, name, source, options) };
    }
    if ('url' in source) {
      const { identity, length } = await headOf(name, source, options);
      return same(identity ?? (length === null ? null : `length:${length}`));
    }
    if ('s3' in source) return same(await identifyS3(name, source, options));
    if ('events' in source) return same(await options.head(source));
    const { incremental } = source;
    if (!incremental) return same(null);
    const largest = await largestInPostgres(name, source, incremental.watermark, options);
    // The value itself is somebody's.
    return same(`largest:${largest === null ? '' : sha256Of(largest)}`);
  } catch (error) {
    throw options.secrets.hide(error);
  }
}

const same = (quick: string | null): SourceLook => ({ quick, identity: quick });

/** Whether a source has something that it had not; one that cannot be told about never has. */
export const hasNews = (before: SourceLook | undefined, now: SourceLook): boolean =>
  now.identity !== null && typeof before?.identity === 'string' && before.identity !== now.identity;
