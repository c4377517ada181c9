import type { Database } from '../duckdb/database.ts';
import { type ColumnStorage, RowTable } from '../duckdb/row-table.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import type { PredictionFrame } from './frame-reader.ts';
import { type FrameLayout, type OutputType, REASONS, ROLES } from './records.ts';

/** What every prediction has, in the order of the columns of the table. */
const HEAD: readonly ColumnStorage[] = [
  'text', // request_id
  'int', // row
  'double', // time
  'double', // generation
  'byte', // role
  'byte', // reason
  'text', // instead_of
  'float', // latency_ms
  'text', // entity
];

const outputsOf = ({ outputs }: FrameLayout, type: OutputType) =>
  outputs.filter((output) => output.type === type);

const codes = (words: readonly string[]): string => `[${words.map(quoteLiteral).join(', ')}]`;

/** Names of columns are equal for the engine where they differ in case alone: the later ones get a number. */
function distinct(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let free = name;
    for (let i = 2; taken.has(free.toLowerCase()); i++) free = `${name}_${i}`;
    taken.add(free.toLowerCase());
    return free;
  });
}

/** Milliseconds of the epoch as a TIMESTAMP, in UTC. */
export const timestampSql = (column: string): string =>
  `make_timestamp(CAST(round(${column} * 1000) AS BIGINT))`;

/** The predictions of one version on one day, on their way from a segment to Parquet. */
export class PredictionTable {
  private constructor(
    private readonly layout: FrameLayout,
    private readonly table: RowTable,
  ) {}

  static async create(database: Database, name: string, layout: FrameLayout): Promise<PredictionTable> {
    const storages: ColumnStorage[] = [
      ...HEAD,
      ...layout.moments.map(() => 'double' as const),
      ...outputsOf(layout, 'double').map(() => 'double' as const),
      ...layout.numbers.map(() => 'float' as const),
      ...outputsOf(layout, 'float').map(() => 'float' as const),
      ...layout.texts.map(() => 'text' as const),
      ...outputsOf(layout, 'string').map(() => 'text' as const),
    ];
    return new PredictionTable(layout, await RowTable.create(database, name, storages));
  }

  add(frame: PredictionFrame): void {
    const { table } = this;
    const { rows, doubles, floats, texts } = frame;
    const doubleColumns = doubles.length / rows;
    const floatColumns = floats.length / rows;
    const textColumns = texts.length / rows;
    for (let row = 0; row < rows; row++) {
      const to = table.next();
      table.text(0, to, frame.requestId);
      table.number(1, to, row);
      table.number(2, to, frame.at);
      table.number(3, to, frame.generation ?? Number.NaN);
      table.number(4, to, frame.role);
      table.number(5, to, frame.reason);
      table.text(6, to, frame.insteadOf);
      table.number(7, to, frame.latencyMs);
      table.text(8, to, frame.entity);
      let column = HEAD.length;
      for (let i = 0; i < doubleColumns; i++)
        table.number(column++, to, doubles[i * rows + row] ?? Number.NaN);
      for (let i = 0; i < floatColumns; i++) table.number(column++, to, floats[i * rows + row] ?? Number.NaN);
      for (let i = 0; i < textColumns; i++) table.text(column++, to, texts[i * rows + row] ?? null);
    }
  }

  get columns(): number {
    return this.table.columns;
  }

  close(): Promise<void> {
    return this.table.close();
  }

  /** The rows with the log's columns; a value that is missing, NaN or the empty text, is NULL. */
  get select(): string {
    const { endpoint, version, digest } = this.layout;
    const fixed = [
      'c0 AS request_id',
      'c1 AS row',
      `${timestampSql('c2')} AS time`,
      `${quoteLiteral(endpoint)} AS endpoint`,
      `${quoteLiteral(version)} AS version`,
      `${quoteLiteral(digest)} AS digest`,
      "CAST(nullif(c3, 'NaN') AS BIGINT) AS generation",
      `${codes(ROLES)}[c4 + 1] AS role`,
      `${codes(REASONS)}[c5 + 1] AS reason`,
      'c6 AS instead_of',
      'c7 AS latency_ms',
      'c8 AS entity',
    ];
    return `SELECT ${[...fixed, ...this.#values()].join(', ')} FROM ${quoteIdent(this.table.name)}`;
  }

  /** Inputs and outputs, each in the order of the signature as far as the log knows it. */
  #values(): string[] {
    const { layout } = this;
    const input = (name: string): string => `input_${name}`;
    const output = ({ name }: { name: string }): string => `output_${name}`;
    const stored = [
      ...layout.moments.map(input),
      ...outputsOf(layout, 'double').map(output),
      ...layout.numbers.map(input),
      ...outputsOf(layout, 'float').map(output),
      ...layout.texts.map(input),
      ...outputsOf(layout, 'string').map(output),
    ];
    const numbers = stored.length - layout.texts.length - outputsOf(layout, 'string').length;
    const columns = distinct(stored).map((name, i) => ({
      input: name.startsWith('input_'),
      sql: `nullif(c${HEAD.length + i}, ${i < numbers ? "'NaN'" : "''"}) AS ${quoteIdent(name)}`,
    }));
    return [...columns.filter((column) => column.input), ...columns.filter((column) => !column.input)].map(
      ({ sql }) => sql,
    );
  }
}
