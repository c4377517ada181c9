import { readFile, writeFile } from 'node:fs/promises';
import type { EventFormat } from '../../contracts/events.ts';
import type { Database } from '../duckdb/database.ts';
import { withoutParquetRows } from '../duckdb/parquet-rows.ts';
import { quoteLiteral } from '../duckdb/sql.ts';
import { csvAsText } from './readable-rows.ts';

const NEWLINE = 10;
const NEW_FILE = { flag: 'wx', mode: 0o600 } as const;

/**
 * How many rows each file of stored batches has, in the order of the files.
 *
 * @param files not empty; the same one may come several times
 */
export async function rowsByFile(
  database: Database,
  format: EventFormat,
  files: readonly string[],
): Promise<number[]> {
  const counts = new Map<string, number>();
  for (const file of new Set(files)) {
    if (format === 'jsonl') counts.set(file, lineEnds(await readFile(file)).length);
    else {
      const { rows } = await database.row(`SELECT count(*) AS rows FROM ${csvAsText([file])}`);
      counts.set(file, Number(rows));
    }
  }
  return files.map((file) => counts.get(file) ?? 0);
}

/**
 * Writes a stored batch anew without some of its rows. JSON Lines keep the other lines byte by byte; CSV keeps the text
 * of each value. Where all rows go, the file is empty.
 *
 * @param target must not exist
 * @param gone rows counted from 0, ascending
 */
export async function withoutBatchRows(
  database: Database,
  format: EventFormat,
  source: string,
  target: string,
  gone: readonly number[],
): Promise<void> {
  if (format === 'jsonl')
    return writeFile(target, withoutLines(await readFile(source), new Set(gone)), NEW_FILE);
  const [rows] = await rowsByFile(database, format, [source]);
  if (rows === gone.length) return writeFile(target, '', NEW_FILE);
  const [whole, rest] = [`${target}.whole.parquet`, `${target}.rest.parquet`];
  await database.copyToParquet(`SELECT * FROM ${csvAsText([source])}`, whole);
  await withoutParquetRows(database, whole, rest, gone);
  await database.run(
    `COPY (SELECT * FROM read_parquet(${quoteLiteral(rest)})) TO ${quoteLiteral(target)} (FORMAT csv, HEADER)`,
  );
}

/** Each stored line of JSON Lines is one row. */
function withoutLines(bytes: Buffer, gone: ReadonlySet<number>): Buffer {
  const ends = lineEnds(bytes);
  return Buffer.concat(
    ends.flatMap((end, i) => (gone.has(i) ? [] : [bytes.subarray(i === 0 ? 0 : (ends[i - 1] ?? 0), end)])),
  );
}

/** Where lines end, each behind its line break. */
function lineEnds(bytes: Buffer): number[] {
  const ends: number[] = [];
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) ends.push(at + 1);
  return ends;
}
