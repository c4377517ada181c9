import type { Database } from '../duckdb/database.ts';
import { RowTable } from '../duckdb/row-table.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { timestampSql } from './prediction-table.ts';
import type { TruthRecord } from './records.ts';

/** What was said to be true of an endpoint on one day, on its way from a segment to Parquet. */
export class TruthTable {
  private constructor(
    private readonly endpoint: string,
    private readonly table: RowTable,
  ) {}

  static async create(database: Database, name: string, endpoint: string): Promise<TruthTable> {
    const table = await RowTable.create(database, name, [
      'text', // request_id
      'double', // row
      'text', // entity
      'double', // observed_at
      'double', // received_at
      'double', // value
      'text', // label
      'text', // metrics, as JSON: whoever tells gives them their names, so they are no columns
    ]);
    return new TruthTable(endpoint, table);
  }

  add(record: TruthRecord): void {
    const { table } = this;
    const to = table.next();
    table.text(0, to, record.requestId);
    table.number(1, to, record.row ?? Number.NaN);
    table.text(2, to, record.entity);
    table.number(3, to, record.observedAt ?? Number.NaN);
    table.number(4, to, record.receivedAt);
    table.number(5, to, record.value ?? Number.NaN);
    table.text(6, to, record.label);
    table.text(7, to, Object.keys(record.metrics).length === 0 ? null : JSON.stringify(record.metrics));
  }

  get columns(): number {
    return this.table.columns;
  }

  close(): Promise<void> {
    return this.table.close();
  }

  /** The rows with the columns of the view `truth`. */
  get select(): string {
    const present = (column: string): string => `nullif(${column}, 'NaN')`;
    return `SELECT ${[
      'c0 AS request_id',
      `CAST(${present('c1')} AS INTEGER) AS row`,
      'c2 AS entity',
      `${timestampSql(present('c3'))} AS observed_at`,
      `${timestampSql('c4')} AS received_at`,
      `${quoteLiteral(this.endpoint)} AS endpoint`,
      `${present('c5')} AS value`,
      'c6 AS label',
      'CAST(CAST(c7 AS JSON) AS MAP(VARCHAR, DOUBLE)) AS metrics',
    ].join(', ')} FROM ${quoteIdent(this.table.name)}`;
  }
}
