import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { PerennialError } from '../../contracts/errors.ts';
import { type Feedback, feedback } from '../../contracts/feedback.ts';
import { nearest } from '../../contracts/issues.ts';
import type { FeedbackQuestion } from '../../contracts/prediction-questions.ts';
import { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { NO_COMMENTS } from '../sources/read-query.ts';
import { openStore } from '../store/open-store.ts';
import { EntityKey } from './entity-key.ts';
import { requireKnownEndpoint } from './known-endpoints.ts';
import { logKey } from './log-key.ts';
import { rollSegments } from './roll.ts';
import { Segment, serverFolder, writerName } from './segments.ts';
import { type PredictionConfig, segmentsFolder } from './settings.ts';
import { Spool } from './spool.ts';
import { truthOf } from './truth.ts';

const COLUMNS = ['request_id', 'row', 'entity', 'at', 'value', 'label'] as const;
const METRIC = 'metric_';
/** Bytes between two writes. */
const BATCH = 2 ** 20;

/**
 * Puts the feedback of a file on record and archives it: all of it, or nothing where a record is wrong or the process is
 * killed. The same file again changes nothing, since the latest truth wins.
 *
 * JSON Lines hold what the HTTP path takes; CSV and Parquet have the columns `request_id` (or `requestId`), `row`,
 * `entity`, `at`, `value`, `label` and `metric_<name>`.
 *
 * @param tempDir for what does not fit into memory
 * @throws PerennialError `InputInvalid` with the record, or of an endpoint that is not known; values are never quoted
 */
export async function importTruth(
  config: PredictionConfig,
  { endpoint, file, format, newEndpoint }: FeedbackQuestion,
  tempDir: string,
): Promise<number> {
  if (!newEndpoint) await requireKnownEndpoint(config, endpoint, tempDir);
  const store = await openStore(config);
  const folder = segmentsFolder(config);
  const sealing = await logKey(config, store.keyring);
  const segment = await Segment.begin(serverFolder(folder, 'import'), writerName(), 0, sealing, true);
  const spool = new Spool();
  const written = async (): Promise<void> => {
    for (let block = spool.take(); block; block = spool.take()) {
      await segment.append(block.buffer.written());
      spool.release(block);
    }
  };
  let records = 0;
  let key: EntityKey | undefined;
  try {
    for await (const value of format === 'jsonl' ? linesOf(file) : rowsOf(file, format, tempDir)) {
      records += 1;
      const item = checked(value, records);
      // Truth by request needs no pseudonym, and so no keyring.
      if (item.entity != null) key ??= await EntityKey.open(store, folder);
      spool.addTruth(truthOf(endpoint, item, key));
      if (spool.bytes >= BATCH) await written();
    }
    await written();
  } catch (error) {
    await segment.discard();
    throw error;
  }
  await segment.close();
  // Somebody else may be rolling: then that is taken with the next roll.
  await rollSegments(config).catch((error: unknown) => {
    if (!(error instanceof PerennialError && error.retryable)) throw error;
  });
  return records;
}

const refusal = (message: string): PerennialError => new PerennialError('InputInvalid', message);

function checked(value: unknown, record: number): Feedback {
  const parsed = feedback.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw refusal(
    `${[`record ${record}`, ...(issue?.path ?? [])].join(', ')}: ${issue?.message ?? 'is wrong'}; nothing of the file was recorded`,
  );
}

async function* linesOf(file: string): AsyncGenerator<unknown> {
  let number = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    number += 1;
    if (line.trim() === '') continue;
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      throw refusal(`line ${number} is not JSON; nothing of the file was recorded`);
    }
    yield value;
  }
}

async function* rowsOf(file: string, format: 'csv' | 'parquet', tempDir: string): AsyncGenerator<unknown> {
  const database = await Database.create({ tempDir, threads: 1, onlyPaths: [file, tempDir] });
  const relation =
    format === 'csv'
      ? `read_csv(${quoteLiteral(file)}, header = true, skip = 0, all_varchar = true, ${NO_COMMENTS})`
      : `read_parquet(${quoteLiteral(file)})`;
  try {
    const columns = await database.columns(relation, 'InputInvalid', 'the file');
    const selected = columns.map((column) => ({ ...column, known: knownName(column.name) }));
    const sql = selected.map(
      ({ name, type, known }) => `${valueSql(known, quoteIdent(name), type)} AS ${quoteIdent(known)}`,
    );
    const query = `SELECT ${sql.join(', ')} FROM ${relation}`;
    for await (const chunk of database.streamed(query, 'InputInvalid', 'the file'))
      for (const values of chunk.getRows())
        yield itemOf(
          selected.map(({ known }) => known),
          values,
        );
  } finally {
    database.close();
  }
}

function knownName(name: string): string {
  if (name === 'requestId') return 'request_id';
  if (COLUMNS.some((known) => known === name) || name.startsWith(METRIC)) return name;
  const hint = nearest(name, COLUMNS);
  throw refusal(
    `the column ${name} is not known; expected ${COLUMNS.join(', ')} and ${METRIC}NAME${hint ? `; did you mean ${hint}?` : ''}`,
  );
}

/** Text, but for numbers; a text that is no number stays one, and is refused with its place. */
function valueSql(known: string, column: string, type: string): string {
  if (known === 'at')
    return /^(TIMESTAMP|DATE)/.test(type)
      ? `strftime(CAST(${column} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%fZ')`
      : `CAST(${column} AS VARCHAR)`;
  if (['request_id', 'entity', 'label'].includes(known)) return `CAST(${column} AS VARCHAR)`;
  return type === 'VARCHAR' ? column : `CAST(${column} AS DOUBLE)`;
}

const NUMBER = /^\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*$/i;
const TRUTHS: Readonly<Record<string, boolean>> = { true: true, false: false };

function itemOf(names: readonly string[], values: readonly unknown[]): object {
  const item: Record<string, unknown> = {};
  const metrics: Record<string, unknown> = {};
  for (const [i, name] of names.entries()) {
    const value = values[i];
    if (value === null || value === '') continue;
    if (name.startsWith(METRIC)) metrics[name.slice(METRIC.length)] = numberOf(value);
    else if (name === 'request_id') item.requestId = value;
    else item[name] = name === 'row' || name === 'value' ? numberOf(value) : value;
  }
  return Object.keys(metrics).length > 0 ? { ...item, metrics } : item;
}

function numberOf(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  return NUMBER.test(value) ? Number(value) : (TRUTHS[value.trim().toLowerCase()] ?? value);
}
