import { stat } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import type { EventFormat } from '../../contracts/events.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { NO_COMMENTS } from '../sources/read-query.ts';

/** CSV as text, column by column: types are found when all batches are read together. */
export const csvAsText = (files: readonly string[]): string =>
  `read_csv([${files.map(quoteLiteral).join(', ')}], header = true, skip = 0, all_varchar = true, sample_size = -1, union_by_name = true, ${NO_COMMENTS})`;

/**
 * How many rows a batch has, as the engine that will read it sees them.
 *
 * @throws PerennialError `InputInvalid` where it cannot be read
 */
export async function readableRows(database: Database, path: string, format: EventFormat): Promise<number> {
  if ((await stat(path)).size === 0) return 0;
  const what = 'the rows';
  if (format === 'csv') await checkHeader(database, path);
  const relation =
    format === 'csv'
      ? csvAsText([path])
      : `read_json(${quoteLiteral(path)}, format = 'newline_delimited', sample_size = -1)`;
  const columns = await database.columns(relation, 'InputInvalid', what);
  const [only] = columns;
  // Where lines have different numbers of fields, detection gives up and takes each line for one field.
  if (format === 'csv' && columns.length === 1 && /[,;|\t]/.test(only?.name ?? ''))
    throw new PerennialError(
      'InputInvalid',
      'no delimiter splits all lines of the CSV alike; mend the lines with too many or too few fields',
    );
  // All values are looked at: a bare count would let a broken one pass.
  const { rows } = await database.row(
    `SELECT count(*) AS rows, bit_xor(hash(batch)) AS digest FROM ${relation} AS batch`,
    'InputInvalid',
    what,
  );
  return Number(rows ?? 0);
}

/** The engine would give a second column of one name another name, silently. */
async function checkHeader(database: Database, path: string): Promise<void> {
  const [header = {}] = await database.rows(
    `SELECT * FROM read_csv(${quoteLiteral(path)}, header = false, skip = 0, all_varchar = true, sample_size = -1, ${NO_COMMENTS}) LIMIT 1`,
    'InputInvalid',
    'the rows',
  );
  const names = Object.values(header).map((name) => String(name ?? '').toLowerCase());
  if (names.some((name) => name.trim() === ''))
    throw new PerennialError('InputInvalid', 'the header has a column without a name; name every column');
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new PerennialError(
      'InputInvalid',
      `the header has two columns of one name, at positions ${names.indexOf(twice) + 1} and ${names.lastIndexOf(twice) + 1}; rename one`,
    );
}
