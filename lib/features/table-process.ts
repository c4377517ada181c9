/** The program of a table process (see `transform.ts`): takes one job over IPC, answers, leaves. */
import { InferenceSession, type Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import { withoutValues } from '../duckdb/engine-words.ts';
import { NpyRows } from '../npy-file.ts';
import { type TableAnswer, type TableJob, tableJob } from './table-job.ts';
import { readBatches } from './table-reader.ts';

async function run(job: TableJob): Promise<{ rows: number }> {
  const session = await InferenceSession.create(job.graphPath, {
    intraOpNumThreads: job.threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  }).catch((cause: unknown) => {
    throw new PerennialError('ModelInvalid', 'The ONNX graph cannot be loaded.', false, { cause });
  });
  requireOutputs(session, job);
  const columns = job.rowShape[0] ?? 1;
  const file = await NpyRows.open(job.outPath, job.range?.from);
  let done = 0;
  try {
    for await (const { rows, feeds } of readBatches(job)) {
      const results = await session.run(feeds, job.outputs).catch((cause: unknown) => {
        // The engine's own words may quote values: they stay in `cause`.
        throw new PerennialError('ModelInvalid', `The ONNX graph failed on a batch of ${rows} rows.`, false, {
          cause,
        });
      });
      await file.append(
        sideBySide(
          job.outputs.map((name) => floats(name, results[name], rows * columns)),
          rows,
        ),
      );
      done += rows;
    }
    return { rows: done };
  } finally {
    await file.close();
  }
}

function requireOutputs(session: InferenceSession, { outputs, rowShape }: TableJob): void {
  const shapes = outputs.map((name) => {
    const output = session.outputMetadata.find((metadata) => metadata.name === name);
    if (!output?.isTensor)
      throw new PerennialError('ModelInvalid', `The ONNX graph has no output tensor "${name}".`);
    return output.shape;
  });
  const [first] = shapes;
  const matrix = shapes.length === 1 && first?.length === 2 && first[1] === rowShape[0];
  const columns = shapes.every((shape) => shape.length === 1) && (rowShape[0] ?? 1) === shapes.length;
  if (matrix || columns) return;
  throw new PerennialError(
    'ModelInvalid',
    `The outputs ${outputs.join(', ')} of the ONNX graph do not make a matrix of ${rowShape[0] ?? 1} columns.`,
  );
}

function floats(name: string, tensor: Tensor | undefined, most: number): Float32Array {
  if (tensor?.data instanceof Float32Array && tensor.data.length <= most) return tensor.data;
  throw new PerennialError(
    'ModelInvalid',
    `The output "${name}" of the ONNX graph is no float tensor of its shape.`,
  );
}

function sideBySide(columns: readonly Float32Array[], rows: number): Float32Array {
  const [first] = columns;
  if (first && columns.length === 1) return first;
  const matrix = new Float32Array(rows * columns.length);
  columns.forEach((column, at) => {
    for (let row = 0; row < rows; row++) matrix[row * columns.length + at] = column[row] ?? Number.NaN;
  });
  return matrix;
}

function answer(message: TableAnswer): void {
  process.send?.(message, () => process.disconnect?.());
}

// Whoever wanted the answer is gone.
process.once('disconnect', () => process.exit());
process.once('message', (message) => {
  Promise.resolve(message)
    .then((job) => run(tableJob.parse(job)))
    .then(
      (result) => answer({ done: true, ...result }),
      (error: unknown) => {
        const known = error instanceof PerennialError;
        const code = known ? error.code : 'StageFailed';
        const text = known ? error.message : `A table could not be read: ${firstLine(error)}`;
        answer({ done: false, code, message: text, retryable: known && error.retryable });
      },
    );
});

function firstLine(error: unknown): string {
  const words = withoutValues(error instanceof Error ? error.message : String(error));
  return words.split('\n', 1).join('').slice(0, 300);
}
