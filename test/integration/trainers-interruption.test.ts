import { copyFile, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TrainerName } from '../../contracts/spec/candidates.ts';
import type { TrainerEvent, TrainerRequest } from '../../contracts/trainer.ts';
import { ITERATIVE, killed, predict, requestFor, sample, scratchFolder, train } from './trainers-support.ts';

let folder = { path: '', remove: async () => {} };
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => folder.remove());

/** Parameters without sampling and early stopping: the whole training depends on its data alone. */
const STEADY: Record<(typeof ITERATIVE)[number], TrainerRequest['parameters']> = {
  lightgbm: { early_stopping_rounds: 0, bagging_freq: 0, feature_fraction: 1, learning_rate: 0.02 },
  xgboost: { early_stopping_rounds: 0, subsample: 1, colsample_bytree: 1, learning_rate: 0.02 },
  random_forest: {},
  gradient_boosting: { early_stopping_rounds: 0, learning_rate: 0.02 },
  mlp: { early_stopping_rounds: 0, hidden: '8', batch_size: 32 },
};
const ENDLESS = 1_000_000;

/** Aborts at the third progress event; gives what was told until the end. */
async function interrupted(trainer: TrainerName, request: TrainerRequest): Promise<TrainerEvent[]> {
  const controller = new AbortController();
  const reason = new Error('The activity was cancelled.');
  const events: TrainerEvent[] = [];
  const run = train(trainer, request, folder.path, {
    signal: controller.signal,
    onEvent: (event) => {
      events.push(event);
      if (events.filter(({ event: kind }) => kind === 'progress').length === 3) controller.abort(reason);
    },
  });
  await expect(run).rejects.toBe(reason);
  return events;
}

describe.each(ITERATIVE)('%s', (trainer) => {
  it('saves its work when it is told to stop', async () => {
    const request = await requestFor(trainer, 'binary', folder.path, {
      maxIterations: ENDLESS,
      parameters: STEADY[trainer],
    });
    // Trees are reported a thousand times in all: early, and long before the end.
    const often = trainer === 'mlp' ? request : { ...request, maxIterations: 200_000 };
    const events = await interrupted(trainer, often);
    const last = events.at(-1);
    const progress = events.findLast((event) => event.event === 'progress');
    if (last?.event !== 'checkpoint' || progress?.event !== 'progress')
      throw new Error('No checkpoint at the end.');
    expect(last.iteration).toBeGreaterThanOrEqual(progress.iteration);
    expect((await stat(last.path)).size).toBeGreaterThan(100);
    await expect(stat(join(request.outputDir, 'result.json'))).rejects.toThrow(/ENOENT/);
  });

  it('goes on from its last checkpoint after a kill, and ends where an undisturbed training ends', async () => {
    const parameters = STEADY[trainer];
    const request = await requestFor(trainer, 'regression', folder.path, {
      maxIterations: ENDLESS,
      parameters,
    });
    const checkpoint = await killed(trainer, request, folder.path);
    const maxIterations = checkpoint.iteration + 5;
    const resumed = await train(
      trainer,
      { ...request, maxIterations, resumeFrom: checkpoint.path, outputDir: join(folder.path, 'resumed') },
      folder.path,
    );
    const whole = await train(
      trainer,
      { ...request, maxIterations, outputDir: join(folder.path, 'whole') },
      folder.path,
    );

    expect(resumed.result.iterations).toBe(maxIterations);
    const first = resumed.events.find((event) => event.event === 'progress');
    expect(first?.event === 'progress' ? first.iteration : 0).toBeGreaterThan(checkpoint.iteration);
    if (trainer === 'mlp' || trainer === 'random_forest' || trainer === 'xgboost') {
      expect((await readFile(resumed.modelPath)).equals(await readFile(whole.modelPath))).toBe(true);
    } else {
      const data = sample('regression', 200, 5);
      const one = await predict(resumed.modelPath, data);
      const two = await predict(whole.modelPath, data);
      const furthest = Math.max(
        ...one.values.map((value, row) => Math.abs(value - (two.values[row] ?? Number.NaN))),
      );
      expect(furthest).toBeLessThan(1e-2);
      const spread = Math.max(...two.values) - Math.min(...two.values);
      expect(spread).toBeGreaterThan(1);
    }
  });

  it('has nothing to do from a checkpoint at the limit, and still gives the model', async () => {
    const request = await requestFor(trainer, 'multiclass', folder.path, {
      maxIterations: 4,
      parameters: STEADY[trainer],
    });
    const env = { PERENNIAL_CHECKPOINT_SECONDS: '0' };
    const whole = await train(trainer, request, folder.path, { env });
    const checkpoint = whole.events.findLast((event) => event.event === 'checkpoint');
    if (checkpoint?.event !== 'checkpoint') throw new Error('No checkpoint.');
    // Another folder, as on another machine: nothing of the first attempt is there but the checkpoint.
    const elsewhere = await scratchFolder();
    try {
      const moved = join(elsewhere.path, 'kept');
      await copyFile(checkpoint.path, moved);
      const again = await requestFor(trainer, 'multiclass', elsewhere.path, {
        maxIterations: 4,
        parameters: STEADY[trainer],
        resumeFrom: moved,
      });
      const resumed = await train(trainer, again, elsewhere.path);
      expect(resumed.result.iterations).toBe(4);
      expect((await readFile(resumed.modelPath)).equals(await readFile(whole.modelPath))).toBe(true);
    } finally {
      await elsewhere.remove();
    }
  });

  it('begins no iteration when its time is used up, and still gives a model', async () => {
    const request = await requestFor(trainer, 'binary', folder.path, {
      maxIterations: ENDLESS,
      parameters: STEADY[trainer],
      maxSeconds: 0.001,
    });
    const env = { PERENNIAL_CHECKPOINT_SECONDS: '0' };
    const { result, events, modelPath } = await train(trainer, request, folder.path, { env });
    expect(result).toMatchObject({ iterations: 1, bestIteration: 1 });
    expect(events.findLast((event) => event.event === 'log')?.message).toMatch(
      /^The time is used up after 1 /,
    );
    // A resumed training has a model already.
    const checkpoint = events.findLast((event) => event.event === 'checkpoint');
    if (checkpoint?.event !== 'checkpoint') throw new Error('No checkpoint.');
    const first = await readFile(modelPath);
    const resumed = await train(trainer, { ...request, resumeFrom: checkpoint.path }, folder.path);
    expect(resumed.result.iterations).toBe(1);
    expect((await readFile(resumed.modelPath)).equals(first)).toBe(true);
  });
});

const SOLVERS = [
  ['logistic', 'multiclass', {}, 3],
  ['logistic', 'binary', { penalty: 'elasticnet' }, 3],
  ['linear', 'regression', { penalty: 'l1', tol: 1e-12 }, 2],
] as const;

describe.each(SOLVERS)('%s, %s, %j', (trainer, task, parameters, few) => {
  it('goes on from a checkpoint', async () => {
    const request = await requestFor(trainer, task, folder.path, { maxIterations: few, parameters });
    const env = { PERENNIAL_CHECKPOINT_SECONDS: '0' };
    const short = await train(trainer, request, folder.path, { env });
    const checkpoint = short.events.find((event) => event.event === 'checkpoint');
    if (checkpoint?.event !== 'checkpoint') throw new Error('No checkpoint.');
    expect(checkpoint.iteration).toBe(few);
    const at = (name: string) => join(folder.path, name);
    const more = { ...request, maxIterations: 200 };
    const resumed = await train(
      trainer,
      { ...more, resumeFrom: checkpoint.path, outputDir: at('resumed') },
      folder.path,
    );
    const whole = await train(trainer, { ...more, outputDir: at('whole') }, folder.path);
    expect(resumed.result.iterations).toBeGreaterThan(few);
    const data = sample(task, 200, 5);
    const one = await predict(resumed.modelPath, data);
    const two = await predict(whole.modelPath, data);
    one.values.forEach((value, index) => {
      expect(Math.abs(value - (two.values[index] ?? Number.NaN))).toBeLessThan(0.01);
    });
  });

  it('begins no further iterations when its time is used up', async () => {
    const request = await requestFor(trainer, task, folder.path, {
      maxIterations: 1000,
      parameters: { ...parameters, tol: 1e-30 },
      maxSeconds: 0.001,
    });
    const { result, events } = await train(trainer, request, folder.path);
    expect(result.iterations).toBeLessThanOrEqual(25);
    expect(events.filter((event) => event.event === 'progress')).toHaveLength(1);
  });
});
