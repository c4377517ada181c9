import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { PerennialError } from '../../../contracts/errors.ts';
import type { PostgresSource } from '../../../contracts/spec/sources.ts';
import { missingColumn } from '../../data/missing-column.ts';
import type { Database } from '../../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../../duckdb/sql.ts';
import type { RowsBelow } from '../../incremental/rows-below.ts';
import { sha256OfFile } from '../../store/digest.ts';
import { type AcquiredSource, type SourceOptions, timeoutsOf } from '../source.ts';
import { type PostgresAddress, postgresAddress } from './address.ts';
import { duckdbType, type PostgresColumn } from './column-types.ts';
import { connect, postgresError } from './connection.ts';
import { type Bound, PostgresSession } from './session.ts';

type ReadOptions = Pick<SourceOptions, 'hosts' | 'secrets' | 'signal' | 'timeouts'>;

/**
 * Reads a table or query into one sorted Parquet file. A server gives rows in any order: they are sorted here, by
 * bytes, so that neither the server's storage nor its collation moves a digest.
 *
 * @throws PerennialError `SourceDenied`, `SourceNotFound`, `SourceUnavailable`, `SourceUnreadable`, `SqlInvalid`, `ColumnMissing`
 */
export async function acquirePostgres(
  database: Database,
  name: string,
  source: PostgresSource,
  options: SourceOptions,
): Promise<AcquiredSource> {
  return (await acquire(database, name, source, options, undefined)).acquired;
}

/**
 * The same with only the rows from a bound on, and a count of the others as they were at the same moment.
 *
 * @throws PerennialError as {@link acquirePostgres}
 */
export async function acquirePostgresFrom(
  database: Database,
  name: string,
  source: PostgresSource,
  from: Bound,
  options: SourceOptions,
): Promise<{ acquired: AcquiredSource; below: RowsBelow }> {
  const { acquired, below } = await acquire(database, name, source, options, from);
  return { acquired, below: below ?? { withoutTime: 0, byHour: new Map() } };
}

async function acquire(
  database: Database,
  name: string,
  source: PostgresSource,
  options: SourceOptions,
  from: Bound | undefined,
): Promise<{ acquired: AcquiredSource; below: RowsBelow | undefined }> {
  const where = `source ${name}`;
  const folder = join(options.scratchDir, 'postgres');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const rows = join(folder, 'rows.csv');
  const { signal } = options;
  // All in one transaction: a row that comes meanwhile is in none of them.
  const { columns, bytes, below } = await withSession(where, source, options, async (session) => {
    const described = await session.columns();
    checkColumns(where, described, source);
    const size = await session.copy(rows, { ...(from ? { from } : {}), ...(signal ? { signal } : {}) });
    return { columns: described, bytes: size, below: from && (await session.below(from)) };
  });
  signal?.throwIfAborted();
  const table = join(folder, 'table.parquet');
  await database
    .copyToParquet(sortedQuery(rows, columns, source), table, 'SourceUnreadable', where)
    .catch((error: unknown) => {
      throw unfitValue(where, error);
    });
  await rm(rows);
  const acquired: AcquiredSource = {
    kind: 'postgres',
    files: [table],
    format: 'parquet',
    sha256: await sha256OfFile(table),
    identity: null,
    origin: originOf(source),
    bytes,
    partitioned: false,
    finished: true,
  };
  return { acquired, below };
}

/** Names and DuckDB types of the columns, without a row. */
export async function describePostgres(
  name: string,
  source: PostgresSource,
  options: ReadOptions,
): Promise<{ name: string; type: string }[]> {
  return withSession(`source ${name}`, source, options, async (session) => {
    const columns = await session.columns();
    checkColumns(`source ${name}`, columns, source);
    return columns.map((column) => ({ name: column.name, type: duckdbType(column) ?? '' }));
  });
}

/**
 * The largest value of a column, as text; `null` where no row has one.
 *
 * @throws PerennialError as {@link acquirePostgres}
 */
export function largestInPostgres(
  name: string,
  source: PostgresSource,
  column: string,
  options: ReadOptions,
): Promise<string | null> {
  const where = `source ${name}`;
  return withSession(where, source, options, async (session) => {
    const names = (await session.columns()).map((known) => known.name);
    if (!names.includes(column)) throw missingColumn(`${where}, incremental.watermark`, column, names);
    return session.largest(column);
  });
}

/** The address without name, password and parameters; a reference to a secret stays one. */
const originOf = ({ postgres: { url, table, query } }: PostgresSource): string => {
  const address = url.replace(/\?.*$/s, '').replace(/^([a-z]+:\/\/)[^/]*@/i, '$1');
  return `${address} ${table === undefined ? `query ${(query ?? '').slice(0, 200)}` : `table ${table}`}`;
};

function checkColumns(
  where: string,
  columns: readonly PostgresColumn[],
  { postgres, rowNumber }: PostgresSource,
): void {
  const names = columns.map((column) => column.name);
  const known = new Set<string>(rowNumber === undefined ? [] : [rowNumber.toLowerCase()]);
  for (const column of columns) {
    if (known.has(column.name.toLowerCase()))
      throw new PerennialError(
        'SourceUnreadable',
        `${where}: two columns are called ${column.name}; give them names of their own by AS in a query`,
      );
    known.add(column.name.toLowerCase());
    if (duckdbType(column) === undefined)
      throw new PerennialError(
        'SourceUnreadable',
        `${where}: column ${column.name} is binary (bytea); leave it out, or write it as text, in a query`,
      );
  }
  for (const column of postgres.orderBy)
    if (!names.includes(column)) throw missingColumn(`${where}, postgres.orderBy`, column, names);
}

function sortedQuery(
  path: string,
  columns: readonly PostgresColumn[],
  { postgres, rowNumber }: PostgresSource,
): string {
  const types = columns
    .map(
      (column) =>
        `${quoteLiteral(column.name)}: ${quoteLiteral(isTime(column) ? 'VARCHAR' : typeOf(column))}`,
    )
    .join(', ');
  // The engine's reader would take a year before Christ for one after.
  const times = columns.filter(isTime).map((column) => {
    const name = quoteIdent(column.name);
    const words = quoteLiteral(`a value of column ${column.name} is no ${typeOf(column)};`);
    return `CASE WHEN ends_with(${name}, ' BC') THEN error(${words}) ELSE CAST(${name} AS ${typeOf(column)}) END AS ${name}`;
  });
  const replaced = times.length > 0 ? ` REPLACE (${times.join(', ')})` : '';
  const names = columns.map((column) => column.name);
  const order = [...postgres.orderBy, ...names.filter((column) => !postgres.orderBy.includes(column))];
  const read = `read_csv(${quoteLiteral(path)}, auto_detect = false, header = false, delim = ',', quote = '"', escape = '"', new_line = '\\n', nullstr = '', allow_quoted_nulls = false, columns = {${types}})`;
  const sorted = `SELECT * FROM (SELECT *${replaced} FROM ${read}) ORDER BY ${order.map(quoteIdent).join(', ')}`;
  return rowNumber ? `SELECT *, row_number() OVER () AS ${quoteIdent(rowNumber)} FROM (${sorted})` : sorted;
}

const typeOf = (column: PostgresColumn): string => duckdbType(column) ?? 'VARCHAR';
const isTime = (column: PostgresColumn): boolean => /^(DATE|TIMESTAMP)/.test(typeOf(column));

/** The one kind of value that PostgreSQL has and the engine has not. */
function unfitValue(where: string, error: unknown): unknown {
  const found =
    error instanceof PerennialError ? /a value of column (.+) is no ([^;]+);/.exec(error.message) : null;
  return found
    ? new PerennialError(
        'SourceUnreadable',
        `${where}: column ${found[1]} holds a value that ${found[2]} cannot, such as NaN or a year before 1; cast it in a query, to double precision or text`,
      )
    : error;
}

async function withSession<T>(
  where: string,
  source: PostgresSource,
  options: ReadOptions,
  work: (session: PostgresSession) => Promise<T>,
): Promise<T> {
  const { hosts, signal } = options;
  signal?.throwIfAborted();
  const address = postgresAddress(where, source, options);
  const connectMs = timeoutsOf(options).connect;
  const client = await connect(where, address, hosts, connectMs);
  let stop: (() => void) | undefined;
  let stopped: Promise<void> | undefined;
  try {
    const session = new PostgresSession(where, client, source);
    const processId = await session.processId();
    stop = () => {
      stopped = cancel(where, address, options, processId, connectMs);
    };
    signal?.addEventListener('abort', stop, { once: true });
    await session.begin();
    return await work(session);
  } catch (error) {
    signal?.throwIfAborted();
    throw postgresError(where, address.place, error);
  } finally {
    if (stop) signal?.removeEventListener('abort', stop);
    await stopped;
    await close(client);
  }
}

/** Ends what the server does for us: it would go on until it next tries to send. */
async function cancel(
  where: string,
  address: PostgresAddress,
  { hosts }: ReadOptions,
  processId: number,
  connectMs: number,
): Promise<void> {
  try {
    const second = await connect(where, address, hosts, connectMs);
    await second.query('SELECT pg_cancel_backend($1)', [processId]).finally(() => close(second));
  } catch {
    // The connection itself is closed next; a server that cannot be reached is not helped.
  }
}

/** Says good-bye; a server that does not answer is left. */
async function close(client: pg.Client): Promise<void> {
  const patience = setTimeout(() => client.connection.stream.destroy(), 2_000);
  await client.end().catch(() => undefined);
  clearTimeout(patience);
}
