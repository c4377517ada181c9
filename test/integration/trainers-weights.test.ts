import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TrainerName } from '../../contracts/spec/candidates.ts';
import type { TrainerRequest } from '../../contracts/trainer.ts';
import { writeNpy } from '../../lib/npy.ts';
import {
  FEATURES,
  predict,
  requestFor,
  sample,
  scratchFolder,
  someTask,
  TRAINERS,
  train,
} from './trainers-support.ts';

let folder = { path: '', remove: async () => {} };
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => folder.remove());

describe('weights of the training rows', () => {
  it.each(TRAINERS)(
    'draw the answers of %s to the rows that count more',
    async (trainer) => {
      const task = someTask(trainer);
      const { validation: _unused, ...request } = await requestFor(trainer, task, folder.path, {
        maxIterations: 10,
      });
      const data = sample('regression', 800, 1);
      const high = Array.from(data.labels, (value) => value > 80);
      // One row in about ten is of class 1.
      if (task === 'binary') await writeNpy(request.train.labels, Int32Array.from(high, Number), [800]);
      const weights = `${folder.path}/weights.npy`;
      await writeNpy(
        weights,
        Float32Array.from(high, (is) => (is ? 10 : 1)),
        [800],
      );
      const mean = async (changed: TrainerRequest) => {
        const { modelPath } = await train(trainer, changed, folder.path);
        const { values } = await predict(modelPath, data);
        const answers = task === 'binary' ? values.filter((_, index) => index % 2 === 1) : values;
        return answers.reduce((sum, value) => sum + value, 0) / 800;
      };
      const plain = await mean(request);
      const weighted = await mean({ ...request, train: { ...request.train, weights } });
      expect(weighted).toBeGreaterThan(1.01 * plain);
    },
    60_000,
  );
});

describe('weights of the validation rows', () => {
  it.each(TRAINERS)(
    'of 0 leave a row out for %s',
    async (trainer) => {
      const task = someTask(trainer);
      const request = await requestFor(trainer, task, folder.path, { parameters: eager(trainer), rows: 300 });
      const data = sample(task, 300, 2);
      const file = (name: string) => `${folder.path}/${name}.npy`;
      await writeNpy(
        file('weights'),
        Float32Array.from({ length: 300 }, (_, row) => Number(row < 100)),
        [300],
      );
      await writeNpy(file('first-x'), data.features.slice(0, 100 * FEATURES), [100, FEATURES]);
      await writeNpy(file('first-y'), data.labels.slice(0, 100), [100]);
      const told = async (validation: TrainerRequest['validation']) => {
        const { events, result } = await train(trainer, { ...request, validation }, folder.path);
        const last = events.findLast((event) => event.event === 'progress');
        return { metrics: last?.event === 'progress' ? last.metrics : {}, best: result.bestIteration };
      };
      const all = { features: file('validation-x'), labels: file('validation-y') };
      const weighted = await told({ ...all, weights: file('weights') });
      const fewer = await told({ features: file('first-x'), labels: file('first-y') });
      expect(weighted.best).toBe(fewer.best);
      for (const [name, value] of Object.entries(fewer.metrics)) {
        expect(weighted.metrics[name]).toBeCloseTo(value, 5);
      }
      const plain = await told(all);
      const metric = `validation_${task === 'binary' ? 'log_loss' : 'rmse'}`;
      expect(plain.metrics[metric]).not.toBeCloseTo(fewer.metrics[metric] ?? 0, 5);
    },
    60_000,
  );

  const eager = (trainer: TrainerName): TrainerRequest['parameters'] =>
    trainer === 'mlp' ? { learning_rate: 0.01, batch_size: 64, hidden: '16' } : {};
});
