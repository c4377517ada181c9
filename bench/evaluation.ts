import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { findPython } from '../client/platform/programs.ts';
import type { Task } from '../contracts/spec/task.ts';
import { seededRandom } from '../domain/random.ts';
import { judged } from '../lib/evaluation/judge-aside.ts';
import type { JudgeQuestion } from '../lib/evaluation/judge-job.ts';
import type { CodedColumn } from '../lib/statistics/coded-column.ts';
import { worstSlices } from '../lib/statistics/worst-slices.ts';
import { figures, machine, table } from './figures.ts';

const ROWS = Number(process.env.ROWS ?? 100_000);
const RESAMPLES = Number(process.env.RESAMPLES ?? 1_000);
const REPEATS = Number(process.env.REPEATS ?? 3);
/** Samples that the peer draws: all of them would take minutes. */
const PEER_SAMPLES = Number(process.env.PEER_SAMPLES ?? 20);
const COLUMNS = 30;
const VALUES = 8;

const SCRIPT = join(import.meta.dirname, 'peers', 'evaluation_sklearn.py');
const TASKS: readonly Task[] = ['binary', 'multiclass', 'regression'];

function question(task: Task): JudgeQuestion {
  const random = seededRandom(1);
  const column = (): Float64Array => Float64Array.from({ length: ROWS }, random);
  const problem = {
    task,
    classNames: task === 'regression' ? [] : ['a', 'b', 'c', 'd'].slice(0, task === 'binary' ? 2 : 4),
    positiveClass: task === 'binary' ? 'b' : null,
    baseline: { classShares: [], mean: null },
  };
  const bootstrap = { confidence: 0.95, resamples: RESAMPLES, seed: 1 };
  const first = column();
  if (task === 'binary')
    return {
      problem,
      labels: Int32Array.from(first, (p) => (random() < p ? 1 : 0)),
      answers: first,
      bootstrap,
    };
  if (task === 'regression')
    return {
      problem,
      labels: Float32Array.from(first, (p) => 3 * p + random()),
      answers: first.map((p) => 3 * p),
      bootstrap,
    };
  const answers = Float64Array.from({ length: 4 * ROWS }, random);
  for (let row = 0; row < ROWS; row++) {
    const own = answers.subarray(4 * row, 4 * row + 4);
    const sum = own.reduce((total, value) => total + value, 0);
    own.forEach((value, k) => {
      own[k] = value / sum;
    });
  }
  return { problem, labels: Int32Array.from(first, (value) => Math.floor(value * 4)), answers, bootstrap };
}

const timed = async (work: () => unknown): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1_000;
};

const repeated = async (work: () => unknown): Promise<string[]> => {
  const seconds: number[] = [];
  for (let i = 0; i < REPEATS; i++) seconds.push(await timed(work));
  const { min, median, max } = figures(seconds);
  return [min, median, max].map((value) => value.toFixed(2));
};

/** The same samples and metrics with scikit-learn, of some samples, as seconds for all of them. */
function peerSeconds(task: Task): string {
  const said = execFileSync(
    findPython(undefined),
    ['-W', 'ignore', SCRIPT, task, String(ROWS), String(PEER_SAMPLES)],
    {
      encoding: 'utf8',
    },
  );
  const { seconds } = z.object({ seconds: z.number() }).parse(JSON.parse(said));
  return ((seconds * RESAMPLES) / PEER_SAMPLES).toFixed(1);
}

function columns(): CodedColumn[] {
  const random = seededRandom(2);
  return Array.from({ length: COLUMNS }, (_, k) => ({
    name: `x${k}`,
    labels: Array.from({ length: VALUES }, (__, value) => `x${k} = ${value}`),
    codes: Uint16Array.from({ length: ROWS }, () => Math.floor(random() * VALUES)),
    unnamed: 0,
  }));
}

/**
 * Seconds for the metrics of a test part with their bootstrap intervals, processes included, beside scikit-learn and
 * numpy; and for the search for bad slices. `ROWS`, `RESAMPLES`, `REPEATS` in the environment set the size.
 *
 * @returns a Markdown table
 */
export async function measureEvaluation(): Promise<string> {
  const lines: string[][] = [];
  for (const task of TASKS) {
    const asked = question(task);
    lines.push([
      `${task}: all metrics, ${RESAMPLES} samples`,
      ...(await repeated(() => judged(asked))),
      peerSeconds(task),
    ]);
  }
  const losses = Float64Array.from({ length: ROWS }, seededRandom(3));
  const searched = columns();
  lines.push([
    `worst slices among ${COLUMNS} columns`,
    ...(await repeated(() =>
      worstSlices(searched, losses, { minRows: 100, features: 2, alpha: 0.05, limit: 10 }),
    )),
    '',
  ]);
  return [
    machine(),
    '',
    table(
      [
        `${ROWS.toLocaleString('en-US')} rows, seconds`,
        'min',
        'median',
        'max',
        `scikit-learn, from ${PEER_SAMPLES} samples`,
      ],
      lines,
    ),
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  process.stdout.write(`${await measureEvaluation()}\n`);
