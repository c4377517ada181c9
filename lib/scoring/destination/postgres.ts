import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { PostgresOutput, WrittenOutput } from '../../../contracts/batch-output.ts';
import { durationMs } from '../../../contracts/durations.ts';
import { PerennialError } from '../../../contracts/errors.ts';
import { type Database, refused } from '../../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../../duckdb/sql.ts';
import { postgresAddress } from '../../sources/postgres/address.ts';
import { connect, postgresError } from '../../sources/postgres/connection.ts';
import { timeoutsOf } from '../../sources/source.ts';
import { asOutputError } from './output-errors.ts';
import { copiedSql, postgresType } from './postgres-types.ts';
import type { NetworkOptions } from './s3.ts';

/** The table beside the answers in which each batch that was written has one row. */
export const LEDGER = 'perennial_batches';

/**
 * Appends a batch's rows to a table, which is created where it is missing: all in one transaction, with a row of
 * {@link LEDGER}, whose key lets each batch in once. Who comes second waits for the first, and then finds it done.
 *
 * @param table `identity` is a digest of what the rows are; the same batch with other rows is refused
 * @throws PerennialError `OutputExists`, `OutputDenied`, `OutputUnwritable`, `OutputUnavailable`, `ColumnMissing`
 */
export async function writePostgresOutput(
  database: Database,
  output: PostgresOutput,
  table: { query: string; batchId: string; identity: string; rows: number },
  options: NetworkOptions,
): Promise<Omit<WrittenOutput, 'kind'>> {
  const { query, batchId, identity, rows } = table;
  const columns = await database.columns(`(${query}\n)`, 'OutputUnwritable', 'the output');
  const destination = destinationOf(output);
  const csv = join(options.scratchDir, 'rows.csv');
  try {
    await withClient(output, options, async (client) => {
      const [schema, name] = nameOf(output);
      const target = schema === undefined ? quoteIdent(name) : `${quoteIdent(schema)}.${quoteIdent(name)}`;
      const ledger = schema === undefined ? LEDGER : `${quoteIdent(schema)}.${LEDGER}`;
      await client.query('BEGIN');
      await client.query(
        `SET LOCAL statement_timeout = ${Math.min(durationMs(output.postgres.timeout), 2 ** 31 - 1)}`,
      );
      await client.query("SET LOCAL timezone = 'UTC'");
      // Two that begin at the same time would both create the tables, and one of them would fail.
      await client.query('SELECT pg_advisory_xact_lock($1)', [lockOf(ledger)]);
      await created(
        client,
        ledger,
        `(request_id text, destination text, rows bigint NOT NULL, identity text NOT NULL, written_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (request_id, destination))`,
      );
      if (await isWritten(client, ledger, { batchId, name, identity }, destination)) {
        await client.query('ROLLBACK');
        return;
      }
      await created(
        client,
        target,
        `(${columns.map((column) => `${quoteIdent(column.name)} ${postgresType(column.type)}`).join(', ')})`,
      );
      await requireColumns(client, target, columns, destination);
      await database.connection
        .run(
          `COPY (SELECT ${columns.map(copiedSql).join(', ')} FROM (${query}\n)) TO ${quoteLiteral(csv)} (FORMAT csv, HEADER false)`,
        )
        .catch(refused('OutputUnwritable', 'the output'));
      const list = columns.map((column) => quoteIdent(column.name)).join(', ');
      const sink = client.query(copyFrom(`COPY ${target} (${list}) FROM STDIN (FORMAT csv)`));
      await pipeline(createReadStream(csv, { highWaterMark: 1 << 20 }), sink, { signal: options.signal });
      if (sink.rowCount !== rows)
        throw new PerennialError('StageFailed', `the server took ${sink.rowCount} of ${rows} rows`, true);
      await client.query(
        `INSERT INTO ${ledger} (request_id, destination, rows, identity) VALUES ($1, $2, $3, $4)`,
        [batchId, name, rows, identity],
      );
      options.signal.throwIfAborted();
      await client.query('COMMIT');
    });
  } finally {
    await rm(csv, { force: true });
  }
  return { destination, format: null, rows, bytes: null, sha256: null };
}

/** Whether the server can be reached and lets us in; before any row is scored. @throws as {@link writePostgresOutput} */
export const checkPostgresOutput = (output: PostgresOutput, options: NetworkOptions): Promise<void> =>
  withClient(output, options, async (client) => {
    await client.query('SELECT 1');
  });

function nameOf({ postgres }: PostgresOutput): [schema: string | undefined, name: string] {
  const [first = '', second] = postgres.table.split('.');
  return second === undefined ? [undefined, first] : [first, second];
}

/** Without user, password and parameters; a reference to a secret stays one. */
const destinationOf = ({ postgres: { url, table } }: PostgresOutput): string =>
  `${url.replace(/\?.*$/s, '').replace(/^([a-z]+:\/\/)[^/]*@/i, '$1')} table ${table}`;

const lockOf = (ledger: string): string =>
  createHash('sha256').update(`perennial/${ledger}`).digest().readBigInt64BE(0).toString();

/** Who may only write to a table that is there must not be asked for more. */
async function created(client: pg.Client, table: string, columns: string): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
    table,
  ]);
  if (!rows[0]?.there) await client.query(`CREATE TABLE ${table} ${columns}`);
}

async function isWritten(
  client: pg.Client,
  ledger: string,
  batch: { batchId: string; name: string; identity: string },
  destination: string,
): Promise<boolean> {
  const { rows } = await client.query<{ identity: string }>(
    `SELECT identity FROM ${ledger} WHERE request_id = $1 AND destination = $2`,
    [batch.batchId, batch.name],
  );
  const [known] = rows;
  if (known && known.identity !== batch.identity)
    throw new PerennialError(
      'OutputExists',
      `output ${destination}: a batch with the id ${batch.batchId} and other rows was written there; choose another batchId`,
    );
  return known !== undefined;
}

async function requireColumns(
  client: pg.Client,
  target: string,
  columns: readonly { name: string }[],
  destination: string,
): Promise<void> {
  const { fields } = await client.query(`SELECT * FROM ${target} LIMIT 0`);
  const known = new Set(fields.map((field) => field.name));
  const lacking = columns.filter(({ name }) => !known.has(name)).map(({ name }) => name);
  if (lacking.length > 0)
    throw new PerennialError(
      'ColumnMissing',
      `output ${destination}: the table that is there lacks the columns ${lacking.slice(0, 20).join(', ')}; add them, or choose another table`,
    );
}

async function withClient(
  output: PostgresOutput,
  options: NetworkOptions,
  work: (client: pg.Client) => Promise<void>,
): Promise<void> {
  const { hosts, secrets, signal } = options;
  signal.throwIfAborted();
  const where = `output ${destinationOf(output)}`;
  let client: pg.Client | undefined;
  // A server goes on until it next tries to send; the transaction ends with its connection.
  const stop = (): void => {
    client?.connection.stream.destroy();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const address = postgresAddress(where, output, { hosts, secrets });
    try {
      client = await connect(where, address, hosts, timeoutsOf({}).connect);
      await work(client);
    } catch (error) {
      throw postgresError(where, address.place, error);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw secrets.hide(asOutputError(error));
  } finally {
    signal.removeEventListener('abort', stop);
    if (client) await closed(client);
  }
}

/** Says good-bye; a server that does not answer is left. */
async function closed(client: pg.Client): Promise<void> {
  const patience = setTimeout(() => client.connection.stream.destroy(), 2_000);
  await client.end().catch(() => undefined);
  clearTimeout(patience);
}
