import { PerennialError } from '../../contracts/errors.ts';
import type { Source } from '../../contracts/spec/sources.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { acquireSource } from './acquire.ts';
import { findFiles } from './files.ts';
import { compressionOf, headOf } from './formats.ts';
import { type Column, checkHeader } from './header.ts';
import { describePostgres } from './postgres/postgres.ts';
import { readQuery, SAMPLE_ROWS } from './read-query.ts';
import { maxBytesOf, type SourceOptions } from './source.ts';

/** What is transferred or copied at the most for a look at a source. */
const MAX_BYTES = 100e6;

/** A source as far as a look shows it. */
export interface SourceSample {
  /** A query over it with the columns that a run would see, by its first rows. */
  query: string;
  /** The files that the query reads. */
  paths: readonly string[];
  files: number;
  columns: readonly Column[];
}

/**
 * Looks at a source without reading all of it: files by their first rows, a PostgreSQL table by its description, web
 * addresses and objects whole where they have at most 100 MB.
 *
 * @returns `undefined` where a look would cost too much; that the worker allows the source is checked all the same
 * @throws PerennialError with what a run would fail with
 */
export async function sampleSource(
  database: Database,
  name: string,
  source: Source,
  options: SourceOptions,
): Promise<SourceSample | undefined> {
  if ('events' in source) return undefined;
  if ('postgres' in source) {
    const columns = await describePostgres(name, source, options);
    const list = columns.map((column) => `NULL::${column.type} AS ${quoteIdent(column.name)}`);
    const number = source.rowNumber ? [`NULL::BIGINT AS ${quoteIdent(source.rowNumber)}`] : [];
    const query = `SELECT ${[...list, ...number].join(', ')} WHERE false`;
    return { query, paths: [], files: 0, columns: await database.columns(`(${query})`) };
  }
  if ('path' in source) {
    const found = await findFiles(database, name, source, options);
    // As they are, where the engine can read them so.
    if (found.format === 'parquet' || (await allPlain(found.files, source.encoding)))
      return looked(database, name, source, { ...found, finished: false });
  }
  const limited = { ...source, maxBytes: Math.min(maxBytesOf(source), MAX_BYTES) };
  try {
    const acquired = await acquireSource(database, name, limited, options);
    return await looked(database, name, source, acquired);
  } catch (error) {
    if (error instanceof PerennialError && /more than \d+ bytes/.test(error.message)) return undefined;
    throw error;
  }
}

async function looked(
  database: Database,
  name: string,
  source: Source,
  readable: Parameters<typeof readQuery>[1],
): Promise<SourceSample> {
  await checkHeader(database, name, source, readable);
  const query = readQuery(source, readable, { sampleRows: SAMPLE_ROWS });
  const columns = await database.columns(`(${query})`, 'SourceUnreadable', `source ${name}`);
  return { query, paths: readable.files, files: readable.files.length, columns };
}

/** Whether text is UTF-8 as far as its first bytes and the spec say; packed text may be anything. */
async function allPlain(files: readonly string[], encoding: string | undefined): Promise<boolean> {
  if (encoding !== undefined && encoding !== 'utf-8') return false;
  for (const file of files) {
    const head = await headOf(file);
    const mark = head.length >= 2 ? head.readUInt16BE(0) : 0;
    if (compressionOf(head) !== 'none' || mark === 0xfffe || mark === 0xfeff) return false;
  }
  return true;
}
