import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { PerennialError } from '../../contracts/errors.ts';
import type { ModelSignature } from '../../contracts/serving.ts';
import { readNpy } from '../npy.ts';
import { createNpy } from '../npy-file.ts';
import type { FeaturePlan } from './feature-plan.ts';
import { foldInputName, matrixOutputName } from './preprocess-graph.ts';
import type { TableJob } from './table-job.ts';
import { rowRanges, tableSize } from './table-size.ts';
import { runTableJob } from './table-worker.ts';

/** Enough that the cost of a batch does not count, few enough that memory stays small. */
const BATCH_ROWS = 16_384;

interface TableRun {
  /** The rows, in a Parquet file. */
  parquetPath: string;
  /** Rows that a process holds in memory at a time, default 16,384. */
  batchRows?: number;
  /** Processes that share the rows, default one per core; small tables take fewer. */
  workers?: number;
  /** Threads of the ONNX engine in each process, default 1. */
  threads?: number;
  /** Aborting kills the processes at once. */
  signal?: AbortSignal | undefined;
}

/**
 * Writes the feature matrix of a table as a `.npy` file, float32 `[n, f]`, rows in the table's order, by the very
 * graph that is served. Runs in processes of their own, each with a contiguous part of the rows and bounded memory;
 * the file appears only when it is complete.
 *
 * @param run `preprocessPath` is the file of `preprocessGraph(plan)`; with `fold`, the SQL of each row's fold, of
 *   `preprocessGraph(plan, folds)`
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`, `SourceUnreadable` for the table; `ModelInvalid` for the graph
 * @throws the signal's reason, after an abort
 * @example
 * const { rows, columns } = await transformTable({ parquetPath, plan, preprocessPath, outPath: 'features.npy' });
 */
export async function transformTable(
  run: TableRun & { plan: FeaturePlan; preprocessPath: string; outPath: string; fold?: string },
): Promise<{ rows: number; columns: number }> {
  const { plan, preprocessPath, outPath, fold } = run;
  const columns = plan.matrix.length;
  const rows = await runTable(run, {
    columns: plan.columns.map(({ name, kind }) => ({ name, kind })),
    strict: true,
    ...(fold === undefined ? {} : { computed: { name: foldInputName(plan), sql: fold } }),
    graphPath: preprocessPath,
    outputs: [matrixOutputName(plan)],
    rowShape: [columns],
    outPath,
  });
  return { rows, columns };
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
 * missing in every row. Runs in processes of their own with bounded memory.
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
  const rows = await runTable(run, {
    columns: signature.inputs.map(({ name, kind }) => ({ name, kind })),
    strict: false,
    graphPath: modelPath,
    outputs,
    rowShape: outputs.length === 1 ? [] : [outputs.length],
    outPath: path,
  });
  const { data } = await readNpy(path);
  return { rows, outputs, values: new Float64Array(data), path };
}

type RunFields = 'parquetPath' | 'batchRows' | 'threads' | 'range';

async function runTable(
  { parquetPath, batchRows = BATCH_ROWS, workers = availableParallelism(), threads = 1, signal }: TableRun,
  job: Omit<TableJob, RunFields>,
): Promise<number> {
  signal?.throwIfAborted();
  const { rows, numbered } = await tableSize(parquetPath);
  const ranges = rowRanges(rows, numbered ? workers : 1);
  const partial = `${job.outPath}.${randomUUID()}.partial`;
  // One that fails ends the others.
  const failed = new AbortController();
  const either = signal ? AbortSignal.any([signal, failed.signal]) : failed.signal;
  try {
    await createNpy(partial, 'float32', [rows, ...job.rowShape]);
    const running = ranges.map(async (range) => {
      const whole = ranges.length === 1;
      const answer = await runTableJob(
        { ...job, parquetPath, batchRows, threads, outPath: partial, ...(whole ? {} : { range }) },
        either,
      );
      if (!answer.done) throw new PerennialError(answer.code, answer.message, answer.retryable);
      return answer.rows;
    });
    const done = await Promise.all(running).catch(async (error: unknown) => {
      failed.abort();
      await Promise.allSettled(running);
      throw error;
    });
    signal?.throwIfAborted();
    const read = done.reduce((sum, count) => sum + count, 0);
    if (read !== rows)
      throw new PerennialError('StageFailed', `Of ${rows} rows of the table ${read} were read.`, true);
    await rename(partial, job.outPath);
    return rows;
  } finally {
    await rm(partial, { force: true });
  }
}
