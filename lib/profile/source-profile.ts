import { join } from 'node:path';
import type { TableProfile } from '../../contracts/profile.ts';
import type { Source } from '../../contracts/spec/sources.ts';
import type { PerennialConfig } from '../config.ts';
import { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { acquireSource } from '../sources/acquire.ts';
import { checkHeader } from '../sources/header.ts';
import { sourceOptions } from '../sources/options.ts';
import { readQuery } from '../sources/read-query.ts';
import { readTyped } from '../sources/typed-reading.ts';
import { profileTable } from './profile.ts';

/**
 * Profiles a source. It runs for a person at the command line, with the rights of that person: any file that they can
 * read may be profiled.
 *
 * @param name what messages call the source
 * @param options.tempDir an existing folder for what DuckDB spills, and for a CSV's or JSON's rows as Parquet
 * @throws PerennialError `SourceNotFound`, `SourceUnreadable`, `SecretMissing`, `ColumnInvalid`, `ColumnMissing`
 */
export async function profileSource(
  name: string,
  source: Source,
  { config, tempDir }: { config: PerennialConfig; tempDir: string },
): Promise<TableProfile> {
  const database = await Database.create({
    tempDir: join(tempDir, 'spill'),
    memoryLimit: config.duckdbMemory,
  });
  try {
    const options = { ...sourceOptions(config, tempDir), roots: ['/'], denied: [] };
    const acquired = await acquireSource(database, name, source, options);
    await checkHeader(database, name, source, acquired);
    if (acquired.format === 'parquet')
      return await profileTable(database, `(${readQuery(source, acquired)})`);
    // Text is read once; the profile looks several times.
    const parquet = join(tempDir, 'rows.parquet');
    await readTyped(database, name, source, acquired, (query) =>
      database.run(
        `COPY (${query}) TO ${quoteLiteral(parquet)} (FORMAT parquet, COMPRESSION lz4_raw)`,
        'SourceUnreadable',
        `source ${name}`,
      ),
    );
    return await profileTable(database, `read_parquet(${quoteLiteral(parquet)})`);
  } finally {
    database.close();
  }
}
