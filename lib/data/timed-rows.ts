import { join } from 'node:path';
import type { TimedRow } from '../../contracts/data-questions.ts';
import { PerennialError } from '../../contracts/errors.ts';
import type { TableRef } from '../../contracts/refs.ts';
import { viewColumns } from '../../contracts/spec/feature-views.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { featureColumns } from '../features/feature-columns.ts';
import { acquireSource } from '../sources/acquire.ts';
import { checkHeader } from '../sources/header.ts';
import { sourceOptions } from '../sources/options.ts';
import { readTyped } from '../sources/typed-reading.ts';
import { oneSelect } from './join.ts';
import { missingColumn } from './missing-column.ts';

/** They are handed over in one answer. */
const MOST_ROWS = 200_000;

/**
 * Rows of a spec's table as calls of the served model: what a client would send, when, and what turned out to be true.
 * Features of views are not in them, but the keys by which the server looks them up. For recorded data that are
 * replayed. It runs for a person at the command line, with the rights of that person.
 *
 * @param stretch.from ISO 8601; rows from it on, up to, not including, `before`
 * @param options.tempDir an existing folder for what DuckDB spills, and for the sources as Parquet
 * @returns in time order; rows of one moment in the order of the table
 * @throws PerennialError `SpecInvalid` where the spec names no timestamp, `InputInvalid` for more than 200,000 rows,
 *   `SourceNotFound`, `SourceUnreadable`, `SqlInvalid`
 */
export async function timedRows(
  spec: PipelineSpec,
  { from, before }: { from: string; before: string },
  { config, tempDir }: { config: Parameters<typeof sourceOptions>[0]; tempDir: string },
): Promise<TimedRow[]> {
  const { timestamp, target } = spec.columns;
  if (timestamp === undefined)
    throw new PerennialError(
      'SpecInvalid',
      'columns.timestamp: rows are replayed by their time; name the column that has it',
    );
  const files = await sourceFiles(spec, { config, tempDir });
  const spill = join(tempDir, 'rows-spill');
  const database = await Database.create({
    tempDir: spill,
    onlyPaths: [...files.map(({ path }) => path), spill],
  });
  try {
    for (const { name, path } of files) await database.view(name, `read_parquet(${quoteLiteral(path)})`);
    const query =
      spec.data.sql === undefined
        ? `SELECT * FROM ${quoteIdent(files[0]?.name ?? '')}`
        : await oneSelect(database, spec.data.sql);
    const columns = await database.columns(`(${query}\n)`, 'SqlInvalid', 'data.sql');
    const inputs = requestInputs(columns, spec).map(({ name, isKey }) =>
      isKey ? `CAST(${quoteIdent(name)} AS VARCHAR) AS ${quoteIdent(name)}` : quoteIdent(name),
    );
    const at = `CAST(${quoteIdent(timestamp)} AS TIMESTAMPTZ)`;
    const rows = await database.rows(
      `SELECT ${at} AS __at, CAST(${quoteIdent(target)} AS VARCHAR) AS __label, ${inputs.join(', ')}
       FROM (SELECT *, row_number() OVER () AS __place FROM (${query}\n))
       WHERE ${at} >= CAST(${quoteLiteral(from)} AS TIMESTAMPTZ) AND ${at} < CAST(${quoteLiteral(before)} AS TIMESTAMPTZ)
       ORDER BY __at, __place LIMIT ${MOST_ROWS + 1}`,
      'SqlInvalid',
      'data.sql',
    );
    if (rows.length > MOST_ROWS)
      throw new PerennialError(
        'InputInvalid',
        `there are more than ${MOST_ROWS} rows from ${from} to ${before}; take a shorter time`,
      );
    return rows.map(({ __at: moment, __label: label, ...sent }) => ({
      at: moment instanceof Date ? moment.toISOString() : String(moment),
      inputs: sent,
      label: label === null ? null : String(label),
    }));
  } finally {
    database.close();
  }
}

/**
 * The columns of a table that a request has: the features that no view gives, and the keys of the views that give some.
 *
 * @returns `isKey`: it is there as a key alone, and the server has no other use for it
 */
function requestInputs(table: TableRef['columns'], spec: PipelineSpec): { name: string; isKey: boolean }[] {
  const views = Object.entries(spec.featureViews).map(([name, view]) => ({
    entity: view.entity,
    columns: viewColumns(name, view).map((column) => column.name),
  }));
  const looked = new Set(views.flatMap(({ columns }) => columns));
  const added = [...looked].map((name) => ({ name, type: 'DOUBLE' }));
  const features = featureColumns([...table, ...added], spec).map(({ name }) => name);
  const sent = features.filter((name) => !looked.has(name));
  const used = views.filter(({ columns }) => columns.some((name) => features.includes(name)));
  const keys = new Set(used.flatMap(({ entity }) => entity).filter((name) => !sent.includes(name)));
  const known = table.map(({ name }) => name);
  for (const key of keys) if (!known.includes(key)) throw missingColumn('featureViews', key, known);
  return [
    ...sent.map((name) => ({ name, isKey: false })),
    ...[...keys].map((name) => ({ name, isKey: true })),
  ];
}

/** Each source as a Parquet file. */
async function sourceFiles(
  spec: PipelineSpec,
  { config, tempDir }: { config: Parameters<typeof sourceOptions>[0]; tempDir: string },
): Promise<{ name: string; path: string }[]> {
  const options = { ...sourceOptions(config, tempDir), roots: ['/'], denied: [] };
  const database = await Database.create({ tempDir: join(tempDir, 'sources-spill') });
  try {
    const files: { name: string; path: string }[] = [];
    for (const [name, source] of Object.entries(spec.data.sources)) {
      const acquired = await acquireSource(database, name, source, options);
      await checkHeader(database, name, source, acquired);
      const path = join(tempDir, `source-${files.length}.parquet`);
      await readTyped(database, name, source, acquired, (query) =>
        database.copyToParquet(query, path, 'SourceUnreadable', `source ${name}`),
      );
      files.push({ name, path });
    }
    return files;
  } catch (error) {
    throw options.secrets.hide(error);
  } finally {
    database.close();
  }
}
