import { PerennialError } from '../../contracts/errors.ts';
import type { Source } from '../../contracts/spec/sources.ts';
import { missingColumn } from '../data/missing-column.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { sniffCsv } from './csv-sniffer.ts';
import { compressionOf, headOf } from './formats.ts';
import { dialectSettings, type Readable, readQuery, SAMPLE_ROWS } from './read-query.ts';

/** Column names and types travel through workflow histories, whose payloads are bounded. */
const MAX_COLUMNS = 2_000;

/** A column of a source. */
export interface Column {
  name: string;
  type: string;
}

/**
 * Looks for what is wrong with the columns of a source, by its first rows: too many, two of one name, other columns in
 * another CSV file, a header that does not split, types for columns that are not there.
 *
 * @throws PerennialError `SourceUnreadable`, `ColumnInvalid`, `ColumnMissing`
 */
export async function checkHeader(
  database: Database,
  name: string,
  source: Source,
  readable: Readable,
): Promise<void> {
  const where = `source ${name}`;
  const width = await headerWidth(source, readable);
  if (width > MAX_COLUMNS) throw tooMany(where, width);
  const names = await rawNames(database, where, source, readable);
  const plain = { ...source, rowNumber: undefined };
  const query = readQuery(plain, readable, { sampleRows: SAMPLE_ROWS, types: {} });
  const columns = await database.columns(`(${query})`, 'SourceUnreadable', where);
  if (columns.length > MAX_COLUMNS) throw tooMany(where, columns.length);
  const known = columns.map((column) => column.name);
  const twice = firstTwice(names);
  if (twice !== undefined)
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: two columns are called ${twice}; give each a name of its own (capitals do not count)`,
    );
  const number = source.rowNumber?.toLowerCase();
  if (!readable.finished && known.some((column) => column.toLowerCase() === number))
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: rowNumber ${source.rowNumber} is the name of a column already; choose another`,
    );
  if (!('types' in source)) return;
  for (const column of Object.keys(source.types))
    if (!known.includes(column)) throw missingColumn(`${where}, types`, column, known);
  const [only] = columns;
  // Where lines have different numbers of fields, detection gives up and takes each line for one field.
  if (
    readable.format === 'csv' &&
    source.delimiter === undefined &&
    columns.length === 1 &&
    /[,;|\t]/.test(only?.name ?? '')
  )
    throw new PerennialError(
      'SourceUnreadable',
      `${where}: no delimiter splits all lines alike, so that ${only?.name} would be one column; mend the lines with too many or too few fields, or set delimiter`,
    );
}

const tooMany = (where: string, count: number): PerennialError =>
  new PerennialError(
    'ColumnInvalid',
    `${where} has ${count} columns, at most ${MAX_COLUMNS} are supported; leave out what no model needs, or split it into several sources with a key`,
  );

/** Fields of the first line, roughly: the engine would take long over thousands of columns. 0 where it cannot be told. */
async function headerWidth(source: Source, { files, format }: Readable): Promise<number> {
  if (format !== 'csv' || !('header' in source)) return 0;
  const head = await headOf(files[0] ?? '', 1 << 20);
  if (compressionOf(head) !== 'none') return 0;
  const [line = ''] = head.toString('latin1').split(/[\r\n]/, 1);
  const unquoted = line.replace(/"[^"]*"/g, '');
  const delimiters = source.delimiter ? [source.delimiter] : [',', ';', '\t', '|'];
  return Math.max(...delimiters.map((delimiter) => unquoted.split(delimiter).length));
}

function firstTwice(names: readonly string[]): string | undefined {
  const seen = new Set<string>();
  return names.find((name) => {
    const key = name.toLowerCase();
    return seen.has(key) || !seen.add(key);
  });
}

/**
 * The names as the first file has them: the engine would give the second of two the name `a_1`.
 *
 * @throws PerennialError `SourceUnreadable` where another CSV file has other columns
 */
async function rawNames(
  database: Database,
  where: string,
  source: Source,
  { files, format }: Readable,
): Promise<string[]> {
  const [first = '', ...others] = files;
  if (format === 'parquet') {
    const schema = `SELECT name, num_children AS children FROM parquet_schema(${quoteLiteral(first)})`;
    return topLevel(await database.rows(schema, 'SourceUnreadable', where));
  }
  if (format !== 'csv' || !('header' in source)) return [];
  const { dialect } = await sniffCsv(database, where, source, first, SAMPLE_ROWS);
  const settings = dialectSettings(dialect);
  const namesOf = async (file: string): Promise<string[]> => {
    const fields = await firstLine(database, where, file, settings);
    return source.header ? fields : fields.map((_, index) => `column${index}`);
  };
  const names = await namesOf(first);
  for (const file of others) checkSame(where, first, names, file, await namesOf(file));
  return names.filter((name) => name !== '');
}

/** The engine would silently leave out what only another file has. */
function checkSame(
  where: string,
  first: string,
  expected: readonly string[],
  file: string,
  found: readonly string[],
): void {
  const missing = expected.filter((name) => !found.includes(name));
  const more = found.filter((name) => !expected.includes(name));
  if (missing.length + more.length === 0 && found.length === expected.length) return;
  const differences = [
    ...(missing.length > 0 ? [`without ${listed(missing)}`] : []),
    ...(more.length > 0 ? [`with ${listed(more)}`] : []),
  ];
  throw new PerennialError(
    'SourceUnreadable',
    `${where}: ${file} has ${found.length} columns, ${first} has ${expected.length}${differences.map((words) => `; ${words}`).join('')}; give all files the same columns, or make them two sources`,
  );
}

const listed = (names: readonly string[]): string =>
  `${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`;

/** The fields of a file's first line; '' for an empty one. */
async function firstLine(
  database: Database,
  where: string,
  file: string,
  settings: readonly string[],
): Promise<string[]> {
  const [first = {}] = await database.rows(
    `SELECT * FROM read_csv(${[quoteLiteral(file), 'header = false', 'skip = 0', 'all_varchar = true', 'null_padding = true', 'parallel = false', 'sample_size = 1', 'hive_partitioning = false', ...settings].join(', ')}) LIMIT 1`,
    'SourceUnreadable',
    where,
  );
  return Object.values(first).map((value) => (typeof value === 'string' ? value.trim() : ''));
}

/** Parquet lists its schema depth first, the root before all. */
function topLevel(nodes: readonly Record<string, unknown>[]): string[] {
  const names: string[] = [];
  // Nodes that belong to what was listed last.
  let below = 0;
  for (const { name, children } of nodes.slice(1)) {
    if (below === 0) names.push(String(name));
    else below--;
    below += Number(children ?? 0);
  }
  return names;
}
