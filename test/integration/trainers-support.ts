import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect } from 'vitest';
import type { TrainerName } from '../../contracts/spec/candidates.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { TrainerEvent, TrainerRequest } from '../../contracts/trainer.ts';
import { seededRandom } from '../../domain/random.ts';
import { writeNpy } from '../../lib/npy.ts';
import { runTrainer, type TrainerOutcome } from '../../lib/processes/run-program.ts';
import { TRAINER_NAMES, trainerCommand } from '../../trainers/catalog.ts';

export const TASKS = ['binary', 'multiclass', 'regression'] as const;
export const FEATURES = 6;

/** The trainers that these tests run; `tfjs_linear`, which is `mlp` without hidden layers, has tests of its own. */
export const TRAINERS = TRAINER_NAMES.filter((name) => name !== 'tfjs_linear');
/** Those that build their model step by step, with as many iterations as they are given. */
export const ITERATIVE = ['lightgbm', 'xgboost', 'random_forest', 'gradient_boosting', 'mlp'] as const;

/** The tasks that a trainer takes. */
export const tasksOf = (trainer: TrainerName): readonly Task[] =>
  TASKS.filter((task) => trainer !== (task === 'regression' ? 'logistic' : 'linear'));
/** A task that a trainer takes. */
export const someTask = (trainer: TrainerName): Task => (trainer === 'linear' ? 'regression' : 'binary');

/** The interpreter with the trainers' packages: PERENNIAL_PYTHON, or the nearest .venv above this file. */
export const python = process.env.PERENNIAL_PYTHON ?? nearestVenv(import.meta.dirname);

function nearestVenv(folder: string): string {
  const candidate = join(folder, '.venv', 'bin', 'python');
  if (existsSync(candidate)) return candidate;
  const parent = dirname(folder);
  if (parent === folder) throw new Error('No .venv found. Run the set-up, or set PERENNIAL_PYTHON.');
  return nearestVenv(parent);
}

/** A temporary folder and the means to delete it. */
export async function scratchFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'trainer-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export interface Sample {
  features: Float32Array;
  labels: Int32Array | Float32Array;
  rows: number;
}

/** Rows whose target depends on the first features, with noise; columns of very different scales. */
export function sample(task: Task, rows: number, seed: number): Sample {
  const random = seededRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const features = new Float32Array(rows * FEATURES);
  const scores = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const values = Array.from({ length: FEATURES }, normal);
    const [a = 0, b = 0, c = 0] = values;
    scores[row] = 2 * a - b + 0.5 * a * c + 0.3 * normal();
    features.set(
      values.map((value, column) => (column === 1 ? 1000 * value + 500 : value)),
      row * FEATURES,
    );
  }
  if (task === 'regression') return { features, labels: scores.map((score) => 50 + 10 * score), rows };
  const classOf = (score: number) =>
    task === 'binary' ? Number(score > 0) : Number(score > -1) + Number(score > 1);
  return { features, labels: Int32Array.from(scores, classOf), rows };
}

/** Writes training and validation files to `folder` and gives the request that names them. */
export async function requestFor(
  trainer: string,
  task: Task,
  folder: string,
  changes: Partial<TrainerRequest> & { rows?: number } = {},
): Promise<TrainerRequest> {
  const { rows = 800, ...fields } = changes;
  const file = (name: string) => join(folder, `${name}.npy`);
  for (const [part, data] of [
    ['train', sample(task, rows, 1)],
    ['validation', sample(task, 300, 2)],
  ] as const) {
    await writeNpy(file(`${part}-x`), data.features, [data.rows, FEATURES]);
    await writeNpy(file(`${part}-y`), data.labels, [data.rows]);
  }
  return {
    schemaVersion: 1,
    task,
    trainer,
    train: { features: file('train-x'), labels: file('train-y') },
    validation: { features: file('validation-x'), labels: file('validation-y') },
    featureNames: Array.from({ length: FEATURES }, (_, column) => `column ${column}`),
    classNames: { binary: ['no', 'yes'], multiclass: ['low', 'middle', 'high'], regression: [] }[task],
    parameters: {},
    seed: 7,
    threads: 1,
    maxIterations: 30,
    checkpointDir: join(folder, 'checkpoints'),
    outputDir: join(folder, 'output'),
    ...fields,
  };
}

export interface TrainingRun extends TrainerOutcome {
  events: TrainerEvent[];
}

/** Runs a shipped trainer to its end. */
export async function train(
  trainer: TrainerName,
  request: TrainerRequest,
  scratchDir: string,
  options: {
    env?: Record<string, string>;
    signal?: AbortSignal;
    onEvent?: (event: TrainerEvent) => void;
  } = {},
): Promise<TrainingRun> {
  const events: TrainerEvent[] = [];
  const outcome = await runTrainer({
    ...trainerCommand(trainer, { python }),
    request,
    scratchDir,
    signal: options.signal ?? new AbortController().signal,
    env: options.env ?? {},
    onEvent: (event) => {
      events.push(event);
      options.onEvent?.(event);
    },
  });
  return { ...outcome, events };
}

/** The one output of a model for many rows, with its name and its shape. */
export async function predict(
  modelPath: string,
  data: Sample,
): Promise<{ name: string; dims: readonly number[]; values: Float32Array }> {
  const session = await InferenceSession.create(modelPath);
  try {
    const [name = ''] = session.outputNames;
    if (session.inputNames.join() !== 'features' || session.outputNames.length !== 1) {
      throw new Error(`inputs ${session.inputNames.join()}, outputs ${session.outputNames.join()}`);
    }
    const answer = await session.run({
      features: new Tensor('float32', data.features, [data.rows, FEATURES]),
    });
    const output = answer[name];
    if (!(output?.data instanceof Float32Array)) throw new Error('the output is not float32');
    return { name, dims: output.dims, values: output.data };
  } finally {
    await session.release();
  }
}

/** Starts a trainer by hand, kills it without warning once it has saved something, and gives its last words. */
export async function killed(
  trainer: TrainerName,
  request: TrainerRequest,
  folder: string,
): Promise<{ iteration: number; path: string }> {
  const { program, args } = trainerCommand(trainer, { python });
  const path = join(folder, 'by-hand.json');
  await writeFile(path, JSON.stringify(request));
  const child = spawn(program, [...args, '--request', path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PERENNIAL_CHECKPOINT_SECONDS: '0.05' },
  });
  const exit = once(child, 'exit');
  let last: { iteration: number; path: string } | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const event: TrainerEvent = JSON.parse(line);
    if (event.event !== 'checkpoint') continue;
    last = event;
    if (event.iteration > 0) child.kill('SIGKILL');
  }
  expect(await exit).toEqual([null, 'SIGKILL']);
  if (!last) throw new Error('No checkpoint before the end.');
  return last;
}
