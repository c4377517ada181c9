import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { ModelSignature } from '../../contracts/serving.ts';
import { readNpy } from '../npy.ts';
import { ownScript } from '../processes/own-script.ts';
import type { FeaturePlan } from './feature-plan.ts';
import { matrixOutputName } from './preprocess-graph.ts';
import { type TableAnswer, type TableJob, tableAnswer } from './table-job.ts';

/** Enough that the cost of a batch does not count, few enough that memory stays small. */
const BATCH_ROWS = 16_384;

interface TableRun {
  /** The rows, in a Parquet file. */
  parquetPath: string;
  /** Rows in memory at a time, default 16,384. */
  batchRows?: number;
  /** Threads of the ONNX engine, default 1. */
  threads?: number;
  /** Aborting kills the process at once. */
  signal?: AbortSignal | undefined;
}

/**
 * Writes the feature matrix of a table as a `.npy` file, float32 `[n, f]`, rows in the table's order, by the very
 * graph that is served. Runs in a process of its own with bounded memory; the file appears only when it is complete.
 *
 * @param run `preprocessPath` is the file of `preprocessGraph(plan)`
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`, `SourceUnreadable` for the table; `ModelInvalid` for the graph
 * @throws the signal's reason, after an abort
 * @example
 * const { rows, columns } = await transformTable({ parquetPath, plan, preprocessPath, outPath: 'features.npy' });
 */
export async function transformTable(
  run: TableRun & { plan: FeaturePlan; preprocessPath: string; outPath: string },
): Promise<{ rows: number; columns: number }> {
  const { plan, preprocessPath, outPath } = run;
  return runTable(run, {
    columns: plan.columns.map(({ name, kind }) => ({ name, kind })),
    strict: true,
    graphPath: preprocessPath,
    outputs: [matrixOutputName(plan)],
    outPath,
  });
}

/** A model's answers for a table, row after row. */
export interface Scores {
  rows: number;
  /** The outputs of the model that `values` holds: probabilities or the prediction. */
  outputs: string[];
  /** `[rows]` for one output, `[rows, outputs]` in C order for several. */
  values: Float64Array;
  /** The same as a `.npy` file of float32. */
  path: string;
}

/**
 * Answers of a composed model for a table, in the table's order: binary the probability of the positive class `[n]`,
 * multi-class the probabilities `[n, classes]`, regression the predictions `[n]`. A column that the table lacks is
 * missing in every row. Runs in a process of its own with bounded memory.
 *
 * @param run `modelPath` is the composed model, `scratchDir` an existing folder for the `.npy` file
 * @throws PerennialError `ColumnInvalid`, `SourceUnreadable` for the table; `ModelInvalid` for the model
 * @throws the signal's reason, after an abort
 * @example
 * const { values } = await scoreTable({ parquetPath, signature, modelPath, scratchDir });
 */
export async function scoreTable(
  run: TableRun & { signature: ModelSignature; modelPath: string; scratchDir: string },
): Promise<Scores> {
  const { signature, modelPath, scratchDir } = run;
  const outputs = signature.outputs.filter(({ kind }) => kind === 'float').map(({ name }) => name);
  const path = join(scratchDir, `scores-${randomUUID()}.npy`);
  const { rows } = await runTable(run, {
    columns: signature.inputs.map(({ name, kind }) => ({ name, kind })),
    strict: false,
    graphPath: modelPath,
    outputs,
    outPath: path,
  });
  const { data } = await readNpy(path);
  return { rows, outputs, values: Float64Array.from(data), path };
}

type RunFields = 'parquetPath' | 'batchRows' | 'threads';

async function runTable(
  { parquetPath, batchRows = BATCH_ROWS, threads = 1, signal }: TableRun,
  job: Omit<TableJob, RunFields>,
): Promise<{ rows: number; columns: number }> {
  signal?.throwIfAborted();
  const partial = `${job.outPath}.${randomUUID()}.partial`;
  try {
    const answer = await ask({ ...job, parquetPath, batchRows, threads, outPath: partial }, signal);
    signal?.throwIfAborted();
    if (!answer.done) throw new PerennialError(answer.code, answer.message, answer.retryable);
    await rename(partial, job.outPath);
    return { rows: answer.rows, columns: answer.columns };
  } finally {
    await rm(partial, { force: true });
  }
}

/** Runs one job in a child process, which leaves when this process is gone. */
function ask(job: TableJob, signal: AbortSignal | undefined): Promise<TableAnswer> {
  const { path, execArgv } = ownScript(import.meta.url, './table-process.ts');
  const { PATH, HOME, TMPDIR } = process.env;
  return new Promise((resolve, reject) => {
    const child = fork(path, [], {
      execArgv,
      env: { ...(PATH && { PATH }), ...(HOME && { HOME }), ...(TMPDIR && { TMPDIR }) },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    let answer: TableAnswer | undefined;
    const kill = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', kill, { once: true });
    child.on('message', (message) => {
      answer = tableAnswer.safeParse(message).data;
    });
    const settle = (problem: string) => {
      signal?.removeEventListener('abort', kill);
      if (signal?.aborted) reject(signal.reason);
      else if (answer) resolve(answer);
      else reject(new PerennialError('StageFailed', `The process that reads the table ${problem}.`, true));
    };
    child.once('error', () => settle('could not be started'));
    child.once('exit', (code, end) =>
      settle(end ? `was ended by ${end} (out of memory?)` : `ended with code ${code}`),
    );
    child.send(job, (error) => {
      if (error) kill();
    });
  });
}
