import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { BacktestInput, BacktestResult } from '../../contracts/backtest.ts';
import { WORKFLOW_TYPES } from '../../contracts/names.ts';
import { BREAK, backtestWorld, DAYS, FIRST, NOTHING, policy } from '../support/backtest-past.ts';
import type { BacktestWorld } from '../support/backtest-world.ts';
import { failure } from '../support/failures.ts';
import { parts, smallSpec } from '../support/samples.ts';
import { dayWindow } from '../support/window-reports.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const start = ({ scenario }: BacktestWorld, policies: BacktestInput['policies'], changes: object = {}) =>
  bench.client.workflow.execute<(input: BacktestInput) => Promise<BacktestResult>>(WORKFLOW_TYPES.backtest, {
    workflowId: `${scenario.id}-backtest`,
    taskQueue: bench.taskQueue,
    args: [{ spec: { ...smallSpec() }, policies, from: FIRST, to: dayWindow(DAYS).from, ...changes }],
  });

describe.concurrent('policies side by side', () => {
  it('differ as they should, and what several ask for is trained once', { timeout: 90_000 }, async () => {
    const days = [1, 4, 7];
    const past = backtestWorld([[], days, [], []]);
    const { scenario } = past;
    const result = await start(past, [
      policy('never', null),
      policy('by-calendar', { ...NOTHING, schedule: '0 0 * * *' }),
      policy('on-degradation', { ...NOTHING, degradation: true }),
      policy('on-degradation-too', { ...NOTHING, degradation: true }),
    ]);
    expect(result).toMatchObject({ pipeline: 'churn', metric: 'log_loss', labelDelay: null });
    expect(past.outcome('never')).toMatchObject({
      runs: [],
      badWindows: DAYS - BREAK,
      trueAlerts: 1,
      falseAlerts: 0,
      missed: 0,
    });
    expect(past.outcome('by-calendar')).toMatchObject({ badWindows: 1, deployed: 3 });
    const onDegradation = past.outcome('on-degradation');
    expect(onDegradation.runs).toMatchObject([
      {
        asOf: dayWindow(BREAK).before,
        outcome: 'deployed',
        reasons: [expect.stringMatching(/^degradation: /)],
      },
    ]);
    expect(onDegradation).toMatchObject({ badWindows: 1, trueAlerts: 1 });
    expect({ ...past.outcome('on-degradation-too'), policy: '' }).toEqual({
      ...onDegradation,
      policy: '',
    });
    expect(result.policies[0]?.policy).toMatch(/^on-degradation/);
    expect(result.advice).toMatch(/^on-degradation: mean log_loss 0.3\d* with 1 retraining/);
    // The first model, three by the calendar, of which one is that of the degradation.
    expect(days).toContain(BREAK);
    expect(scenario.count('split')).toBe(1 + 3);
    expect(scenario.count('openBacktestModel')).toBe(1 + 3);
    expect(scenario.count('ingest')).toBe(1);
    expect(scenario.count('closeBacktest')).toBe(1);
    for (const name of ['register', 'askEndpoint', 'setChampion', 'notify', 'deliverAlert'] as const)
      expect(scenario.count(name), name).toBe(0);
    // Measured once for each model and window, however many policies ask.
    const asked = scenario
      .inputs('observeBacktest')
      .map(({ question: { model, window, labelled } }) => JSON.stringify([model.name, window, labelled]));
    expect(new Set(asked).size).toBe(asked.length);
  });

  it('truth that comes late makes every policy late', { timeout: 60_000 }, async () => {
    const past = backtestWorld([[]], '3d');
    const result = await start(past, [policy('on-degradation', { ...NOTHING, degradation: true })]);
    expect(result.labelDelay).toBe('3d');
    const { runs, badWindows, missed } = past.outcome('on-degradation');
    expect(runs.map(({ asOf }) => asOf)).toEqual([dayWindow(BREAK + 3).before]);
    expect({ badWindows, missed }).toEqual({ badWindows: 4, missed: 0 });
  });

  it('a training that breaks is one that failed, and its policy goes on', { timeout: 60_000 }, async () => {
    const past = backtestWorld([[]]);
    const { scenario } = past;
    let broken = 0;
    scenario.let('split', async () => {
      // The first model is trained; the first retraining is not.
      if (++broken === 2) throw ApplicationFailure.nonRetryable('too few rows', 'DataTooSmall');
      return parts;
    });
    await start(past, [policy('on-degradation', { ...NOTHING, degradation: true })]);
    const { runs, steps, deployed, badWindows } = past.outcome('on-degradation');
    expect(runs).toMatchObject([
      { asOf: dayWindow(BREAK).before, outcome: 'failed', message: 'too few rows', model: null },
      { asOf: dayWindow(BREAK + 1).before, outcome: 'deployed' },
    ]);
    expect(steps).toHaveLength(DAYS);
    expect({ deployed, badWindows }).toEqual({ deployed: 1, badWindows: 2 });
  });

  it('without a first model there is nothing to compare: its error is that of the back-test', async () => {
    const past = backtestWorld([[]]);
    const { scenario } = past;
    scenario.let('split', async () => {
      throw ApplicationFailure.nonRetryable('no rows before 2009-06-01', 'DataTooSmall');
    });
    expect(await failure(start(past, [policy('never', null)]))).toMatchObject({
      type: 'DataTooSmall',
      message: 'no rows before 2009-06-01',
    });
    expect(scenario.count('closeBacktest')).toBe(0);
  });

  it.each([
    ['two policies of one name', { policies: [policy('a', null), policy('a', null)] }, 'a name of its own'],
    ['no policy', { policies: [] }, 'policies'],
    ['a time that is none', { from: 'May' }, 'from'],
  ])('%s is refused', async (_, changes, words) => {
    expect(await failure(start(backtestWorld([[]]), [policy('never', null)], changes))).toMatchObject({
      type: 'InputInvalid',
      message: expect.stringContaining(words),
    });
  });
});
