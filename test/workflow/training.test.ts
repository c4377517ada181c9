import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { executeUpdate } from '../../client/execute-update.ts';
import { UPDATES } from '../../contracts/names.ts';
import type { TrainOutput } from '../../contracts/stages.ts';
import type { TrainingInput } from '../../contracts/training-activities.ts';
import type { SearchReport } from '../../contracts/trials.ts';
import { failure } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { trained, trainedTrial } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { nearOne, once, searched, startTraining, trainingInput } from '../support/training-scenario.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const start = (scenario: Scenario, argument: TrainingInput) => startTraining(bench, scenario, argument);
const train = async (scenario: Scenario, argument: TrainingInput): Promise<TrainOutput> =>
  (await start(scenario, argument)).result();

describe.concurrent('the training of candidates', () => {
  it('trains as many at a time as the spec allows, and no more', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    let busy = 0;
    let most = 0;
    const scenario = new Scenario();
    scenario.let('trainTrial', async ({ candidate: { name, trainer } }) => {
      busy += 1;
      most = Math.max(most, busy);
      await sleep(40);
      busy -= 1;
      return trainedTrial(name, trainer);
    });
    const output = await train(scenario, trainingInput(names.map(once), { parallelism: 3 }));
    expect(most).toBe(3);
    expect(output.trained.map(({ name }) => name)).toEqual(names);
  });

  it('gives results in the order of the spec, whoever is done first', async () => {
    const first = new Gate();
    const scenario = new Scenario();
    scenario.let('trainTrial', async ({ candidate: { name, trainer } }) => {
      if (name === 'a' || name === 'b') await first.opened;
      if (name === 'd') first.open();
      if (name === 'b' || name === 'c')
        throw ApplicationFailure.nonRetryable(`${name} failed`, 'TrainerFailed');
      return trainedTrial(name, trainer);
    });
    const output = await train(scenario, trainingInput(['a', 'b', 'c', 'd'].map(once), { parallelism: 4 }));
    expect(output.trained.map(({ name }) => name)).toEqual(['a', 'd']);
    expect(output.failed.map(({ name }) => name)).toEqual(['b', 'c']);
  });

  it('trains a candidate again whose worker was lost', async () => {
    const scenario = new Scenario();
    let attempts = 0;
    scenario.let('trainTrial', async ({ candidate: { name, trainer } }) => {
      attempts += 1;
      if (attempts === 1) throw new Error('the process went away');
      return trainedTrial(name, trainer);
    });
    expect((await train(scenario, trainingInput([once('a')]))).failed).toEqual([]);
    expect(attempts).toBe(2);
  });

  it('fails a candidate whose model cannot be made, and no other', async () => {
    const scenario = new Scenario();
    scenario.let('finishCandidate', async ({ name }) => {
      if (name === 'a')
        throw ApplicationFailure.nonRetryable('operator Foo is not supported', 'ModelInvalid');
      return trained(name, 'logistic');
    });
    const output = await train(scenario, trainingInput(['a', 'b'].map(once)));
    expect(output.trained.map(({ name }) => name)).toEqual(['b']);
    expect(output.failed).toEqual([
      { name: 'a', trainer: 'logistic', error: 'operator Foo is not supported' },
    ]);
  });
});

describe.concurrent('the search', () => {
  it('begins with the defaults, and makes the model of the best trial', async () => {
    const scenario = new Scenario({ trainTrial: nearOne });
    const output = await train(
      scenario,
      trainingInput([searched({ method: 'random' })], { parallelism: 1, budget: { trials: 6 } }),
    );
    const given = scenario.inputs('trainTrial').map(({ parameters }) => Number(parameters.C ?? 10));
    expect(given[0]).toBe(10);
    expect(new Set(given).size).toBe(6);
    const best = given.reduce((a, b) => (Math.abs(Math.log10(b)) < Math.abs(Math.log10(a)) ? b : a));
    expect(scenario.inputs('finishCandidate')).toMatchObject([
      { members: [{ candidate: 'a', number: given.indexOf(best), outcome: { parameters: { C: best } } }] },
    ]);
    expect(output.search).toMatchObject({
      ended: 'trials',
      used: { trials: 6 },
      candidates: [{ name: 'a', trained: 6, stopped: 0, failed: 0 }],
    });
    expect(output.search.trials).toHaveLength(6);
  });

  it('gives the estimator the history, the defaults in force included, and trains what it proposes', async () => {
    const scenario = new Scenario({ trainTrial: nearOne });
    scenario.let('proposeTrials', async ({ count, history }) => ({
      proposals: Array.from({ length: count }, (_, i) => ({ C: 1 + history.length / 100 + i / 1000 })),
    }));
    await train(
      scenario,
      trainingInput([searched({ method: 'tpe', startup: 2 })], { parallelism: 1, budget: { trials: 5 } }),
    );
    const [first] = scenario.inputs('proposeTrials');
    expect(first).toMatchObject({ direction: 'maximize', space: { C: { log: true } } });
    expect(first?.history.map(({ state }) => state)).toEqual(['trained', 'trained']);
    expect(first?.history[0]).toEqual({ parameters: { C: 10 }, state: 'trained', value: 0.8 });
    expect(
      scenario
        .inputs('trainTrial')
        .slice(2, 4)
        .map(({ parameters }) => parameters.C),
    ).toEqual([1.02, 1.021]);
  });

  it('goes on by chance where the estimator does not answer', async () => {
    const scenario = new Scenario({ trainTrial: nearOne });
    scenario.let('proposeTrials', async () => {
      throw ApplicationFailure.nonRetryable('no module named optuna', 'TrainerFailed');
    });
    const output = await train(
      scenario,
      trainingInput([searched({ method: 'tpe', startup: 1 })], { budget: { trials: 4 } }),
    );
    expect(output.search.candidates).toMatchObject([{ trained: 4, failed: 0 }]);
    expect(output.search.notes).toEqual([
      'a: the estimator did not answer, trials were drawn at random (no module named optuna)',
    ]);
  });

  it('ends when all of a grid is trained', async () => {
    const scenario = new Scenario({ trainTrial: nearOne });
    const output = await train(scenario, trainingInput([searched({ method: 'grid', points: 3 })]));
    expect(output.search).toMatchObject({ ended: 'space', used: { trials: 3 } });
    expect(scenario.inputs('trainTrial').map(({ parameters }) => parameters.C)).toEqual([
      0.001,
      expect.closeTo(0.316, 3),
      100,
    ]);
  });

  it('gives a candidate up that fails again and again', async () => {
    const scenario = new Scenario();
    scenario.let('trainTrial', async () => {
      throw ApplicationFailure.nonRetryable('the parameter "C" is unknown', 'TrainerFailed');
    });
    const error = await failure(
      train(scenario, trainingInput([searched({ method: 'random' })], { parallelism: 1 })),
    );
    expect(error).toEqual({
      type: 'AllCandidatesFailed',
      message: 'no candidate could be trained: a: the parameter "C" is unknown',
    });
    expect(scenario.count('trainTrial')).toBe(3);
  });

  it('ends when the cost is used up, and counts it by the price of each class', async () => {
    const scenario = new Scenario();
    scenario.let('trainTrial', async (given) => ({ ...(await nearOne(given)), seconds: 1_800 }));
    const output = await train(
      scenario,
      trainingInput([searched({ method: 'random' })], {
        parallelism: 1,
        resources: { cpu: { price: 2 } },
        budget: { trials: 100, cost: 2.5 },
      }),
    );
    expect(output.search).toMatchObject({ ended: 'cost', used: { trials: 3, cost: 3 } });
    // What is left of the cost bounds each trial.
    expect(scenario.inputs('trainTrial').map(({ maxSeconds }) => maxSeconds)).toEqual([60, 60, 60]);
  });

  it('ends when the time is used up, with the best so far', async () => {
    const scenario = new Scenario();
    scenario.let('trainTrial', async (given) => {
      await sleep(100);
      return nearOne(given);
    });
    const output = await train(
      scenario,
      trainingInput([searched({ method: 'random' })], { budget: { trials: 10_000, time: '2s' } }),
    );
    expect(output.search.ended).toBe('time');
    expect(output.search.used.seconds).toBeGreaterThanOrEqual(2);
    expect(output.trained).toHaveLength(1);
    for (const { maxSeconds } of scenario.inputs('trainTrial')) expect(maxSeconds).toBeLessThanOrEqual(2);
  });

  it('takes another budget and parallelism while it runs', async () => {
    const gate = new Gate();
    const scenario = new Scenario();
    scenario.let('trainTrial', async (given) => {
      await gate.opened;
      return nearOne(given);
    });
    const handle = await start(
      scenario,
      trainingInput([searched({ method: 'random' })], { parallelism: 1, budget: { trials: 2 } }),
    );
    await eventually(async () => scenario.inputs('trainTrial')[0], 'the first trial');
    const report = await executeUpdate<SearchReport>(handle, UPDATES.budget, {
      args: [{ trials: 5, parallelism: 3 }],
    });
    expect(report.used.trials).toBe(1);
    await eventually(async () => scenario.inputs('trainTrial')[2], 'three trials side by side');
    gate.open();
    expect((await handle.result()).search).toMatchObject({ ended: 'trials', used: { trials: 5 } });
  });

  it.each([
    [{}, 'one of trials, time, cost, parallelism'],
    [{ trials: 0 }, 'trials: '],
    [{ time: 'soon' }, 'time: a duration such as'],
    [{ trails: 3 }, 'trails: is not a known key'],
  ])('refuses the budget %j and goes on', async (update, message) => {
    const gate = new Gate();
    const scenario = new Scenario();
    scenario.let('trainTrial', async (given) => {
      await gate.opened;
      return nearOne(given);
    });
    const handle = await start(scenario, trainingInput([once('a')]));
    const refused = executeUpdate<SearchReport>(handle, UPDATES.budget, { args: [update] });
    await expect(refused).rejects.toMatchObject({ cause: { message: expect.stringContaining(message) } });
    gate.open();
    expect((await handle.result()).trained).toHaveLength(1);
  });

  it('stops when it is told to: what runs is ended, the best so far is kept', async () => {
    const never = new Gate();
    const scenario = new Scenario();
    scenario.let('trainTrial', async (given) => {
      if (given.trial.number > 0) await never.opened;
      return nearOne(given);
    });
    const handle = await start(scenario, trainingInput([searched({ method: 'random' })], { parallelism: 2 }));
    await eventually(async () => scenario.inputs('trainTrial')[2], 'the third trial');
    await executeUpdate(handle, UPDATES.stop);
    const output = await handle.result();
    never.open();
    expect(output.search).toMatchObject({ ended: 'stopped', candidates: [{ trained: 1, stopped: 2 }] });
    expect(output.trained).toHaveLength(1);
  });

  it('waits for the first model where it is told to stop before there is one', async () => {
    const gate = new Gate();
    const scenario = new Scenario();
    scenario.let('trainTrial', async (given) => {
      await gate.opened;
      return nearOne(given);
    });
    const handle = await start(scenario, trainingInput([searched({ method: 'random' })], { parallelism: 1 }));
    await eventually(async () => scenario.inputs('trainTrial')[0], 'the first trial');
    await executeUpdate(handle, UPDATES.stop);
    gate.open();
    expect((await handle.result()).search).toMatchObject({ ended: 'stopped', used: { trials: 1 } });
  });

  it('tells trials at a rung whether they go on, always the same', async () => {
    const gate = new Gate();
    const scenario = new Scenario();
    scenario.let('trainTrial', async (given) => {
      await gate.opened;
      return nearOne(given);
    });
    const handle = await start(
      scenario,
      trainingInput([searched({ method: 'halving', reduction: 2, minIterations: 10 })], {
        parallelism: 3,
        budget: { trials: 3 },
      }),
    );
    await eventually(async () => scenario.inputs('trainTrial')[2], 'three trials');
    expect(scenario.inputs('trainTrial')[0]?.rungs).toEqual([10, 20, 40, 80, 160]);
    const ask = (number: number, loss: number) =>
      executeUpdate<boolean>(handle, UPDATES.rung, {
        args: [{ candidate: 'a', number, rung: 10, loss }],
      });
    expect([await ask(0, 0.5), await ask(1, 0.6), await ask(2, 0.4)]).toEqual([true, false, true]);
    expect([await ask(1, 0.6), await ask(0, 0.5)]).toEqual([false, true]);
    gate.open();
    await handle.result();
  });

  it('goes on as new without losing anything: budget, trials, proposals, rungs', async () => {
    const scenario = new Scenario({ trainTrial: nearOne });
    const whole = trainingInput([searched({ method: 'random' })], {
      parallelism: 2,
      budget: { trials: 7, cost: 1 },
    });
    const handle = await start(scenario, { ...whole, continueAfter: 3 });
    const output = await handle.result();
    expect((await handle.describe()).runId).not.toBe(handle.firstExecutionRunId);
    expect(output.search).toMatchObject({
      ended: 'trials',
      used: { trials: 7 },
      candidates: [{ trained: 7 }],
    });
    expect(output.search.trials.map(({ number }) => number)).toEqual([0, 1, 2, 3, 4, 5, 6]);
    const straight = new Scenario({ trainTrial: nearOne });
    await train(straight, whole);
    const given = (one: Scenario) => one.inputs('trainTrial').map(({ parameters }) => parameters.C);
    expect(new Set(given(scenario))).toEqual(new Set(given(straight)));
  });

  it('of a trial that is asked for after the search went on as new has the same answer', async () => {
    const first = new Gate();
    const second = new Gate();
    const scenario = new Scenario();
    scenario.let('trainTrial', async (given) => {
      await (given.trial.number < 2 ? first : second).opened;
      return nearOne(given);
    });
    const whole = trainingInput([searched({ method: 'halving', reduction: 2, minIterations: 10 })], {
      parallelism: 2,
      budget: { trials: 4 },
    });
    const handle = await start(scenario, { ...whole, continueAfter: 2 });
    const ask = (number: number, loss: number) =>
      executeUpdate<boolean>(bench.client.workflow.getHandle(scenario.id), UPDATES.rung, {
        args: [{ candidate: 'a', number, rung: 10, loss }],
      });
    await eventually(async () => scenario.inputs('trainTrial')[1], 'two trials');
    expect([await ask(0, 0.5), await ask(1, 0.6)]).toEqual([true, false]);
    first.open();
    await eventually(async () => scenario.inputs('trainTrial')[3], 'the trials of the second run');
    expect([await ask(2, 0.7), await ask(3, 0.4), await ask(1, 0.6)]).toEqual([false, true, false]);
    second.open();
    await handle.result();
  });

  it('schedules trials on the queue of their class of resources', async () => {
    const scenario = new Scenario();
    const output = await train(
      scenario,
      trainingInput([{ name: 'a', trainer: 'logistic', search: false, resource: 'big' }], {
        resources: { big: { taskQueue: bench.taskQueue, price: 4 } },
      }),
    );
    expect(output.search.used.cost).toBeCloseTo((1.5 / 3_600) * 4, 9);
  });
});
