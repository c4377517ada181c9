import { randomUUID } from 'node:crypto';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';

const parquet = (paths: readonly string[]): string =>
  `read_parquet([${paths.map(quoteLiteral).join(', ')}], union_by_name = true, file_row_number = true)`;

/**
 * The rows of predictions of one endpoint in which a person was found, and the truth about them. An id of a request is
 * the client's and may be that of other people's requests too: what is said of it belongs to the latest request of that
 * id that had arrived before, as the view `labelled` has it.
 */
export class PersonRequests {
  readonly #rows = quoteIdent(`person_${randomUUID()}`);
  /** Files of predictions that were looked through. */
  readonly #files: string[] = [];
  #isEmpty = true;

  private constructor(private readonly database: Database) {}

  static async create(database: Database): Promise<PersonRequests> {
    const requests = new PersonRequests(database);
    await database.run(
      `CREATE TEMP TABLE ${requests.#rows} (request_id VARCHAR, time TIMESTAMP, row INTEGER)`,
    );
    return requests;
  }

  /** @param rows of the person in a file of predictions, by their places in it; none: others' requests are of use too */
  async add(path: string, rows: readonly number[]): Promise<void> {
    this.#files.push(path);
    if (rows.length === 0) return;
    this.#isEmpty = false;
    await this.database.run(
      `INSERT INTO ${this.#rows} SELECT request_id, time, row FROM ${parquet([path])} WHERE file_row_number IN (${rows.join(', ')})`,
    );
  }

  /**
   * Places of the rows of a file of truth that are about the person's requests: all of the request, or a row of theirs.
   * What is about an id of theirs and can be no other's is counted among them.
   */
  async truthIn(path: string): Promise<number[]> {
    if (this.#isEmpty) return [];
    const rows = await this.database.rows(`
      WITH asked AS (
        SELECT DISTINCT request_id, time FROM ${parquet(this.#files)}
        WHERE request_id IN (SELECT request_id FROM ${this.#rows})
      ), said AS (
        SELECT t.file_row_number AS n, t.request_id, t.row, a.time
        FROM (SELECT * FROM ${parquet([path])} WHERE request_id IN (SELECT request_id FROM ${this.#rows})) t
        ASOF LEFT JOIN asked a ON t.request_id = a.request_id AND t.received_at >= a.time
      )
      SELECT n FROM said WHERE time IS NULL OR EXISTS (
        FROM ${this.#rows} p
        WHERE p.request_id = said.request_id AND p.time = said.time AND (said.row IS NULL OR p.row = said.row)
      )`);
    return rows.map(({ n }) => Number(n));
  }

  drop(): Promise<void> {
    return this.database.run(`DROP TABLE ${this.#rows}`);
  }
}
