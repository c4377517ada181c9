import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { type CsvFormats, csvSettings, type Dialect, type TextOptions } from './read-query.ts';

const sniffed = z.object({
  delimiter: z.unknown(),
  quote: z.unknown(),
  escape: z.unknown(),
  date: z.string().nullable(),
  timestamp: z.string().nullable(),
  names: z.array(z.string()),
  types: z.array(z.string()),
});

/** What the engine's detection says of a CSV file. */
export interface SniffedCsv {
  /** A character that the rows do not show is left out. */
  dialect: Dialect;
  formats: CsvFormats;
  /** Types of the columns by their names, as the texts look. */
  types: ReadonlyMap<string, string>;
}

/**
 * Looks at a CSV file's first rows.
 *
 * @param rows -1 for all
 * @throws PerennialError `SourceUnreadable`
 */
export async function sniffCsv(
  database: Database,
  where: string,
  source: TextOptions,
  file: string,
  rows: number,
): Promise<SniffedCsv> {
  const settings = [quoteLiteral(file), ...csvSettings(source, {}), `sample_size = ${rows}`];
  const row = await database.row(
    `SELECT Delimiter AS delimiter, Quote AS quote, Escape AS escape, DateFormat AS date, TimestampFormat AS timestamp, [c.name FOR c IN Columns]::JSON::VARCHAR AS names, [c.type FOR c IN Columns]::JSON::VARCHAR AS types FROM sniff_csv(${settings.join(', ')})`,
    'SourceUnreadable',
    where,
  );
  const found = sniffed.parse({
    ...row,
    names: JSON.parse(String(row.names)),
    types: JSON.parse(String(row.types)),
  });
  return {
    dialect: {
      delimiter: character(found.delimiter),
      quote: character(found.quote),
      escape: character(found.escape),
    },
    // Named, the usual form would keep the engine from reading others such as `infinity`.
    formats: {
      date: found.date === '%Y-%m-%d' ? undefined : (found.date ?? undefined),
      timestamp: found.timestamp ?? undefined,
    },
    types: new Map(found.names.map((name, index) => [name, found.types[index] ?? 'VARCHAR'])),
  };
}

/**
 * How all files of a source are written.
 *
 * @param rows of each file, -1 for all
 * @throws PerennialError `SourceUnreadable` where they are written differently
 */
export async function sniffDialect(
  database: Database,
  where: string,
  source: TextOptions,
  files: readonly string[],
  rows: number,
): Promise<Dialect> {
  const dialects: Dialect[] = [];
  for (const file of files) dialects.push((await sniffCsv(database, where, source, file, rows)).dialect);
  const common = (part: keyof Dialect): string | undefined => {
    const [one, ...others] = new Set(dialects.flatMap((dialect) => dialect[part] ?? []));
    if (others.length > 0)
      throw new PerennialError(
        'SourceUnreadable',
        `${where}: its files do not have the same ${part}: ${[one, ...others].join(' and ')}; write them alike, or make them two sources`,
      );
    return one;
  };
  return { delimiter: common('delimiter'), quote: common('quote'), escape: common('escape') };
}

const character = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' && value !== '(empty)' && value !== '\0' ? value : undefined;
