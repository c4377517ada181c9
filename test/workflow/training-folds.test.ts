import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { executeUpdate } from '../../client/execute-update.ts';
import { UPDATES } from '../../contracts/names.ts';
import type { PreparedFold, TrainOutput } from '../../contracts/stages.ts';
import type { TrainingActivities, TrainingInput } from '../../contracts/training-activities.ts';
import { Gate } from '../support/gate.ts';
import { artifact, prepared, trainedTrial } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { nearOne, once, searched, startTraining, trainingInput } from '../support/training-scenario.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const FOLDS = 4;

/** A training with cross-validation, as prepare leaves it. */
function folded(input: TrainingInput): TrainingInput {
  const folds = Array.from({ length: FOLDS }, (_, fold): PreparedFold => {
    const { preprocess, featureNames, featureCount, train, validation } = prepared.variants.tree ?? failing();
    const labels = artifact(`labels of fold ${fold}`);
    return { preprocess, featureNames, featureCount, train, validation: { ...validation, labels } };
  });
  const variants = Object.fromEntries(
    Object.entries(prepared.variants).map(([preset, features]) => [preset, { ...features, folds }]),
  );
  return { ...input, prepared: { variants } };
}

const failing = (): never => {
  throw new Error('the sample has features for trees');
};

const CROSS = { crossValidation: { method: 'kfold', folds: FOLDS } };

const train = async (scenario: Scenario, input: TrainingInput): Promise<TrainOutput> =>
  (await startTraining(bench, scenario, folded(input))).result();

/** Uses all the time that it is given. */
const thorough: TrainingActivities['trainTrial'] = async (given) => {
  const answers = given.trial.fold === null ? null : artifact(`answers of fold ${given.trial.fold}`);
  return { ...(await nearOne(given)), answers, seconds: given.maxSeconds ?? 0 };
};

describe.concurrent('cross-validation', () => {
  it('trains each trial once a fold, the best one on the split, and hands the answers of the folds on', async () => {
    const scenario = new Scenario({ trainTrial: thorough });
    const output = await train(
      scenario,
      trainingInput([searched({ method: 'random' })], { ...CROSS, budget: { trials: 2 } }),
    );
    const folds = scenario.inputs('trainTrial').map(({ trial }) => trial.fold);
    expect(folds.filter((fold) => fold !== null).sort()).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    expect(folds.at(-1)).toBeNull();
    const [finish] = scenario.inputs('finishCandidate');
    expect(finish?.members[0]?.folds.map(({ labels }) => labels)).toEqual(
      Array.from({ length: FOLDS }, (_, fold) => artifact(`labels of fold ${fold}`)),
    );
    expect(output.search.used.trials).toBe(2);
  });

  it('shares the longest time of a trial among its folds', async () => {
    const scenario = new Scenario({ trainTrial: thorough });
    await train(scenario, trainingInput([once('a')], { ...CROSS, timeout: '1h' }));
    const [first, second, third, fourth, split] = scenario
      .inputs('trainTrial')
      .map(({ maxSeconds }) => maxSeconds);
    expect(first).toBe(900);
    // What the quick ones before did not use is theirs, too.
    expect(second).toBeGreaterThan(1_150);
    expect(third).toBeGreaterThan(1_700);
    expect(fourth).toBeGreaterThan(3_400);
    expect(split).toBe(3_600);
  });

  it('costs what all folds cost, and the training on the split', async () => {
    const scenario = new Scenario();
    scenario.let('trainTrial', async (given) => ({ ...(await thorough(given)), seconds: 9 }));
    const output = await train(
      scenario,
      trainingInput([searched({ method: 'random' })], {
        ...CROSS,
        parallelism: 1,
        resources: { cpu: { price: 100 } },
        budget: { trials: 100, cost: 1.5 },
      }),
    );
    // A trial of 36 seconds costs 1: the second one ends the search, and the split costs a quarter.
    expect(output.search).toMatchObject({ ended: 'cost', used: { trials: 2 } });
    expect(output.search.used.cost).toBeCloseTo(2.25, 9);
    // Twice what the longest fold took.
    expect(scenario.inputs('trainTrial').at(-1)?.maxSeconds).toBe(18);
  });

  it('is left in the middle of the folds by update stop, with the best so far', async () => {
    const scenario = new Scenario();
    const gate = new Gate();
    scenario.let('trainTrial', async (given) => {
      if (given.trial.number > 0 && given.trial.fold === 1) await gate.opened;
      return thorough(given);
    });
    const handle = await startTraining(
      bench,
      scenario,
      folded(trainingInput([searched({ method: 'random' })], { ...CROSS, parallelism: 1 })),
    );
    await eventually(
      async () => scenario.inputs('trainTrial').find(({ trial }) => trial.number === 1 && trial.fold === 1),
      'the second fold of the second trial',
    );
    await executeUpdate(handle, UPDATES.stop);
    gate.open();
    const output = await handle.result();
    expect(output.search).toMatchObject({ ended: 'stopped', candidates: [{ trained: 1, stopped: 1 }] });
    expect(scenario.inputs('trainTrial').at(-1)?.trial).toEqual({ candidate: 'a', number: 0, fold: null });
  });

  it('of a trial that fails in one fold counts for nothing', async () => {
    const scenario = new Scenario();
    scenario.let('trainTrial', async ({ candidate: { name, trainer }, trial }) => ({
      ...trainedTrial(name, trainer),
      validation: name === 'a' && trial.fold === 2 ? {} : { roc_auc: 0.8 },
    }));
    const output = await train(scenario, trainingInput([once('a'), once('b')], CROSS));
    expect(output.trained.map(({ name }) => name)).toEqual(['b']);
    expect(output.failed).toMatchObject([
      { name: 'a', error: expect.stringMatching(/roc_auc has no value/) },
    ]);
  });
});
