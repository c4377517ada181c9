import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { findPython } from '../../client/platform/programs.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { type Problem, scoresOf } from '../../lib/statistics/judge.ts';
import { linearCongruential } from '../support/integration-random.ts';

const SCRIPT = fileURLToPath(new URL('./metrics-reference.py', import.meta.url));
const TASKS = ['binary', 'multiclass', 'regression'] as const;

interface Case {
  task: Task;
  labels: number[];
  /** A number for each row, or one for each class. */
  answers: number[] | number[][];
  /** How often each row counts. */
  counts: number[];
  threshold: number;
  quantile: number;
}

/** Random rows with ties, answers that are sure and wrong, and rows that count twice or not at all. */
function randomCase(task: Task, seed: number): Case {
  const rows = 150 + seed * 7;
  const uniform = linearCongruential(rows * 7, seed * 101 + TASKS.indexOf(task));
  const column = (k: number): number[] => uniform.slice(k * rows, (k + 1) * rows);
  const rounded = (values: number[], steps: number): number[] =>
    values.map((value) => Math.round(value * steps) / steps);
  const threshold = [0.5, 0.3, 0.7, 0, 1][seed % 5] ?? 0.5;
  const quantile = [0.5, 0.1, 0.9][seed % 3] ?? 0.5;
  const counts = column(0).map((value) => (seed % 2 === 0 ? 1 : Math.floor(value * 4)));
  const signal = rounded(column(1), [10, 20, 1_000][seed % 3] ?? 1);
  if (task === 'binary') {
    const labels = column(2).map((value, i) => (value < (signal[i] ?? 0) * 0.8 + 0.1 ? 1 : 0));
    return { task, labels, answers: signal, counts, threshold, quantile };
  }
  if (task === 'regression') {
    // Targets are float32.
    const labels = signal.map((value, i) => Math.fround(value * 30 - 12 + (column(2)[i] ?? 0) * 5));
    return {
      task,
      labels,
      answers: rounded(signal, 5).map((value) => value * 31 - 10),
      counts,
      threshold,
      quantile,
    };
  }
  const parts = [signal, rounded(column(3), 10), rounded(column(4), 10), rounded(column(5), 10)];
  const answers = signal.map((_, i) => {
    const weights = parts.map((part) => (part[i] ?? 0) + 0.05);
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.map((weight) => weight / sum);
  });
  const labels = answers.map((shares, i) => {
    const best = shares.indexOf(Math.max(...shares));
    const chance = column(6)[i] ?? 0;
    return chance < 0.6 ? best : Math.floor(chance * 997) % 4;
  });
  return { task, labels, answers, counts, threshold, quantile };
}

const cases = TASKS.flatMap((task) => Array.from({ length: 12 }, (_, seed) => randomCase(task, seed + 1)));

it('all metrics are those of scikit-learn, to 1e-9', () => {
  const input = cases.map((one) => JSON.stringify(one)).join('\n');
  const lines = execFileSync(findPython(undefined), ['-W', 'ignore', SCRIPT], { input, encoding: 'utf8' })
    .trim()
    .split('\n');
  expect(lines).toHaveLength(cases.length);
  for (const [i, { task, labels, answers, counts, threshold, quantile }] of cases.entries()) {
    const expected = z.record(z.string(), z.number()).parse(JSON.parse(lines[i] ?? ''));
    const problem: Problem = {
      task,
      quantile,
      classNames: task === 'regression' ? [] : ['a', 'b', 'c', 'd'].slice(0, task === 'binary' ? 2 : 4),
      positiveClass: task === 'binary' ? 'b' : null,
      baseline: { classShares: [], mean: null },
    };
    const truth = task === 'regression' ? Float32Array.from(labels) : Int32Array.from(labels);
    const scores = scoresOf(problem, truth, Float64Array.from(answers.flat()), threshold);
    const found = scores.metrics(Uint8Array.from(counts));
    expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, value] of Object.entries(found))
      expect(Math.abs(value - (expected[name] ?? Number.NaN)), `${task} ${i}: ${name}`).toBeLessThanOrEqual(
        1e-9 * Math.max(1, Math.abs(value)),
      );
  }
});
