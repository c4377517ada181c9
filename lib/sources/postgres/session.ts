import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type pg from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { durationMs } from '../../../contracts/durations.ts';
import { PerennialError } from '../../../contracts/errors.ts';
import type { PostgresSource } from '../../../contracts/spec/sources.ts';
import { quoteIdent } from '../../duckdb/sql.ts';
import type { RowsBelow } from '../../incremental/rows-below.ts';
import { maxBytesOf } from '../source.ts';
import { tooLarge, unreadable } from '../source-errors.ts';
import type { PostgresColumn } from './column-types.ts';

/** From where on rows are wanted. */
export interface Bound {
  /** A date or a time. */
  column: string;
  /** The condition that wanted rows fulfil, as SQL. */
  condition: string;
}

/**
 * One reading of a source: a transaction that sees one moment and may write nothing, with the settings under which
 * values are written so that the engine can read them.
 */
export class PostgresSession {
  constructor(
    private readonly where: string,
    private readonly client: pg.Client,
    private readonly source: PostgresSource,
  ) {}

  async begin(): Promise<void> {
    await this.client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const timeout = Math.ceil(durationMs(this.source.postgres.timeout));
    for (const setting of [
      `statement_timeout = ${Math.min(timeout, 2 ** 31 - 1)}`,
      "timezone = 'UTC'",
      "datestyle = 'ISO, YMD'",
      "intervalstyle = 'iso_8601'",
      'extra_float_digits = 1',
    ])
      await this.client.query(`SET LOCAL ${setting}`);
  }

  /**
   * The columns of the table or query.
   *
   * @throws PerennialError `SqlInvalid` where the query is not one SELECT
   */
  async columns(): Promise<PostgresColumn[]> {
    const { query } = this.source.postgres;
    // One statement and a whole one: the extended protocol takes no more, and the grammar no half of one.
    if (query !== undefined)
      await this.client.query(single(`PREPARE perennial AS ${query}\n`)).catch((error: unknown) => {
        throw this.#notOneSelect(error);
      });
    const described = await this.client
      .query(single(`SELECT * FROM (${this.#select}\n) AS described LIMIT 0`))
      .catch((error: unknown) => {
        throw query === undefined ? error : this.#notOneSelect(error);
      });
    return described.fields.map(({ name, dataTypeID, dataTypeModifier }) => ({
      name,
      typeId: dataTypeID,
      modifier: dataTypeModifier,
    }));
  }

  /**
   * Streams all rows into a CSV file; a missing value is nothing, an empty text is `""`.
   *
   * @param from only the rows from a bound on
   * @returns its size
   */
  async copy(path: string, { from, signal }: { from?: Bound; signal?: AbortSignal } = {}): Promise<number> {
    const maxBytes = maxBytesOf(this.source);
    let bytes = 0;
    const { where } = this;
    async function* capped(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of chunks) {
        bytes += chunk.length;
        if (bytes > maxBytes) throw tooLarge(where, maxBytes);
        yield chunk;
      }
    }
    const select = from
      ? `SELECT * FROM (${this.#select}\n) AS source WHERE ${from.condition}`
      : this.#select;
    const rows = this.client.query(copyTo(`COPY (${select}\n) TO STDOUT (FORMAT csv, FORCE_QUOTE *)`));
    const sink = createWriteStream(path, { mode: 0o600, highWaterMark: 1 << 20 });
    await pipeline(rows, capped, sink, signal ? { signal } : {}).catch((error: unknown) => {
      throw unreadable(where, error);
    });
    return bytes;
  }

  /** Counts the rows that {@link copy} leaves out. */
  async below({ column, condition }: Bound): Promise<RowsBelow> {
    const name = quoteIdent(column);
    const { rows } = await this.client.query<{ hour: string | null; rows: string }>(
      `SELECT CASE WHEN isfinite(${name}) THEN floor(extract(epoch FROM ${name}) / 3600)::bigint END AS hour, count(*) AS rows
       FROM (${this.#select}\n) AS source WHERE (${condition}) IS NOT TRUE GROUP BY 1`,
    );
    return {
      withoutTime: Number(rows.find(({ hour }) => hour === null)?.rows ?? 0),
      byHour: new Map(
        rows.flatMap(({ hour, rows: count }) => (hour === null ? [] : [[Number(hour), Number(count)]])),
      ),
    };
  }

  /** The largest value of a column as text; `null` where there is none. */
  async largest(column: string): Promise<string | null> {
    const { rows } = await this.client.query<{ largest: string | null }>(
      `SELECT max(${quoteIdent(column)})::text AS largest FROM (${this.#select}\n) AS source`,
    );
    return rows[0]?.largest ?? null;
  }

  /** The number of the server's process, to stop what it does. */
  async processId(): Promise<number> {
    const { rows } = await this.client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    return Number(rows[0]?.pid);
  }

  get #select(): string {
    const { table, query } = this.source.postgres;
    return query ?? `SELECT * FROM ${(table ?? '').split('.').map(quoteIdent).join('.')}`;
  }

  #notOneSelect(error: unknown): unknown {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    return error instanceof Error && /^(42601|42P0|0A000)/.test(code) && code !== '42P01'
      ? new PerennialError(
          'SqlInvalid',
          `${this.where}: postgres.query is not exactly one SELECT: ${error.message.slice(0, 400)}`,
        )
      : error;
  }
}

/** The extended protocol: exactly one statement. */
const single = (text: string): pg.QueryConfig & { queryMode: 'extended' } => ({
  text,
  queryMode: 'extended',
});
