import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { timestampSql } from './prediction-table.ts';
import type { TruthRecord } from './records.ts';
import { RowTable } from './row-table.ts';

/** What was said to be true, with the same metrics, on its way from a segment to Parquet. */
export class TruthTable {
  private constructor(
    private readonly endpoint: string,
    private readonly metrics: readonly string[],
    private readonly table: RowTable,
  ) {}

  /** Names of the metrics of a record: those with the same ones share a table. */
  static metricsOf = ({ metrics }: TruthRecord): string[] => Object.keys(metrics).sort();

  static async create(database: Database, name: string, record: TruthRecord): Promise<TruthTable> {
    const metrics = TruthTable.metricsOf(record);
    const table = await RowTable.create(database, name, [
      'text', // request_id
      'double', // row
      'text', // entity
      'double', // observed_at
      'double', // received_at
      'double', // value
      'text', // label
      ...metrics.map(() => 'double' as const),
    ]);
    return new TruthTable(record.endpoint, metrics, table);
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
    for (const [i, metric] of this.metrics.entries())
      table.number(7 + i, to, record.metrics[metric] ?? Number.NaN);
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
      ...this.metrics.map((metric, i) => `${present(`c${7 + i}`)} AS ${quoteIdent(`metric_${metric}`)}`),
    ].join(', ')} FROM ${quoteIdent(this.table.name)}`;
  }
}
