import { PerennialError } from '../../contracts/errors.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { sniffCsv, sniffDialect } from './csv-sniffer.ts';
import { type Misfit, typedSql } from './csv-types.ts';
import { partitionsOf } from './partitions.ts';
import { type Readable, type ReadOptions, readQuery, SAMPLE_ROWS, type TextOptions } from './read-query.ts';

const ZONED = 'TIMESTAMP WITH TIME ZONE';

/** How the values of a column come about. */
type Way =
  /** From texts that are cast and looked at. */
  | 'checked'
  /** They are the texts. */
  | 'text'
  /** They are the texts, and a quotation mark before one would say that the dialect is another. */
  | 'unquoted'
  /** There is none: nothing is known of the type. */
  | 'empty'
  /** As the engine's reader gives them. */
  | 'native';

interface Planned {
  name: string;
  type: string;
  /** The spec asks for the type. */
  declared: boolean;
  way: Way;
}

interface Reading {
  database: Database;
  where: string;
  source: TextOptions;
  readable: Readable;
  options: ReadOptions;
}

/** How a CSV is read: most columns as text, that becomes values in the same query. */
export class CsvPlan {
  private constructor(
    private readonly reading: Reading,
    private readonly columns: readonly Planned[],
  ) {}

  /** By the first rows: its query fails where the others hold what these do not explain. */
  static async bySample(
    database: Database,
    where: string,
    source: TextOptions,
    readable: Readable,
  ): Promise<CsvPlan> {
    const dialect = await sniffDialect(database, where, source, readable.files, SAMPLE_ROWS);
    const quote = dialect.quote ?? '"';
    const seen = { delimiter: dialect.delimiter, quote, escape: dialect.escape ?? quote };
    const looked = { database, where, source, readable, options: { sampleRows: SAMPLE_ROWS } };
    // With a whole dialect set, detection finds other types in files without any value of a column.
    const columns = await planned(looked, dialect.quote === undefined ? 'unquoted' : 'text');
    const reading = { ...looked, source: { ...source, ...seen } };
    return new CsvPlan(reading, await withEmpty(reading, columns));
  }

  /** By all rows: its query fails only where the engine would convert with loss, or in a way of its own. */
  static async byAllRows(
    database: Database,
    where: string,
    source: TextOptions,
    readable: Readable,
  ): Promise<CsvPlan> {
    const [file = '', ...others] = readable.files;
    if (others.length > 0) {
      const looked = { database, where, source, readable, options: { sampleRows: -1 } };
      const columns = await planned(looked, 'text');
      const dialect = await sniffDialect(database, where, source, readable.files, -1);
      return new CsvPlan({ ...looked, source: { ...source, ...dialect } }, columns);
    }
    const { dialect, formats, types } = await sniffCsv(database, where, source, file, -1);
    const options = {
      sampleRows: SAMPLE_ROWS,
      formats,
      types: { ...Object.fromEntries(types), ...source.types },
    };
    const reading = { database, where, source: { ...source, ...dialect }, readable, options };
    const columns = await planned(reading, 'text');
    return new CsvPlan(
      reading,
      columns.map((column) =>
        (column.type === 'DATE' && formats.date) ||
        (column.type.startsWith('TIMESTAMP') && column.type !== ZONED && formats.timestamp)
          ? { ...column, way: 'native' }
          : column,
      ),
    );
  }

  /** Names, types and values of all columns; an error that {@link misfitOf} knows where a text does not fit. */
  query(): string {
    const values = this.columns.map((column, index) => {
      const value = checked(
        column,
        index,
        columnOf(column, index),
        (misfit) => `error('misfit ${index} ${misfit}')`,
      );
      return `${value} AS ${quoteIdent(column.name)}`;
    });
    return `SELECT ${values.join(', ')} FROM ${this.#texts()}`;
  }

  /**
   * The plan whose query does not fail: what cannot be converted whole stays text, and what is written in an unusual
   * way is left to the engine.
   *
   * @throws PerennialError `SourceUnreadable` as {@link checkDeclared}
   */
  async settled(): Promise<CsvPlan> {
    const { database, where } = this.reading;
    const misfits = this.columns.map((column, index) => {
      const misfit = checked(column, index, 'NULL', (kind) => (kind === 'loss' ? '2' : '1'));
      return `max(CAST(${misfit} AS INTEGER)) AS m${index}`;
    });
    const row = await database.row(
      `SELECT ${misfits.join(', ')} FROM ${this.#texts()}`,
      'SourceUnreadable',
      where,
    );
    const columns = this.columns.map((column, index): Planned => {
      const worst = row[`m${index}`];
      if (column.way !== 'checked' || worst === null) return column;
      // Of moments with an offset the engine makes NULL what it cannot read.
      if (column.declared && (worst === 2 || column.type === ZONED)) throw lossy(where, column);
      return { ...column, way: worst === 2 ? 'text' : 'native' };
    });
    return new CsvPlan(this.reading, columns);
  }

  /** @throws PerennialError `SourceUnreadable` where `error` is about a value that the type of the spec would not keep */
  checkDeclared(error: unknown): void {
    const misfit = misfitOf(error);
    const column = misfit && this.columns[misfit.column];
    if (column?.declared && misfit?.kind === 'loss') throw lossy(this.reading.where, column);
  }

  /** The rows: `t…` as they are read, `v…` as a cast makes them. */
  #texts(): string {
    const { source, readable, options } = this.reading;
    const added = addedTo(source, readable);
    const types = this.columns.flatMap(({ name, way }): [string, string][] => {
      const type = way === 'native' ? (options.types ?? source.types)[name] : 'VARCHAR';
      return !added.has(name.toLowerCase()) && type !== undefined ? [[name, type]] : [];
    });
    const read = readQuery(source, readable, { ...options, types: Object.fromEntries(types) });
    const columns = this.columns.flatMap((column, index) => {
      const name = quoteIdent(column.name);
      const cast = column.way === 'checked' ? typedSql(column.type, column.declared)?.cast(name) : undefined;
      return [`${name} AS t${index}`, ...(cast ? [`${cast} AS v${index}`] : [])];
    });
    return `(SELECT ${columns.join(', ')} FROM (${read}))`;
  }
}

/** Names, in small letters, of columns that no file has: they come from folders, or count rows. */
const addedTo = (source: TextOptions, { files, partitioned }: Readable): ReadonlySet<string> =>
  new Set(
    [
      ...(source.rowNumber === undefined ? [] : [source.rowNumber]),
      ...(partitioned
        ? partitionsOf(files[0] ?? '').map((folder) => folder.slice(0, folder.indexOf('=')))
        : []),
    ].map((name) => name.toLowerCase()),
  );

const columnOf = ({ way }: Planned, index: number): string => `${way === 'checked' ? 'v' : 't'}${index}`;

/** `fits`, or a refusal where the text does not. */
function checked(
  { type, declared, way }: Planned,
  index: number,
  fits: string,
  refusal: (misfit: Misfit) => string,
): string {
  const text = `t${index}`;
  if (way === 'checked') return typedSql(type, declared)?.checked(text, `v${index}`, fits, refusal) ?? fits;
  if (way === 'empty') return `CASE WHEN ${text} IS NOT NULL THEN ${refusal('form')} ELSE ${fits} END`;
  if (way === 'unquoted')
    return `CASE WHEN starts_with(${text}, chr(39)) THEN ${refusal('form')} ELSE ${fits} END`;
  return fits;
}

/** The columns and how each is read; `texts` is the way of those that are text. */
async function planned(reading: Reading, texts: 'text' | 'unquoted'): Promise<Planned[]> {
  const { database, where, source, readable, options } = reading;
  const added = addedTo(source, readable);
  const found = await database.columns(
    `(${readQuery(source, readable, options)})`,
    'SourceUnreadable',
    where,
  );
  return found.map(({ name, type }) => {
    const declared = source.types[name] !== undefined;
    if (added.has(name.toLowerCase())) return { name, type, declared, way: 'native' };
    if (type === 'VARCHAR') return { name, type, declared, way: texts };
    return { name, type, declared, way: typedSql(type, declared) ? 'checked' : 'native' };
  });
}

/** Texts of which the first rows show none may be of any type. */
async function withEmpty(reading: Reading, columns: readonly Planned[]): Promise<readonly Planned[]> {
  const { database, where, source, readable, options } = reading;
  const texts = columns.filter(({ way, declared }) => (way === 'text' || way === 'unquoted') && !declared);
  if (texts.length === 0) return columns;
  const counts = texts.map(({ name }, index) => `count(${quoteIdent(name)}) AS c${index}`);
  const row = await database.row(
    `SELECT ${counts.join(', ')} FROM (${readQuery(source, readable, options)} LIMIT ${SAMPLE_ROWS})`,
    'SourceUnreadable',
    where,
  );
  const empty = new Set(texts.filter((_, index) => row[`c${index}`] === 0).map(({ name }) => name));
  return columns.map((column) => (empty.has(column.name) ? { ...column, way: 'empty' } : column));
}

/** What a plan's query failed over. */
export function misfitOf(error: unknown): { column: number; kind: Misfit } | undefined {
  const cause = error instanceof PerennialError ? error.cause : undefined;
  const words =
    cause instanceof Error ? /^Invalid Input Error: misfit (\d+) (form|loss)$/.exec(cause.message) : null;
  return words ? { column: Number(words[1]), kind: words[2] === 'loss' ? 'loss' : 'form' } : undefined;
}

const lossy = (where: string, { name, type }: Planned): PerennialError =>
  new PerennialError(
    'SourceUnreadable',
    `${where}: column ${name} holds a value that ${type} would not keep whole, such as a fraction, an exponent, a time, an offset, more digits, or a moment that is not written as ISO 8601 has it; set another type for it under types`,
  );
