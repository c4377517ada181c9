import { PerennialError } from '../../contracts/errors.ts';
import type { Source } from '../../contracts/spec/sources.ts';
import type { Database } from '../duckdb/database.ts';
import { CsvPlan, misfitOf } from './csv-plan.ts';
import { type Readable, readQuery } from './read-query.ts';

/**
 * Reads a source's rows with their right types. A CSV is read once: its columns have the types of its first rows, and
 * every text is looked at as it is converted. Where one does not fit, reading stops, types are found from all rows,
 * and it is read again. What then still cannot be converted whole stays text: nanoseconds, whole numbers that lose
 * digits, moments of which only some have an offset.
 *
 * @param take what is done with the rows, such as a COPY; it is called again with another query where it fails
 * @throws PerennialError `SourceUnreadable` also where a value cannot become the type of the spec without loss
 * @example await readTyped(database, 'flights', source, acquired, (query) => database.copyToParquet(query, path))
 */
export async function readTyped<T>(
  database: Database,
  name: string,
  source: Source,
  readable: Readable,
  take: (query: string) => Promise<T>,
): Promise<T> {
  if (readable.format !== 'csv' || !('types' in source)) return take(readQuery(source, readable));
  const where = `source ${name}`;
  let quick: CsvPlan | undefined;
  try {
    quick = await CsvPlan.bySample(database, where, source, readable);
    return await take(quick.query());
  } catch (error) {
    quick?.checkDeclared(error);
    // Whatever is wrong, such as a quotation mark that comes late: all rows may explain it.
    if (!(error instanceof PerennialError) || error.retryable) throw error;
  }
  const whole = await CsvPlan.byAllRows(database, where, source, readable);
  try {
    return await take(whole.query());
  } catch (error) {
    whole.checkDeclared(error);
    if (!misfitOf(error)) throw error;
  }
  return take((await whole.settled()).query());
}
