import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TrainerEvent, TrainerRequest } from '../../contracts/trainer.ts';
import { writeNpy } from '../../lib/npy.ts';
import {
  killed,
  predict,
  requestFor,
  sample,
  scratchFolder,
  TASKS,
  type TrainingRun,
  train,
} from './trainers-support.ts';

let folder = { path: '', remove: async () => {} };
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => folder.remove());

const OPTIMIZERS = ['adam', 'sgd'] as const;
const FAST = { learning_rate: 0.1, batch_size: 32 };

const trained = (request: TrainerRequest, env: Record<string, string> = {}): Promise<TrainingRun> =>
  train('tfjs_linear', request, folder.path, { env });

/** The model gives straight lines: what it says of a mean of rows is the mean of what it says of them. */
async function expectLinear(modelPath: string): Promise<void> {
  const [a, b] = [sample('regression', 50, 8), sample('regression', 50, 9)];
  const middle = a.features.map((value, at) => (value + (b.features[at] ?? 0)) / 2);
  const [one, two, both] = await Promise.all(
    [a.features, b.features, middle].map(
      async (features) => (await predict(modelPath, { ...a, features })).values,
    ),
  );
  both?.forEach((value, row) => {
    expect(value).toBeCloseTo(((one?.[row] ?? Number.NaN) + (two?.[row] ?? Number.NaN)) / 2, 3);
  });
}

describe.each(OPTIMIZERS)(
  'tfjs_linear by %s',
  (optimizer) => {
    it.each(TASKS)('learns: %s', async (task) => {
      const request = await requestFor('tfjs_linear', task, folder.path, {
        parameters: { optimizer, ...FAST },
      });
      const { result, events, modelPath } = await trained(request);
      expect(result.parameters).toMatchObject({ optimizer, ...FAST, l2: 0.0001 });
      expect(result.parameters).not.toHaveProperty('hidden');
      const losses = events.flatMap((event) => (event.event === 'progress' ? [event.metrics] : []));
      const metric = task === 'regression' ? 'rmse' : 'log_loss';
      expect(losses[0]).toHaveProperty(`train_${metric}`);
      // Guessing costs ln 2, ln 3 and the deviation of the target, 10 times that of its score.
      const bound = { binary: 0.3, multiclass: 0.6, regression: 8 }[task];
      const best = Math.min(...losses.map((metrics) => metrics[`validation_${metric}`] ?? Number.NaN));
      expect(best).toBeLessThan(bound);
      if (task === 'regression') await expectLinear(modelPath);
    });

    it('goes on from its last checkpoint after a kill, and gives the very bytes of an undisturbed training', async () => {
      const parameters = { optimizer, batch_size: 32, early_stopping_rounds: 0 };
      const request = await requestFor('tfjs_linear', 'multiclass', folder.path, {
        parameters,
        maxIterations: 1_000_000,
      });
      const checkpoint = await killed('tfjs_linear', request, folder.path);
      const maxIterations = checkpoint.iteration + 5;
      const at = (name: string) => join(folder.path, name);
      const resumed = await trained({
        ...request,
        maxIterations,
        resumeFrom: checkpoint.path,
        outputDir: at('resumed'),
      });
      const whole = await trained({ ...request, maxIterations, outputDir: at('whole') });
      expect(resumed.result.iterations).toBe(maxIterations);
      const first = resumed.events.find((event) => event.event === 'progress');
      expect(first?.event === 'progress' ? first.iteration : 0).toBeGreaterThan(checkpoint.iteration);
      expect((await readFile(resumed.modelPath)).equals(await readFile(whole.modelPath))).toBe(true);
    });
  },
  60_000,
);

describe('tfjs_linear', () => {
  it('counts rows by their weight', async () => {
    const request = await requestFor('tfjs_linear', 'regression', folder.path, {
      parameters: FAST,
      rows: 200,
      featureNames: ['only'],
    });
    // Rows of weight 0 say the opposite of the others.
    const side = (row: number) => (row % 2 ? 1 : -1);
    const rows = Array.from({ length: 200 }, (_, row) => row);
    const weights = join(folder.path, 'weights.npy');
    await writeNpy(
      request.train.features,
      Float32Array.from(rows, (row) => row / 100 - 1),
      [200, 1],
    );
    await writeNpy(
      request.train.labels,
      Float32Array.from(rows, (row) => side(row) * (row / 100 - 1)),
      [200],
    );
    await writeNpy(
      weights,
      Float32Array.from(rows, (row) => Number(side(row) > 0)),
      [200],
    );
    const { validation: _unused, ...alone } = request;
    const { modelPath } = await trained({ ...alone, train: { ...request.train, weights } });
    const slope = async (value: number) => {
      const session = await InferenceSession.create(modelPath);
      const { prediction } = await session.run({ features: new Tensor('float32', [value], [1, 1]) });
      await session.release();
      return Number(prediction?.data[0]);
    };
    expect((await slope(1)) - (await slope(0))).toBeCloseTo(1, 1);
  });

  it('saves its work when it is told to stop', async () => {
    const request = await requestFor('tfjs_linear', 'binary', folder.path, {
      parameters: { early_stopping_rounds: 0 },
      maxIterations: 1_000_000,
    });
    const controller = new AbortController();
    const reason = new Error('The activity was cancelled.');
    const events: TrainerEvent[] = [];
    const run = train('tfjs_linear', request, folder.path, {
      signal: controller.signal,
      onEvent: (event) => {
        events.push(event);
        if (event.event === 'progress' && event.iteration === 3) controller.abort(reason);
      },
    });
    await expect(run).rejects.toBe(reason);
    const last = events.at(-1);
    expect(last).toMatchObject({ event: 'checkpoint' });
    if (last?.event === 'checkpoint')
      expect(JSON.parse(await readFile(last.path, 'utf8'))).toHaveProperty('state');
  });

  it('stops where it does not get better, and keeps the best epoch', async () => {
    const request = await requestFor('tfjs_linear', 'binary', folder.path, {
      parameters: { ...FAST, early_stopping_rounds: 3 },
      maxIterations: 500,
      rows: 200,
    });
    const { result } = await trained(request);
    expect(result.iterations).toBeLessThan(500);
    expect(result.iterations - result.bestIteration).toBe(3);
  });

  it.each([
    [{ hidden: '8' }, /The parameter "hidden" is unknown\. Allowed: batch_size, early_stopping_rounds, l2/],
    [{ optimiser: 'sgd' }, /"optimiser" is unknown\. Did you mean "optimizer"\?/],
    [{ optimizer: 'adagrad' }, /The parameter "optimizer"/],
    [{ optimizer: 'sgd', learning_rate: 1, l2: 1e9 }, /The training diverged\. Lower learning_rate\./],
  ])('refuses %j', async (parameters, words) => {
    const request = await requestFor('tfjs_linear', 'binary', folder.path, { parameters, rows: 100 });
    const { validation: _unused, ...alone } = request;
    await expect(trained(alone)).rejects.toThrow(words);
  });
}, 60_000);
