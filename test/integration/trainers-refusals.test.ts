import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PRESET_OF, type TrainerName } from '../../contracts/spec/candidates.ts';
import type { TrainerRequest } from '../../contracts/trainer.ts';
import { writeNpy } from '../../lib/npy.ts';
import { FEATURES, requestFor, scratchFolder, someTask, TRAINERS, train } from './trainers-support.ts';

let folder = { path: '', remove: async () => {} };
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => folder.remove());

/** The message that a trainer leaves with; fails the test where it trains. */
async function refusal(trainer: TrainerName, request: TrainerRequest): Promise<string> {
  const error = await train(trainer, request, folder.path).then(
    () => new Error('It trained.'),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'PerennialError', code: 'TrainerFailed', retryable: false });
  return error instanceof Error ? error.message : '';
}

const MISSPELT: Record<TrainerName, readonly [wrong: string, right: string]> = {
  lightgbm: ['num_leafs', 'num_leaves'],
  xgboost: ['max_dept', 'max_depth'],
  random_forest: ['min_samples_leafs', 'min_samples_leaf'],
  gradient_boosting: ['learningrate', 'learning_rate'],
  knn: ['n_neighbours', 'n_neighbors'],
  logistic: ['standardise', 'standardize'],
  linear: ['l1ratio', 'l1_ratio'],
  mlp: ['batchsize', 'batch_size'],
  tfjs_linear: ['batchsize', 'batch_size'],
};

describe.each(TRAINERS)('%s refuses', (trainer) => {
  it('an unknown parameter, with the nearest right word', async () => {
    const [wrong, right] = MISSPELT[trainer];
    const parameters = { [wrong]: 3 };
    const message = await refusal(
      trainer,
      await requestFor(trainer, someTask(trainer), folder.path, { parameters }),
    );
    expect(message).toContain(
      `ended with code 2. The parameter "${wrong}" is unknown. Did you mean "${right}"? Allowed: `,
    );
    expect(message).not.toContain('Traceback');
  });

  // Trees know what to do with a missing value, but nobody with an infinite one.
  it('values that it cannot take, naming the feature', async () => {
    const request = await requestFor(trainer, someTask(trainer), folder.path, { rows: 20 });
    const features = new Float32Array(20 * FEATURES).fill(0.5);
    const tree = PRESET_OF[trainer] === 'tree';
    features[3 * FEATURES + 2] = tree ? Infinity : Number.NaN;
    await writeNpy(request.train.features, features, [20, FEATURES]);
    const message = await refusal(trainer, request);
    expect(message).toContain(
      `The training features hold ${tree ? '' : 'missing or '}infinite values in "column 2". Impute them`,
    );
  });

  it('files that do not fit together', async () => {
    const request = await requestFor(trainer, someTask(trainer), folder.path, { featureNames: ['one'] });
    expect(await refusal(trainer, request)).toContain(`have ${FEATURES} columns but 1 names`);
  });

  it('a checkpoint that is none', async () => {
    const resumeFrom = `${folder.path}/old`;
    await writeFile(resumeFrom, 'not a checkpoint');
    const request = await requestFor(trainer, someTask(trainer), folder.path, { resumeFrom });
    expect(await refusal(trainer, request)).toContain('Start again without resumeFrom');
  });
});

describe.each(TRAINERS.filter((trainer) => trainer !== 'linear'))('%s refuses', (trainer) => {
  it('labels that name no class', async () => {
    const request = await requestFor(trainer, 'multiclass', folder.path, { classNames: ['low', 'high'] });
    expect(await refusal(trainer, request)).toContain('labels must be class indices from 0 to 1');
  });

  it('a single class', async () => {
    const request = await requestFor(trainer, 'binary', folder.path, { rows: 30 });
    await writeNpy(request.train.labels, new Int32Array(30), [30]);
    expect(await refusal(trainer, request)).toContain('a single class');
  });
});

describe('parameters out of range', () => {
  it.each([
    ['lightgbm', { learning_rate: 0 }, 'The parameter "learning_rate" must be above 0 and at most 1, not 0.'],
    ['lightgbm', { num_leaves: 3.5 }, 'The parameter "num_leaves" must be a whole number, not 3.5.'],
    ['lightgbm', { class_weight: 'balanced' }, 'The parameter "class_weight" is unknown.'],
    ['xgboost', { grow_policy: 'wide' }, 'must be one of depthwise, lossguide, not "wide".'],
    ['random_forest', { max_features: 'all' }, 'must be sqrt or log2, or above 0 and at most 1, not'],
    ['knn', { n_neighbors: 0 }, 'The parameter "n_neighbors" must be at least 1 and at most 1000, not 0.'],
    ['logistic', { standardize: 1 }, 'The parameter "standardize" must be true or false.'],
    ['logistic', { C: 'big' }, 'The parameter "C" must be a number.'],
    ['mlp', { hidden: '64;32' }, 'The parameter "hidden"'],
  ] as const)('of %s are refused: %j', async (trainer, parameters, message) => {
    const request = await requestFor(trainer, 'binary', folder.path, { parameters, rows: 20 });
    expect(await refusal(trainer, request)).toContain(message);
  });
});

describe('a task that is not its own', () => {
  it.each([
    ['logistic', 'regression', 'The trainer logistic does not fit the task regression; use linear.'],
    ['linear', 'binary', 'The trainer linear does not fit the task binary; use logistic.'],
  ] as const)('is refused by %s', async (trainer, task, message) => {
    expect(await refusal(trainer, await requestFor(trainer, task, folder.path, { rows: 20 }))).toContain(
      message,
    );
  });
});

describe('a model of neighbours', () => {
  it('that would be too large is refused, with what to do', async () => {
    const columns = 20_000;
    const request = await requestFor('knn', 'binary', folder.path, {
      featureNames: Array.from({ length: columns }, (_, column) => `column ${column}`),
      rows: 1000,
    });
    await writeNpy(request.train.features, new Float32Array(1000 * columns), [1000, columns]);
    const { validation: _unused, ...alone } = request;
    expect(await refusal('knn', alone)).toContain(
      'would hold 1000 rows of 20000 features, 76 MiB, more than 64. Lower max_rows, or use fewer features.',
    );
  });
});
