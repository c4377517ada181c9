import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Calibration, Combination } from '../../contracts/finishing.ts';
import { featuresSpec } from '../../contracts/spec/features.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { RawColumn } from '../../lib/features/feature-plan.ts';
import { fitFeatures } from '../../lib/features/fit.ts';
import { preprocessGraph } from '../../lib/features/preprocess-graph.ts';
import { transformTable } from '../../lib/features/transform.ts';
import { writeNpy } from '../../lib/npy.ts';
import { type ComposeOptions, composeModel } from '../../lib/onnx/compose.ts';
import { composeEnsemble, type EnsembleMember } from '../../lib/onnx/ensemble.ts';
import { readModel } from '../../lib/onnx/graph.ts';
import { applyCalibration } from '../../lib/statistics/calibrated.ts';
import { fitCalibration } from '../../lib/statistics/calibration-fit.ts';
import { applyCombination } from '../../lib/statistics/combined.ts';
import type { Classes } from '../../lib/statistics/judge.ts';
import { fitStack } from '../../lib/statistics/stack-fit.ts';
import { answersOf, apart, combinedInGraph, FinishingReference, runReference } from '../support/finishing.ts';
import { linearCongruential } from '../support/integration-random.ts';

const ROWS = 1_200;
const TASKS = ['binary', 'multiclass', 'regression'] as const;
const CLASSES: Record<Task, Classes> = {
  binary: { task: 'binary', classNames: ['no', 'yes'], positiveClass: 'no' },
  multiclass: { task: 'multiclass', classNames: ['low', 'mid', 'high'], positiveClass: null },
  regression: { task: 'regression', classNames: [], positiveClass: null },
};
const optionsOf = (task: Task): ComposeOptions => ({
  task,
  classNames: CLASSES[task].classNames,
  ...(task === 'binary' ? { positiveClass: 'no' } : {}),
});

/** Labels, and what three members of different quality say of them. */
function randomAnswers(task: Task, rows: number, seed: number) {
  const classes = task === 'multiclass' ? 3 : 1;
  const uniform = linearCongruential(rows * 16, seed);
  const at = (row: number, k: number) => uniform[row * 16 + k] ?? 0;
  const labels = Array.from({ length: rows }, (_, row) =>
    task === 'regression'
      ? Math.fround(at(row, 0) * 400 + 900)
      : Math.floor(at(row, 0) * (classes > 1 ? 3 : 2)),
  );
  const members = [0.6, 2, 0].map((skill, m) =>
    labels.flatMap((label, row) => {
      if (task === 'regression') return [Math.fround(label * skill + at(row, m + 1) * 100)];
      const odds = Array.from({ length: classes === 1 ? 2 : 3 }, (_, k) => {
        // The positive class is the one with index 0.
        const truth = k === label ? 1 : 0;
        return Math.exp(skill * truth + 3 * at(row, 1 + m * 3 + k));
      });
      const sum = odds.reduce((total, own) => total + own, 0);
      const shares = odds.map((own) => Math.fround(own / sum));
      return classes === 1 ? shares.slice(0, 1) : shares;
    }),
  );
  const weights = labels.map((_, row) => Math.floor(at(row, 15) * 3));
  return { labels, members, weights };
}

const reference = new FinishingReference();
afterAll(() => reference.close());

describe.each(TASKS)('a %s stack', (task) => {
  const { labels, members, weights } = randomAnswers(task, 800, 17);
  const truth = task === 'regression' ? Float32Array.from(labels) : Int32Array.from(labels);
  const answers = members.map((own) => Float64Array.from(own));

  it('is the minimum of its penalised loss, as SciPy finds it', async () => {
    // The positive class of the binary problem is the first one.
    const seen = task === 'binary' ? labels.map((label) => 1 - label) : labels;
    const shaped = task === 'multiclass' ? members.map((own) => rowsOf(own, 3)) : members;
    const requests = [undefined, weights].map((own) => ({
      kind: 'stack',
      task,
      labels: seen,
      answers: shaped,
      weights: own ?? null,
    }));
    const schema = z.object({ weights: z.array(z.number()), intercepts: z.array(z.number()) });
    for (const [i, reply] of (await reference.ask(requests)).entries()) {
      const expected = schema.parse(reply);
      const found = fitStack(CLASSES[task], truth, answers, i === 1 ? Float32Array.from(weights) : undefined);
      expect(apart(found.weights, expected.weights)).toBeLessThan(1e-4);
      const scale = task === 'regression' ? 1_000 : 1;
      expect(apart(found.intercepts, expected.intercepts) / scale).toBeLessThan(1e-4);
      expect(Math.min(...found.weights)).toBeGreaterThanOrEqual(0);
    }
  });

  it('and an average answer in the graph as in TypeScript, NaN included', async () => {
    const stack = fitStack(CLASSES[task], truth, answers);
    const edge = task === 'multiclass' ? [1, 0, 0, Number.NaN, Number.NaN, Number.NaN] : [0, 1, Number.NaN];
    const inputs = answers.map((own) => Float64Array.from([...own, ...edge]));
    const averages: Combination[] = [{ method: 'average' }, { method: 'average', weights: [5, 0, 2] }];
    for (const combination of [stack, ...averages]) {
      const { classNames } = CLASSES[task];
      const { values } = await combinedInGraph(combination, inputs, { task, classNames });
      const expected = applyCombination(combination, task, 3, inputs);
      const scale = task === 'regression' ? 1_000 : 1;
      expect(apart(values, expected) / scale).toBeLessThan(1e-6);
      expect(expected.at(-1)).toBeNaN();
    }
  });
});

const rowsOf = (values: number[], width: number): number[][] =>
  Array.from({ length: values.length / width }, (_, row) => values.slice(row * width, (row + 1) * width));

describe('trained models', () => {
  const COLUMNS: RawColumn[] = [
    { name: 'delay', kind: 'numeric' },
    { name: 'member', kind: 'boolean' },
    { name: 'job', kind: 'categorical' },
    { name: 'at', kind: 'datetime' },
    { name: 'note', kind: 'text' },
  ];
  const MEMBERS = [
    ['boosted', 'tree'],
    ['forest', 'linear'],
    ['linear', 'linear'],
  ] as const;

  let folder: string;
  let connection: DuckDBConnection;
  let parquetPath: string;
  /** The rows as a model takes them. */
  let inputs: Record<string, number[] | string[]>;
  const preprocess = new Map<string, Uint8Array>();
  /** Answers of the composed models by their name. */
  const ours = new Map<string, Float64Array>();
  const labels = new Map<Task, Int32Array | Float32Array>();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'perennial-ensemble-'));
    parquetPath = join(folder, 'rows.parquet');
    connection = await (await DuckDBInstance.create(':memory:')).connect();
    await connection.run(`COPY (SELECT
        CASE WHEN i % 11 = 0 THEN NULL ELSE sin(i) * 30 END AS delay,
        i % 3 = 0 AS member,
        ['admin', 'blue-collar', NULL, 'None'][1 + i % 4] AS job,
        ['late again', 'on time', NULL, 'again and again'][1 + i % 4] AS note,
        TIMESTAMP '2013-01-03 05:00:00' + INTERVAL (i * 31) HOUR AS at
      FROM range(${ROWS}) AS rows(i)) TO '${parquetPath}' (FORMAT parquet)`);
    // Words only for linear models: the two graphs need different opsets.
    for (const preset of ['tree', 'linear'] as const) {
      const spec = featuresSpec.parse(
        preset === 'tree' ? { text: { maxFeatures: 1, minDocuments: ROWS } } : {},
      );
      const { plan } = await fitFeatures(connection, `'${parquetPath}'`, COLUMNS, spec, { preset });
      const graph = preprocessGraph(plan);
      preprocess.set(preset, graph);
      const preprocessPath = join(folder, `${preset}-preprocess.onnx`);
      await writeFile(preprocessPath, graph);
      await transformTable({ parquetPath, plan, preprocessPath, outPath: join(folder, `${preset}.npy`) });
    }
    const uniform = linearCongruential(ROWS, 3);
    const signal = uniform.map((noise, i) => Math.sin(i) + Number(i % 4 === 1) + noise);
    labels.set(
      'binary',
      Int32Array.from(signal, (value) => Number(value > 0.8)),
    );
    labels.set(
      'multiclass',
      Int32Array.from(signal, (value) => Number(value > 0.4) + Number(value > 1.2)),
    );
    labels.set('regression', Float32Array.from(signal));
    for (const [task, own] of labels) await writeNpy(join(folder, `${task}.npy`), own, [ROWS]);
    await runReference('train', folder);
    const reader = await connection.runAndReadAll(
      `SELECT coalesce(delay, 'nan'::DOUBLE) AS delay, member::DOUBLE AS member, coalesce(job, '') AS job,
         epoch("at") AS "at", coalesce(note, '') AS note FROM '${parquetPath}'`,
    );
    inputs = z
      .record(z.string(), z.union([z.array(z.number().or(z.nan())), z.array(z.string())]))
      .parse(reader.getColumnsObjectJS());
  });

  afterAll(async () => {
    connection.closeSync();
    await rm(folder, { recursive: true, force: true });
  });

  const membersOf = (task: Task): Promise<EnsembleMember[]> =>
    Promise.all(
      MEMBERS.map(async ([name, preset]) => ({
        name,
        preprocess: preprocess.get(preset) ?? new Uint8Array(),
        model: await readFile(join(folder, `${name}-${task}.onnx`)),
      })),
    );

  /** Answers to all rows; the model stays in the folder. */
  async function score(name: string, { onnx }: ReturnType<typeof composeModel>): Promise<Float64Array> {
    await writeFile(join(folder, `${name}.onnx`), onnx);
    return Float64Array.from((await answersOf(onnx, inputs)).values);
  }

  it('of trees and linear models become one that answers as they do together', async () => {
    const opsets = ['tree', 'linear'].map((preset) => {
      const { opsetImport } = readModel(preprocess.get(preset) ?? new Uint8Array());
      return Number(opsetImport.find(({ domain }) => domain === '')?.version);
    });
    expect(opsets).toEqual([17, 20]);
    for (const task of TASKS) {
      const classes = CLASSES[task];
      const options = optionsOf(task);
      const members = await membersOf(task);
      const alone: Float64Array[] = [];
      for (const { name, ...own } of members)
        alone.push(await score(`alone-${name}-${task}`, composeModel(own.preprocess, own.model, options)));
      const truth = labels.get(task) ?? new Int32Array();
      const stack = fitStack(classes, truth, alone);
      const combinations: Combination[] = [{ method: 'average' }, stack];
      for (const combination of combinations) {
        const together = applyCombination(combination, task, 3, alone);
        const calibrations: (Calibration | undefined)[] = [undefined];
        if (truth instanceof Int32Array)
          for (const method of ['platt', 'isotonic'] as const)
            calibrations.push(fitCalibration(method, classes, truth, together));
        for (const calibration of calibrations) {
          const name = `${combination.method}-${calibration?.method ?? 'plain'}-${task}`;
          const composed = composeEnsemble(members, combination, {
            ...options,
            ...(calibration ? { calibration } : {}),
          });
          const found = await score(name, composed);
          const expected = calibration ? applyCalibration(calibration, together) : together;
          expect(apart(found, expected), name).toBeLessThan(2e-6);
          ours.set(name, found);
        }
      }
    }
  });

  it('answer the same in MLflow', async () => {
    const names = ['stack-isotonic-binary', 'average-platt-multiclass', 'stack-plain-regression'];
    const columns = Object.entries(inputs);
    const json = `{${columns
      .map(
        ([key, values]) =>
          `${JSON.stringify(key)}: [${Array.from<unknown>(values).map(pythonJson).join(',')}]`,
      )
      .join(',')}}`;
    await writeFile(join(folder, 'inputs.json'), json);
    await runReference('run', folder, JSON.stringify(names));
    const answers = z
      .record(z.string(), z.record(z.string(), z.array(z.union([z.number(), z.string()]))))
      .parse(JSON.parse(await readFile(join(folder, 'answers.json'), 'utf8')));
    for (const name of names) {
      const found = Object.entries(answers[name] ?? {}).filter(([output]) => output !== 'label');
      const flat = Array.from({ length: ROWS }, (_, row) =>
        found.map(([, values]) => Number(values[row])),
      ).flat();
      expect(apart(flat, ours.get(name) ?? []), name).toBeLessThan(1e-6);
    }
  });
});

const pythonJson = (value: unknown): string =>
  typeof value === 'number' && Number.isNaN(value) ? 'NaN' : JSON.stringify(value);
