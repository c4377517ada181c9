import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PRESET_OF } from '../../contracts/spec/candidates.ts';
import type { TrainerRequest } from '../../contracts/trainer.ts';
import { writeNpy } from '../../lib/npy.ts';
import { TRAINER_NAMES } from '../../trainers/catalog.ts';
import { FEATURES, requestFor, scratchFolder, train } from './trainers-support.ts';

let folder = { path: '', remove: async () => {} };
beforeEach(async () => {
  folder = await scratchFolder();
});
afterEach(() => folder.remove());

/** The message that a trainer leaves with; fails the test where it trains. */
async function refusal(trainer: (typeof TRAINER_NAMES)[number], request: TrainerRequest): Promise<string> {
  const error = await train(trainer, request, folder.path).then(
    () => new Error('It trained.'),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'PerennialError', code: 'TrainerFailed', retryable: false });
  return error instanceof Error ? error.message : '';
}

describe.each(TRAINER_NAMES)(
  '%s refuses',
  (trainer) => {
    it('an unknown parameter, with the nearest right word', async () => {
      const [wrong, right] = {
        lightgbm: ['num_leafs', 'num_leaves'],
        logistic: ['standardise', 'standardize'],
        mlp: ['batchsize', 'batch_size'],
      }[trainer] as [string, string];
      const message = await refusal(
        trainer,
        await requestFor(trainer, 'binary', folder.path, { parameters: { [wrong]: 3 } }),
      );
      expect(message).toContain(
        `ended with code 2. The parameter "${wrong}" is unknown. Did you mean "${right}"? Allowed: `,
      );
      expect(message).not.toContain('Traceback');
    });

    // Trees know what to do with a missing value, but nobody with an infinite one.
    it('values that it cannot take, naming the feature', async () => {
      const request = await requestFor(trainer, 'binary', folder.path, { rows: 20 });
      const features = new Float32Array(20 * FEATURES).fill(0.5);
      const tree = PRESET_OF[trainer] === 'tree';
      features[3 * FEATURES + 2] = tree ? Infinity : Number.NaN;
      await writeNpy(request.train.features, features, [20, FEATURES]);
      const message = await refusal(trainer, request);
      expect(message).toContain(
        `The training features hold ${tree ? '' : 'missing or '}infinite values in "column 2". Impute them`,
      );
    });

    it('labels that name no class', async () => {
      const request = await requestFor(trainer, 'multiclass', folder.path, { classNames: ['low', 'high'] });
      expect(await refusal(trainer, request)).toContain('labels must be class indices from 0 to 1');
    });

    it('a single class', async () => {
      const request = await requestFor(trainer, 'binary', folder.path, { rows: 30 });
      await writeNpy(request.train.labels, new Int32Array(30), [30]);
      expect(await refusal(trainer, request)).toContain('a single class');
    });

    it('files that do not fit together', async () => {
      const request = await requestFor(trainer, 'regression', folder.path, { featureNames: ['one'] });
      expect(await refusal(trainer, request)).toContain(`have ${FEATURES} columns but 1 names`);
    });

    it('a checkpoint that is none', async () => {
      const resumeFrom = `${folder.path}/old`;
      await writeFile(resumeFrom, 'not a checkpoint');
      const request = await requestFor(
        trainer,
        trainer === 'logistic' ? 'binary' : 'regression',
        folder.path,
        { resumeFrom },
      );
      expect(await refusal(trainer, request)).toContain('Start again without resumeFrom');
    });
  },
  30_000,
);

describe('parameters out of range', () => {
  it.each([
    ['lightgbm', { learning_rate: 0 }, 'The parameter "learning_rate" must be above 0 and at most 1, not 0.'],
    ['lightgbm', { num_leaves: 3.5 }, 'The parameter "num_leaves" must be a whole number, not 3.5.'],
    [
      'lightgbm',
      { class_weight: 'some' },
      'The parameter "class_weight" must be one of none, balanced, not "some".',
    ],
    ['logistic', { standardize: 1 }, 'The parameter "standardize" must be true or false.'],
    ['logistic', { C: 'big' }, 'The parameter "C" must be a number.'],
    ['mlp', { hidden: '64;32' }, 'The parameter "hidden"'],
  ] as const)('of %s are refused: %j', async (trainer, parameters, message) => {
    const request = await requestFor(trainer, 'binary', folder.path, { parameters, rows: 20 });
    expect(await refusal(trainer, request)).toContain(message);
  });
}, 30_000);
