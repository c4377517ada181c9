import {
  DOUBLE,
  type DuckDBAppender,
  type DuckDBConnection,
  DuckDBDataChunk,
  type DuckDBType,
  FLOAT,
  INTEGER,
  UTINYINT,
  VARCHAR,
} from '@duckdb/node-api';
import duckdb from '@duckdb/node-bindings';
import type { Database } from './database.ts';
import { quoteIdent } from './sql.ts';

/** DuckDB's vectors hold so many rows. */
const ROWS = 2_048;

/** How a column is held until it is appended. */
export type ColumnStorage = 'float' | 'double' | 'int' | 'byte' | 'text';

const TYPES: Readonly<Record<ColumnStorage, DuckDBType>> = {
  float: FLOAT,
  double: DOUBLE,
  int: INTEGER,
  byte: UTINYINT,
  text: VARCHAR,
};

type Numbers =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

/** One column of the rows that are not appended yet. Numbers have no NULL: a missing one is NaN until the SELECT. */
type Column = { numbers: Numbers; texts?: undefined } | { texts: (string | null)[]; numbers?: undefined };

function columnOf(storage: ColumnStorage): Column {
  switch (storage) {
    case 'float':
      return { numbers: new Float32Array(ROWS) };
    case 'double':
      return { numbers: new Float64Array(ROWS) };
    case 'int':
      return { numbers: new Int32Array(ROWS) };
    case 'byte':
      return { numbers: new Uint8Array(ROWS) };
    case 'text':
      return { texts: new Array<string | null>(ROWS).fill(null) };
  }
}

/**
 * A table of a database that is filled row by row, column by column. Numbers go to the engine as memory: a call for each
 * value costs more than all else (measured: 100,000 rows of 40 columns in 0.4 s instead of 1.2 s).
 *
 * @example
 * const table = await RowTable.create(database, 't0', ['text', 'float']);
 * const row = table.next();
 * table.text(0, row, 'a'); table.number(1, row, 0.5);
 * await table.close();
 */
export class RowTable {
  readonly #columns: readonly Column[];
  #rows = 0;

  private constructor(
    readonly name: string,
    private readonly types: readonly DuckDBType[],
    storages: readonly ColumnStorage[],
    private readonly appender: DuckDBAppender,
  ) {
    this.#columns = storages.map(columnOf);
  }

  /**
   * Creates the table; its columns are named `c0`, `c1`, and so on.
   *
   * @param connection by which rows are appended; another one than the database's own where that streams meanwhile
   */
  static async create(
    database: Database,
    name: string,
    storages: readonly ColumnStorage[],
    connection: DuckDBConnection = database.connection,
  ): Promise<RowTable> {
    const types = storages.map((storage) => TYPES[storage]);
    await database.run(
      `CREATE TABLE ${quoteIdent(name)} (${types.map((type, i) => `c${i} ${type}`).join(', ')})`,
    );
    return new RowTable(name, types, storages, await connection.createAppender(name));
  }

  get columns(): number {
    return this.#columns.length;
  }

  /** A new row, to be filled before the next one. */
  next(): number {
    if (this.#rows === ROWS) this.#append();
    return this.#rows++;
  }

  number(column: number, row: number, value: number): void {
    const { numbers } = this.#columns[column] ?? {};
    if (numbers) numbers[row] = value;
  }

  text(column: number, row: number, value: string | null): void {
    const { texts } = this.#columns[column] ?? {};
    if (texts) texts[row] = value;
  }

  /** Appends what is left. */
  async close(): Promise<void> {
    if (this.#rows > 0) this.#append();
    this.appender.closeSync();
  }

  #append(): void {
    const chunk = DuckDBDataChunk.create(this.types, this.#rows);
    for (const [i, { numbers, texts }] of this.#columns.entries()) {
      if (numbers) {
        const vector = duckdb.data_chunk_get_vector(chunk.chunk, i);
        duckdb.copy_data_to_vector(vector, 0, numbers.buffer, 0, this.#rows * numbers.BYTES_PER_ELEMENT);
        continue;
      }
      const vector = chunk.getColumnVector(i);
      for (let row = 0; row < this.#rows; row++) vector.setItem(row, texts[row] ?? null);
      vector.flush();
    }
    this.appender.appendDataChunk(chunk);
    this.#rows = 0;
  }
}
