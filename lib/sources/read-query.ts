import type { Source } from '../../contracts/spec/sources.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import type { AcquiredSource } from './source.ts';
import { MAX_LINE_BYTES } from './text-check.ts';

/** Rows that are looked at first for dialect and types. */
export const SAMPLE_ROWS = 20_480;

/** What of an acquired source says how to read it. */
export type Readable = Pick<AcquiredSource, 'files' | 'format' | 'partitioned' | 'finished'>;

const list = (values: readonly string[]): string => `[${values.map(quoteLiteral).join(', ')}]`;

/** How a CSV's dates and moments are written, such as `%d/%m/%Y`; left out for ISO 8601. */
export interface CsvFormats {
  date?: string | undefined;
  timestamp?: string | undefined;
}

/** How text is looked at. */
export interface ReadOptions {
  /** CSV, JSON Lines: rows that are looked at for types; default all: by the first rows alone a late 12.5 would silently be 13. */
  sampleRows?: number;
  /** CSV: types instead of the source's. */
  types?: Readonly<Record<string, string>>;
  /** CSV: default detected. */
  formats?: CsvFormats;
}

/**
 * The query that reads a source's files in file order, and converts as the engine does: see
 * {@link ./typed-reading.ts readTyped} for CSV without silent loss.
 */
export function readQuery(source: Source, readable: Readable, options: ReadOptions = {}): string {
  const number =
    source.rowNumber && !readable.finished ? `, row_number() OVER () AS ${quoteIdent(source.rowNumber)}` : '';
  return `SELECT *${number} FROM ${reader(source, readable, options)}`;
}

function reader(
  source: Source,
  { files, format, partitioned }: Readable,
  { sampleRows = -1, types, formats = {} }: ReadOptions,
): string {
  const hive = `hive_partitioning = ${partitioned}`;
  if (format === 'parquet')
    return `read_parquet(${[list(files), hive, ...(files.length > 1 ? ['union_by_name = true'] : [])].join(', ')})`;
  if (format === 'jsonl')
    return `read_json(${list(files)}, format = 'newline_delimited', sample_size = ${sampleRows}, maximum_sample_files = ${files.length}, ${hive})`;
  const settings = [
    ...('types' in source ? csvSettings(source, types ?? source.types) : []),
    ...(formats.date ? [`dateformat = ${quoteLiteral(formats.date)}`] : []),
    ...(formats.timestamp ? [`timestampformat = ${quoteLiteral(formats.timestamp)}`] : []),
    ...(sampleRows < 0 ? ['files_to_sniff = -1'] : []),
  ];
  return `read_csv(${[list(files), ...settings, `sample_size = ${sampleRows}`, hive].join(', ')})`;
}

/** A source that may be CSV. */
export type TextOptions = Extract<Source, { types: unknown }>;
export type Dialect = Pick<TextOptions, 'delimiter' | 'quote' | 'escape'>;

/** Detection would take a value that begins with `#` for a comment, and leave its row out. */
export const NO_COMMENTS = "comment = ''";

/** What the spec says of a CSV, for the reader and for its detection. */
export const csvSettings = (source: TextOptions, types: Readonly<Record<string, string>>): string[] => [
  // The engine refuses an empty list; without one, only the empty text is missing.
  ...(source.nullValues.length > 0 ? [`nullstr = ${list(source.nullValues)}`] : []),
  `header = ${source.header}`,
  // The header is the first line: detection would otherwise skip lines until the rest looks regular.
  'skip = 0',
  `max_line_size = ${MAX_LINE_BYTES.csv}`,
  ...dialectSettings(source),
  ...(Object.keys(types).length > 0
    ? [
        `types = {${Object.entries(types)
          .map(([column, type]) => `${quoteLiteral(column)}: ${quoteLiteral(type)}`)
          .join(', ')}}`,
      ]
    : []),
];

/** What the spec says of the dialect; the rest is detected. */
export const dialectSettings = (source: Dialect): string[] => [
  NO_COMMENTS,
  ...(source.delimiter ? [`delim = ${quoteLiteral(source.delimiter)}`] : []),
  ...(source.quote ? [`quote = ${quoteLiteral(source.quote)}`] : []),
  ...(source.escape ? [`escape = ${quoteLiteral(source.escape)}`] : []),
];
