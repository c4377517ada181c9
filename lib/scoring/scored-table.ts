import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import { requestSignature, type ServedModel } from '../../contracts/serving.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { missingColumn } from '../data/missing-column.ts';
import { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { ERROR_COLUMN, inputColumn, outputColumn, plannedColumns } from './plan.ts';
import { scoredAside } from './score-aside.ts';

/** Rows with their truth, and the model that is to answer them. */
export interface LabelledRows {
  /** A Parquet file of raw rows: the columns of the model's inputs, the target and the timestamp. */
  readonly parquetPath: string;
  readonly model: ServedModel;
  /** A local file with the model's graph. */
  readonly modelPath: string;
  readonly task: Task;
  /** Column of the truth; a row without one has an answer all the same. */
  readonly target: string;
  /** Column of the moment that a row is of; `null`: the rows have none, and keep their order. */
  readonly timestamp: string | null;
  /** The Parquet file that is written; it must not exist. */
  readonly outPath: string;
  /** A folder for what is written in between. */
  readonly scratchDir: string;
  /** Memory of a database; two are open at a time. Default 1 GB. */
  readonly memoryLimit?: string | undefined;
  /** Rows that are in memory as answers at a time; default 500,000. */
  readonly chunkRows?: number;
  /** Aborting ends the scoring. */
  readonly signal?: AbortSignal | undefined;
  /** Told of the rows that have an answer, of all of them. */
  readonly onRows?: (rows: number) => void;
}

/** What {@link scoreLabelled} wrote. */
export interface ScoredRows {
  rows: number;
  /** Rows that the model server would have refused, or to which the answer is no number: they are left out. */
  refused: number;
  /** Rows without a moment: they are left out. */
  undated: number;
}

const CHUNK_ROWS = 500_000;
/** What target and timestamp are called on the way; no column of an answer is called so. */
const MOMENT = 'perennial_moment';
const TRUTH = 'perennial_truth';

/**
 * Answers rows whose truth is known, and writes them as the view `labelled` of the prediction log would have them, had
 * the model been asked when the rows were new: `time` (TIMESTAMP, UTC), `input_<feature>`, `output_<name>`,
 * `truth_label` (VARCHAR; NULL for a regression) and `truth_value` (DOUBLE; NULL for classes), `version`. In the order of
 * time, rows of one moment in that of the file. For references of monitoring and for back-tests, which then read the same
 * columns as a live monitor.
 *
 * The rows are scored by a process of its own, the same as batch scoring, chunk by chunk; sorting spills to
 * `scratchDir`. The file holds raw rows: whoever stores it encrypts it where the rows are sensitive.
 *
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`, `ModelInvalid`, `SourceUnreadable`
 * @example
 * const { rows } = await scoreLabelled({
 *   ...{ parquetPath, model, modelPath, outPath: `${scratchDir}/labelled.parquet`, scratchDir },
 *   ...{ task: 'binary', target: 'subscribed', timestamp: 'called_on', signal: frame.signal },
 * });
 */
export async function scoreLabelled(asked: LabelledRows): Promise<ScoredRows> {
  const { parquetPath, scratchDir, memoryLimit, signal } = asked;
  const own = join(scratchDir, 'labelled');
  await mkdir(own, { recursive: true });
  const database = await Database.create({ tempDir: join(own, 'spill'), memoryLimit, signal });
  try {
    const source = `read_parquet(${quoteLiteral(parquetPath)})`;
    const columns = await database.columns(source);
    const { count } = await database.row(`SELECT count(*) AS count FROM ${source}`, 'SourceUnreadable');
    const chunks = await scoredChunks(asked, columns, Number(count), own);
    return await joined(database, asked, chunks, Number(count));
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    database.close();
    await rm(own, { recursive: true, force: true });
  }
}

/** Answers of the model beside time and truth, in the order of the file. */
async function scoredChunks(
  { parquetPath, model, modelPath, target, timestamp, memoryLimit, chunkRows, signal, onRows }: LabelledRows,
  columns: Awaited<ReturnType<Database['columns']>>,
  count: number,
  folder: string,
): Promise<string[]> {
  const names = columns.map(({ name }) => name);
  for (const [where, name] of [
    ['columns.target', target],
    ['columns.timestamp', timestamp],
  ] as const)
    if (name !== null && !names.includes(name)) throw missingColumn(where, name, names);
  const signature = requestSignature(model);
  // Holds the table against the model.
  plannedColumns(columns, signature, { passThrough: 'none', features: true });
  const plan = {
    schemaVersion: 1 as const,
    columns,
    model: { ...model, signature },
    passThrough: [
      ...(timestamp === null ? [] : [{ column: timestamp, as: MOMENT }]),
      { column: target, as: TRUTH },
    ],
    entity: null,
    features: true,
    invalid: 'quarantine' as const,
  };
  const chunks: string[] = [];
  const step = chunkRows ?? CHUNK_ROWS;
  // A table without rows has its columns all the same.
  for (let from = 0; from < Math.max(1, count); from += step) {
    const outPath = join(folder, `${chunks.length}.parquet`);
    await scoredAside(
      {
        plan,
        parquetPath,
        rows: { from, before: Math.min(count, from + step) },
        offset: 0,
        modelPath,
        outPath,
        spillDir: join(folder, 'score-spill'),
        ...(memoryLimit === undefined ? {} : { memoryLimit }),
      },
      signal,
      (rows) => onRows?.(from + rows),
    );
    chunks.push(outPath);
  }
  return chunks;
}

/** One file of all chunks, in the order of time. */
async function joined(
  database: Database,
  { model, task, target, timestamp, outPath }: LabelledRows,
  chunks: readonly string[],
  count: number,
): Promise<ScoredRows> {
  const { inputs, outputs } = model.signature;
  const answers = `read_parquet([${chunks.map(quoteLiteral).join(', ')}])`;
  const moment = timestamp === null ? 'NULL::TIMESTAMPTZ' : `CAST(${MOMENT} AS TIMESTAMPTZ)`;
  const dated = timestamp === null ? 'true' : `coalesce(isfinite(${moment}), false)`;
  const number = `TRY_CAST(${TRUTH} AS DOUBLE)`;
  const regression = task === 'regression';
  const select = [
    `${moment} AT TIME ZONE 'UTC' AS time`,
    ...inputs.map(({ name }) => quoteIdent(inputColumn(name))),
    ...outputs.map(({ name }) => quoteIdent(outputColumn(name))),
    `${regression ? 'NULL::VARCHAR' : `CAST(${TRUTH} AS VARCHAR)`} AS truth_label`,
    `${regression ? `CASE WHEN isfinite(${number}) THEN ${number} END` : 'NULL::DOUBLE'} AS truth_value`,
    `${quoteLiteral(model.version)} AS version`,
  ];
  const what = `columns.timestamp ${timestamp}`;
  const told = await database.row(
    `SELECT count(*) FILTER (WHERE ${ERROR_COLUMN} IS NOT NULL) AS refused,
       count(*) FILTER (WHERE ${ERROR_COLUMN} IS NULL AND NOT ${dated}) AS undated,
       count(*) FILTER (WHERE ${TRUTH} IS NOT NULL AND ${number} IS NULL) AS words FROM ${answers}`,
    'ColumnInvalid',
    what,
  );
  if (regression && Number(told.words) > 0)
    throw new PerennialError(
      'ColumnInvalid',
      `columns.target: ${target} of a regression is no number in ${Number(told.words)} of ${count} rows`,
    );
  const rows = await database.copyToParquet(
    `SELECT ${select.join(',\n')} FROM ${answers} WHERE ${ERROR_COLUMN} IS NULL AND ${dated} ORDER BY time, row`,
    outPath,
    'ColumnInvalid',
    what,
  );
  return { rows, refused: Number(told.refused), undated: Number(told.undated) };
}
