import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { BatchOutput, WrittenOutput } from '../../../contracts/batch-output.ts';
import { PerennialError } from '../../../contracts/errors.ts';
import type { PerennialConfig } from '../../config.ts';
import type { Database } from '../../duckdb/database.ts';
import { Secrets } from '../../secrets.ts';
import { HostRules } from '../../sources/hosts.ts';
import { sourceOptions } from '../../sources/options.ts';
import { earlierBatch } from './earlier-batch.ts';
import { allowedPath, formatOf, type OutputRules, writeFileOutput } from './file.ts';
import { taken } from './output-errors.ts';
import { checkPostgresOutput, writePostgresOutput } from './postgres.ts';
import { checkS3Output, type NetworkOptions, writeS3Output } from './s3.ts';
import { writeRows } from './written-table.ts';

type Rules = Pick<
  PerennialConfig,
  | 'dataDir'
  | 'sourceRoots'
  | 'sourceHosts'
  | 'sourcePrivateHosts'
  | 'keyring'
  | 'artifactStore'
  | 'outputRoots'
  | 'outputHosts'
>;

/** A place to write to, with the worker's rules. */
export interface OutputPlace {
  config: Rules;
  output: BatchOutput;
  batchId: string;
  scratchDir: string;
  signal: AbortSignal;
}

const fileRules = (config: Rules): OutputRules => ({
  roots: config.outputRoots ?? [],
  denied: sourceOptions(config, join(config.dataDir, 'scratch')).denied ?? [],
});

const networkOptions = ({ config, scratchDir, signal }: OutputPlace): NetworkOptions => ({
  hosts: new HostRules(config.outputHosts ?? [], config.sourcePrivateHosts ?? [], 'PERENNIAL_OUTPUT_HOSTS'),
  secrets: new Secrets(process.env),
  scratchDir,
  signal,
});

/**
 * Refuses an output that the worker does not allow, that cannot be reached, or whose name is taken: before hours of
 * work are done for it.
 *
 * @throws PerennialError `OutputDenied`, `OutputExists`, `OutputUnwritable`, `OutputUnavailable`, `SecretMissing`
 */
export async function checkOutput(database: Database, place: OutputPlace): Promise<void> {
  const { output, batchId, config } = place;
  if ('s3' in output) return checkS3Output(output, batchId, networkOptions(place));
  if ('postgres' in output) return checkPostgresOutput(output, networkOptions(place));
  const path = await allowedPath(output, batchId, fileRules(config));
  // In a folder the name is the batch's own: who finds it there is told at the end whether it is the same.
  if (output.overwrite || output.path.endsWith('/')) return;
  if (!(await stat(path).catch(() => undefined))) return;
  const earlier = await earlierBatch(database, path, formatOf(output.path, output.format));
  if (earlier?.batchId !== batchId) throw taken(`output ${path}`);
}

/**
 * Writes the rows of a query to their destination: all of them once, or none.
 *
 * @param table `query` gives the rows of a batch that began at a time, `at` is when this one did, and `chunks` are
 *   digests of what the rows are made of
 * @throws PerennialError as {@link checkOutput}, and `ColumnMissing` for a table that lacks columns
 */
export async function writeOutput(
  database: Database,
  table: { query: (at: string) => string; at: string; rows: number; chunks: readonly string[] },
  place: OutputPlace,
): Promise<WrittenOutput> {
  const { output, batchId, config } = place;
  const { query, at, rows } = table;
  if ('postgres' in output) {
    const written = await writePostgresOutput(
      database,
      output,
      { query: query(at), batchId, identity: digestOf(table.chunks), rows },
      networkOptions(place),
    );
    return { kind: 'postgres', ...written };
  }
  const format = formatOf('s3' in output ? output.s3 : output.path, output.format);
  const write = async (path: string, since: string): Promise<number> => {
    const count = await writeRows(database, query(since), path, format);
    // Before anybody sees it.
    if (count === rows) return count;
    throw new PerennialError('StageFailed', `of ${rows} rows ${count} were written`);
  };
  if ('s3' in output) {
    const identity = digestOf([batchId, format, ...table.chunks]);
    const written = await writeS3Output(
      output,
      { batchId, identity, rows, write: (path) => write(path, at) },
      networkOptions(place),
    );
    return { kind: 's3', ...written };
  }
  const written = await writeFileOutput(output, batchId, fileRules(config), async (partial, path) => {
    // With the time of the batch's earlier start its file has the same bytes.
    const earlier = output.overwrite ? undefined : await earlierBatch(database, path, format);
    return write(partial, earlier?.batchId === batchId ? earlier.at : at);
  });
  return { kind: 'file', ...written };
}

const digestOf = (words: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(words)).digest('hex');
