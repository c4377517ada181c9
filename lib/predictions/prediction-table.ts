import { FEATURE_SOURCES } from '../../contracts/feature-store.ts';
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
    const storages = [...HEAD, ...valuesOf(layout).map(({ storage }) => storage)];
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

  /** Inputs, what is known of features, and outputs, each in the order of the signature as far as the log knows it. */
  #values(): string[] {
    const values = valuesOf(this.layout);
    const names = distinct(values.map(({ name }) => name));
    const columns = values.map(({ part, storage, sql }, i) => {
      const given = `nullif(c${HEAD.length + i}, ${storage === 'text' ? "''" : "'NaN'"})`;
      return { part, sql: `${sql?.(given) ?? given} AS ${quoteIdent(names[i] ?? '')}` };
    });
    return PARTS.flatMap((part) => columns.filter((column) => column.part === part)).map(({ sql }) => sql);
  }
}

const PARTS = ['input', 'feature', 'output'] as const;

/** A column of what was asked or answered. */
interface ValueColumn {
  readonly part: (typeof PARTS)[number];
  readonly name: string;
  readonly storage: 'double' | 'float' | 'text';
  /** Of the stored value. */
  readonly sql?: (value: string) => string;
}

/** The columns in the order in which a frame has them. */
function valuesOf(layout: FrameLayout): ValueColumn[] {
  const { views = [], entities = [] } = layout;
  const inputs = (names: readonly string[], storage: ValueColumn['storage']): ValueColumn[] =>
    names.map((name) => ({ part: 'input', name: `input_${name}`, storage }));
  const outputs = (type: OutputType, storage: ValueColumn['storage']): ValueColumn[] =>
    outputsOf(layout, type).map(({ name }) => ({ part: 'output', name: `output_${name}`, storage }));
  const features = (
    names: readonly string[],
    prefix: string,
    storage: ValueColumn['storage'],
    sql?: ValueColumn['sql'],
  ): ValueColumn[] =>
    names.map((name) => ({ part: 'feature', name: `${prefix}_${name}`, storage, ...(sql && { sql }) }));
  return [
    ...inputs(layout.moments, 'double'),
    ...features(views, 'feature_until', 'double', timestampSql),
    ...outputs('double', 'double'),
    ...inputs(layout.numbers, 'float'),
    ...features(
      views,
      'feature_source',
      'float',
      (code) => `${codes(FEATURE_SOURCES)}[CAST(${code} AS INTEGER) + 1]`,
    ),
    ...outputs('float', 'float'),
    ...inputs(layout.texts, 'text'),
    ...features(entities, 'entity', 'text'),
    ...outputs('string', 'text'),
  ];
}
