import { PerennialError } from '../../contracts/errors.ts';
import { nearest } from '../../contracts/issues.ts';
import type { TableRef } from '../../contracts/refs.ts';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import type { FileSource } from '../../contracts/spec/data.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import type { ArtifactStore } from '../store/artifact-store.ts';
import type { SourceFiles } from './source-files.ts';

/** Column names and types travel through workflow histories, whose payloads are bounded. */
const MAX_COLUMNS = 2_000;

const list = (values: readonly string[]): string => `[${values.map(quoteLiteral).join(', ')}]`;

/**
 * The query that reads a source's files in file order.
 *
 * @param options.sampleRows CSV, JSON Lines: rows that are looked at for types; default all, so that a late text is not an error
 */
export function readQuery(
  source: FileSource,
  { files, format }: SourceFiles,
  options: { sampleRows?: number } = {},
): string {
  const { sampleRows = -1 } = options;
  const readers: Record<SourceFiles['format'], () => string> = {
    csv: () => {
      const options = [
        // The engine refuses an empty list; without one, only the empty text is missing.
        ...(source.nullValues.length > 0 ? [`nullstr = ${list(source.nullValues)}`] : []),
        'header = true',
        // The header is the first line: detection would otherwise skip lines until the rest looks regular.
        'skip = 0',
        `sample_size = ${sampleRows}`,
        ...(source.delimiter ? [`delim = ${quoteLiteral(source.delimiter)}`] : []),
        ...(Object.keys(source.types).length > 0
          ? [
              `types = {${Object.entries(source.types)
                .map(([column, type]) => `${quoteLiteral(column)}: ${quoteLiteral(type)}`)
                .join(', ')}}`,
            ]
          : []),
      ];
      return `read_csv(${list(files)}, ${options.join(', ')})`;
    },
    parquet: () => `read_parquet(${list(files)})`,
    jsonl: () => `read_json(${list(files)}, format = 'newline_delimited', sample_size = ${sampleRows})`,
  };
  const number = source.rowNumber ? `, row_number() OVER () AS ${quoteIdent(source.rowNumber)}` : '';
  return `SELECT *${number} FROM ${readers[format]()}`;
}

/**
 * Turns a source into an immutable Parquet snapshot in the store. The same files and options give the same digest.
 *
 * @param scratch path for the file before it is stored
 * @throws PerennialError `SourceUnreadable`, `ColumnMissing`, `ColumnInvalid` where there are too many
 */
export async function snapshotSource(
  database: Database,
  name: string,
  source: FileSource,
  found: SourceFiles,
  store: ArtifactStore,
  scratch: string,
): Promise<TableRef> {
  const query = readQuery(source, found);
  if (Object.keys(source.types).length > 0) await checkTypedColumns(database, name, source, found);
  const rows = await database.copyToParquet(query, scratch, 'SourceUnreadable', `source ${name}`);
  const columns = await database.columns(`read_parquet(${quoteLiteral(scratch)})`);
  if (columns.length > MAX_COLUMNS)
    throw new PerennialError(
      'ColumnInvalid',
      `source ${name} has ${columns.length} columns, at most ${MAX_COLUMNS} are supported; leave out what no model needs, or split it into several sources with a key`,
    );
  const [only] = columns;
  // Where lines have different numbers of fields, detection gives up and takes each line for one field.
  if (
    found.format === 'csv' &&
    source.delimiter === undefined &&
    columns.length === 1 &&
    /[,;|\t]/.test(only?.name ?? '')
  )
    throw new PerennialError(
      'SourceUnreadable',
      `source ${name}: no delimiter splits all lines alike, so that ${only?.name} would be one column; mend the lines with too many or too few fields, or set delimiter`,
    );
  return { artifact: await store.putFile(scratch, MEDIA_TYPES.parquet), rows, columns };
}

async function checkTypedColumns(
  database: Database,
  name: string,
  source: FileSource,
  found: SourceFiles,
): Promise<void> {
  const columns = await database.columns(
    `(${readQuery({ ...source, types: {} }, found)})`,
    'SourceUnreadable',
    `source ${name}`,
  );
  const known = columns.map((column) => column.name);
  for (const column of Object.keys(source.types))
    if (!known.includes(column)) throw missingColumn(`source ${name}, types`, column, known);
}

/** The error for a column that is not there, with the nearest right word. */
export function missingColumn(where: string, column: string, known: readonly string[]): PerennialError {
  const hint = nearest(column, known);
  return new PerennialError(
    'ColumnMissing',
    `${where}: there is no column ${column}${hint ? `; did you mean ${hint}?` : '.'} The columns are ${known.slice(0, 40).join(', ')}${known.length > 40 ? ', …' : ''}`,
  );
}
