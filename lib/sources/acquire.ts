import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { Source } from '../../contracts/spec/sources.ts';
import type { Database } from '../duckdb/database.ts';
import { acquireFiles, identifyFiles } from './files.ts';
import { acquireHttp, identifyHttp } from './http/http.ts';
import { acquirePostgres } from './postgres/postgres.ts';
import { acquireS3, identifyS3 } from './s3/s3.ts';
import type { AcquiredSource, SourceOptions } from './source.ts';

/**
 * Brings the content of a source to this machine, whatever its kind. Nothing is stored: see
 * {@link ./snapshot.ts snapshotSource}.
 *
 * @param name the source's name in the spec, for messages
 * @param options what the worker allows; `scratchDir` gets a folder for this source, which the caller deletes with the rest
 * @throws PerennialError `SourceDenied`, `SourceNotFound`, `SourceUnavailable` (worth another try), `SourceUnreadable`, `SecretMissing`
 * @example
 * const acquired = await acquireSource(database, 'flights', source, options);
 * const table = await snapshotSource(database, 'flights', source, acquired, store, `${scratchDir}/flights.parquet`);
 */
export async function acquireSource(
  database: Database,
  name: string,
  source: Source,
  options: SourceOptions,
): Promise<AcquiredSource> {
  const scratchDir = join(options.scratchDir, `source-${name}`);
  await mkdir(scratchDir, { recursive: true, mode: 0o700 });
  const own = { ...options, scratchDir };
  return hidden(options, () => {
    if ('path' in source) return acquireFiles(database, name, source, own);
    if ('url' in source) return acquireHttp(name, source, own);
    if ('s3' in source) return acquireS3(name, source, own);
    if ('postgres' in source) return acquirePostgres(database, name, source, own);
    if (!options.events) throw noEvents(name);
    return options.events(name, source, own);
  });
}

/**
 * What a source says of its content without sending all of it, to ask whether it changed: `sha256:…` of files,
 * `etag:…` or `modified:…` of a web address, `etag:…` over keys, sizes and ETags of objects. `null` where it says
 * nothing: PostgreSQL, event logs, and web servers without such headers.
 *
 * @returns compare with {@link AcquiredSource.identity}, never with a digest
 * @throws PerennialError as {@link acquireSource}
 */
export async function identifySource(
  database: Database,
  name: string,
  source: Source,
  options: Omit<SourceOptions, 'scratchDir'>,
): Promise<string | null> {
  return hidden(options, () => {
    if ('path' in source) return identifyFiles(database, name, source, options);
    if ('url' in source) return identifyHttp(name, source, options);
    if ('s3' in source) return identifyS3(name, source, options);
    return Promise.resolve(null);
  });
}

/** No error tells a secret. */
async function hidden<T>({ secrets }: Pick<SourceOptions, 'secrets'>, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw secrets.hide(error);
  }
}

const noEvents = (name: string): PerennialError =>
  new PerennialError('SourceDenied', `source ${name}: this worker has no event logs`);
