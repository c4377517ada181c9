import { readFile } from 'node:fs/promises';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeNpy } from '../../lib/npy.ts';
import { trainedGraph } from '../../lib/onnx/trained-graph.ts';
import {
  FEATURES,
  predict,
  requestFor,
  sample,
  scratchFolder,
  TASKS,
  TRAINERS,
  type TrainingRun,
  tasksOf,
  train,
} from './trainers-support.ts';

const cases = TRAINERS.flatMap((trainer) => tasksOf(trainer).map((task) => ({ trainer, task })));

describe.each(cases)('$trainer, $task', ({ trainer, task }) => {
  const folders: { path: string; remove: () => Promise<void> }[] = [];
  const runs: TrainingRun[] = [];
  beforeAll(async () => {
    folders.push(await scratchFolder(), await scratchFolder());
    const parameters = trainer === 'mlp' ? { learning_rate: 0.01, batch_size: 64, hidden: '16' } : {};
    runs.push(
      ...(await Promise.all(
        folders.map(async ({ path }) =>
          train(trainer, await requestFor(trainer, task, path, { parameters }), path),
        ),
      )),
    );
  }, 60_000);
  afterAll(async () => {
    for (const folder of folders) await folder.remove();
  });
  const first = (): TrainingRun => {
    const [run] = runs;
    if (!run) throw new Error('The training did not run.');
    return run;
  };

  it('learns: its model beats a constant on rows that it never saw', async () => {
    const data = sample(task, 1000, 3);
    const { name, dims, values } = await predict(first().modelPath, data);
    if (task === 'regression') {
      expect(name).toBe('prediction');
      expect(dims).toEqual([1000, 1]);
      const labels = Array.from(data.labels);
      const mean = labels.reduce((sum, label) => sum + label, 0) / data.rows;
      const error = (predicted: (row: number) => number) =>
        labels.reduce((sum, label, row) => sum + (label - predicted(row)) ** 2, 0);
      expect(error((row) => values[row] ?? Number.NaN)).toBeLessThan(0.3 * error(() => mean));
      return;
    }
    const classes = task === 'binary' ? 2 : 3;
    expect(name).toBe('probabilities');
    expect(dims).toEqual([1000, classes]);
    const counts = new Array<number>(classes).fill(0);
    let hits = 0;
    data.labels.forEach((label, row) => {
      const probabilities = [...values.subarray(row * classes, (row + 1) * classes)];
      expect(probabilities.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
      hits += Number(probabilities.indexOf(Math.max(...probabilities)) === label);
      counts[label] = (counts[label] ?? 0) + 1;
    });
    const baseline = Math.max(...counts) / data.rows;
    expect(1 - hits / data.rows).toBeLessThan(0.6 * (1 - baseline));
  });

  it('gives the same bytes for the same seed', async () => {
    const [one, two] = await Promise.all(runs.map(({ modelPath }) => readFile(modelPath)));
    expect(one?.length).toBeGreaterThan(100);
    expect(one?.equals(two ?? Buffer.alloc(0))).toBe(true);
  });

  it.each([17, 20])('gives a graph that can be joined to features of opset %i', async (opset) => {
    const classes = { binary: 2, multiclass: 3, regression: 0 }[task];
    const graph = trainedGraph(await readFile(first().modelPath), task, FEATURES, classes, opset);
    expect(graph.output).toBe(task === 'regression' ? 'prediction' : 'probabilities');
  });

  it('reports progress with both parts of the data', () => {
    const progress = first().events.filter((event) => event.event === 'progress');
    const metric = task === 'regression' ? 'rmse' : 'log_loss';
    expect(progress.length).toBeGreaterThan(0);
    for (const { metrics } of progress) {
      expect(metrics).toHaveProperty(`train_${metric}`);
      expect(metrics).toHaveProperty(`validation_${metric}`);
    }
    if (task === 'binary' && trainer !== 'mlp') {
      expect(progress.at(-1)?.metrics.validation_auc).toBeGreaterThan(0.9);
    }
  });

  it('tells what ran', () => {
    const { result } = first();
    expect(result.iterations).toBeGreaterThan(0);
    expect(result.bestIteration).toBeLessThanOrEqual(result.iterations);
    expect(Object.keys(result.parameters).length).toBeGreaterThan(1);
    expect(Object.keys(result.libraries).length).toBeGreaterThan(1);
  });
});

describe('missing values', () => {
  const both = (['lightgbm', 'xgboost'] as const).flatMap((trainer) =>
    TASKS.map((task) => ({ trainer, task })),
  );
  it.each(both)(
    '$trainer learns from them, its graph sends them where it does: $task',
    async ({ trainer, task }) => {
      const { path, remove } = await scratchFolder();
      try {
        const request = await requestFor(trainer, task, path);
        const { features, labels, rows } = sample(task, 800, 1);
        // The first feature says most; here it is missing just where it is large.
        const holed = features.map((value, at) => (at % FEATURES === 0 && value > 0.5 ? Number.NaN : value));
        await writeNpy(request.train.features, holed, [rows, FEATURES]);
        await writeNpy(request.train.labels, labels, [rows]);
        // The trainer itself compares its graph with the library on such rows, and ends with an error where they differ.
        const { modelPath } = await train(trainer, request, path);
        const row = (first: number) => Float32Array.from([first, 0, 0, 0, 0, 0]);
        const answer = async (first: number) =>
          (
            await predict(modelPath, { features: row(first), labels: new Float32Array(1), rows: 1 })
          ).values.at(-1) ?? 0;
        expect(await answer(Number.NaN)).toBeGreaterThan(await answer(-1));
      } finally {
        await remove();
      }
    },
  );
});

describe('neighbours that count by their distance', () => {
  it.each(TASKS)('answer a row that they know with what they know: %s', async (task) => {
    const { path, remove } = await scratchFolder();
    try {
      const request = await requestFor('knn', task, path, { parameters: { weights: 'distance' } });
      const { modelPath } = await train('knn', request, path);
      const classes = { binary: 2, multiclass: 3, regression: 0 }[task];
      trainedGraph(await readFile(modelPath), task, FEATURES, classes, 20);
      const data = sample(task, 800, 1);
      const { values } = await predict(modelPath, data);
      data.labels.forEach((label, row) => {
        if (task === 'regression') expect(values[row]).toBeCloseTo(label, 3);
        else expect(values[row * classes + label]).toBeCloseTo(1, 5);
      });
    } finally {
      await remove();
    }
  });
}, 60_000);

describe('early stopping', () => {
  it.each(['lightgbm', 'xgboost', 'gradient_boosting', 'mlp'] as const)(
    'keeps the best iteration of %s',
    async (trainer) => {
      const folder = await scratchFolder();
      try {
        const parameters =
          trainer === 'mlp'
            ? { early_stopping_rounds: 3, learning_rate: 0.05, batch_size: 32 }
            : { early_stopping_rounds: 3, learning_rate: 0.5 };
        const request = await requestFor(trainer, 'binary', folder.path, {
          parameters,
          maxIterations: 500,
          rows: 300,
        });
        const { result } = await train(trainer, request, folder.path);
        expect(result.iterations).toBeLessThan(500);
        expect(result.iterations - result.bestIteration).toBe(3);
      } finally {
        await folder.remove();
      }
    },
    60_000,
  );
});

describe('a class that no row has', () => {
  const classifiers = TRAINERS.filter((trainer) => trainer !== 'linear' && trainer !== 'mlp');
  it.each(classifiers)(
    'is never predicted by %s, be there two others or three',
    async (trainer) => {
      const folder = await scratchFolder();
      try {
        for (const [absent, others] of [
          [1, 2],
          [3, 3],
        ] as const) {
          const request = await requestFor(trainer, 'multiclass', folder.path, {
            classNames: ['a', 'b', 'c', 'd'].slice(0, others + 1),
          });
          const data = sample('multiclass', 800, 1);
          const there = data.labels.map((label) => (label === absent ? 0 : label));
          await writeNpy(request.train.labels, Int32Array.from(there), [800]);
          const { validation: _unused, ...alone } = request;
          const { modelPath } = await train(trainer, alone, folder.path);
          const { values } = await predict(modelPath, data);
          const of = values.filter((_, index) => index % (others + 1) === absent);
          expect(Math.max(...of)).toBeLessThan(1e-3);
        }
      } finally {
        await folder.remove();
      }
    },
    60_000,
  );
});

describe('numbers that float32 can just tell apart', () => {
  it.each([
    ['lightgbm', { min_child_samples: 1, learning_rate: 0.5, bagging_freq: 0, feature_fraction: 1 }],
    ['xgboost', { min_child_weight: 0, learning_rate: 0.5, subsample: 1, colsample_bytree: 1 }],
    ['random_forest', {}],
    ['gradient_boosting', { learning_rate: 0.5 }],
  ] as const)(
    'are told apart by the exported trees as by the trained ones: %s',
    async (trainer, parameters) => {
      const folder = await scratchFolder();
      try {
        const { validation: _unused, ...request } = await requestFor(trainer, 'binary', folder.path, {
          parameters,
          rows: 200,
          featureNames: ['close'],
        });
        // The middle of the two, as a double, is rounded to the upper one by rounding to nearest (even).
        const [lower, upper] = [4 + 2 ** -21, 4 + 2 ** -20];
        const labels = Int32Array.from({ length: 200 }, (_, row) => row % 2);
        await writeNpy(
          request.train.features,
          Float32Array.from(labels, (label) => (label ? upper : lower)),
          [200, 1],
        );
        await writeNpy(request.train.labels, labels, [200]);
        const { modelPath } = await train(trainer, request, folder.path);
        const session = await InferenceSession.create(modelPath);
        const answer = await session.run({ features: new Tensor('float32', [lower, upper], [2, 1]) });
        const [, low = 1, , high = 0] = answer.probabilities?.data ?? [];
        expect(Number(low)).toBeLessThan(0.1);
        expect(Number(high)).toBeGreaterThan(0.9);
        await session.release();
      } finally {
        await folder.remove();
      }
    },
    30_000,
  );
});
