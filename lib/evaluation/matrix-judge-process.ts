/** The program beside `matrix-judge.ts`: runs a trainer's model over a feature matrix and judges the answers. */
import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { PerennialError } from '../../contracts/errors.ts';
import { readNpy, writeNpy } from '../npy.ts';
import { matrixBatches } from '../npy-file.ts';
import { trainedGraph } from '../onnx/trained-graph.ts';
import { answering } from '../processes/aside.ts';
import { type Problem, positiveIndex, scoresOf } from '../statistics/judge.ts';
import { requireProbabilities } from '../statistics/probabilities.ts';
import type { MatrixQuestion } from './matrix-judge.ts';

const BATCH_ROWS = 16_384;

async function judge(question: MatrixQuestion): Promise<unknown> {
  const { problem, labelsPath, answersPath } = question;
  const labels = (await readNpy(labelsPath)).data;
  if (labels instanceof Float64Array)
    throw new PerennialError('TrainerContract', 'Labels are int32 class indices or float32 numbers.');
  const answers = await answersOf(question, labels.length);
  const metrics = scoresOf(problem, labels, answers).metrics();
  if (answersPath !== undefined)
    await writeNpy(answersPath, answers, shapeOf(problem, labels.length, answers.length));
  return { metrics };
}

const shapeOf = (problem: Problem, rows: number, values: number): number[] =>
  problem.task === 'multiclass' ? [rows, values / rows] : [rows];

/** As judges take them: binary the positive class alone, multi-class row by row. */
async function answersOf(
  { problem, modelPath, featuresPath, threads }: MatrixQuestion,
  rows: number,
): Promise<Float64Array> {
  const { task, classNames } = problem;
  const width = task === 'regression' ? 1 : classNames.length;
  const [from, kept] = task === 'binary' ? [positiveIndex(problem), 1] : [0, width];
  const answers = new Float64Array(rows * kept);
  let session: InferenceSession | undefined;
  let names = { input: '', output: '' };
  let row = 0;
  for await (const { data, rows: count, columns } of matrixBatches(featuresPath, BATCH_ROWS)) {
    if (!session) {
      names = trainedGraph(await readFile(modelPath), task, columns, classNames.length);
      session = await load(modelPath, threads);
    }
    const feeds = { [names.input]: new Tensor('float32', data, [count, columns]) };
    const results = await session.run(feeds, [names.output]).catch((cause: unknown) => {
      throw new PerennialError('ModelInvalid', `The trained model fails on rows: ${words(cause)}`);
    });
    const values = results[names.output]?.data;
    if (!(values instanceof Float32Array) || values.length !== count * width)
      throw new PerennialError(
        'ModelInvalid',
        `The trained model gives ${values?.length ?? 'no'} numbers for ${count} rows; ${width} for each are needed.`,
      );
    // All classes, before one of two is taken.
    if (task === 'binary' && values.every(Number.isFinite)) requireProbabilities(values, width);
    for (let i = 0; i < count; i++)
      for (let j = 0; j < kept; j++)
        answers[(row + i) * kept + j] = values[i * width + from + j] ?? Number.NaN;
    row += count;
  }
  await session?.release();
  return answers;
}

const load = (modelPath: string, threads: number): Promise<InferenceSession> =>
  InferenceSession.create(modelPath, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
  }).catch((cause: unknown) => {
    throw new PerennialError('ModelInvalid', `ONNX Runtime cannot load the trained model: ${words(cause)}`);
  });

const words = (cause: unknown): string =>
  (cause instanceof Error ? cause.message : String(cause)).split('\n', 1).join('').slice(0, 300);

answering((question) => judge(question as MatrixQuestion));
