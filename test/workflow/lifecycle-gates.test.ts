import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { PipelineSpecInput } from '../../contracts/spec/pipeline.ts';
import type { EvaluateOutput } from '../../contracts/stages.ts';
import { failure } from '../support/failures.ts';
import * as samples from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

/** A world in which the evaluation gives something else. */
const judging = (changes: Partial<EvaluateOutput>): Scenario => {
  const scenario = new Scenario();
  scenario.let('evaluate', async ({ train }) => {
    const [winner] = train.trained;
    if (!winner) throw new Error('nothing was trained');
    return { ...samples.evaluated(winner), ...changes };
  });
  return scenario;
};

const incomparable: Partial<EvaluateOutput> = {
  champion: {
    version: '3',
    test: {},
    difference: {},
    notComparable: 'the data no longer have its input columns fare',
  },
};

describe.concurrent('a champion that cannot be compared', () => {
  it('leaves the gate to whoever approves, who is told', async () => {
    const scenario = judging(incomparable);
    const run = await bench.lifecycle(scenario);
    const { candidate, undecided } = await run.awaiting();
    expect(undecided).toEqual([
      expect.stringContaining(
        'the champion cannot be compared: the data no longer have its input columns fare',
      ),
    ]);
    const { stages } = await run.status();
    expect(stages.find(({ name }) => name === 'gates')?.summary).toContain('the approver decides: roc_auc');
    await run.approve(candidate);
    const { outcome, outputs } = await run.handle.result();
    expect(outcome).toBe('deployed');
    expect(outputs.gates).toMatchObject({
      passed: true,
      results: [{ verdict: 'passed' }, { verdict: 'undecided' }],
    });
  });

  it('fails the gate where no approval is asked for', async () => {
    const scenario = judging(incomparable);
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    const { outcome, message } = await run.handle.result();
    expect(outcome).toBe('gates_failed');
    expect(message).toContain('nobody is asked for an approval');
    expect(scenario.count('register')).toBe(0);
  });

  it('is not decided by a time-out that approves', async () => {
    const scenario = judging(incomparable);
    const run = await bench.lifecycle(scenario, {
      approval: { timeout: '1s', onTimeout: 'approve', reminders: [] },
    });
    const { outcome, message } = await run.handle.result();
    expect(outcome).toBe('approval_timed_out');
    expect(message).toContain('only a person can decide');
    expect(scenario.count('askEndpoint')).toBe(0);
  });

  it('does not excuse another gate that fails', async () => {
    const run = await bench.lifecycle(judging({ ...incomparable, test: { roc_auc: 0.5 } }));
    const { outcome, message } = await run.handle.result();
    expect(outcome).toBe('gates_failed');
    expect(message).toContain('equal to the trivial baseline');
  });
});

describe.concurrent('slices and groups', () => {
  const sliced = (columns: string[]): Partial<PipelineSpecInput> => ({
    evaluation: { slices: [{ columns }], gates: [{ metric: 'roc_auc', min: 0.8, slices: 'declared' }] },
  });

  it('of columns that are not there end the run before anything is trained', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, sliced(['no_such_column']));
    expect(await failure(run.handle.result())).toMatchObject({
      type: 'ColumnMissing',
      message: expect.stringContaining('evaluation.slices[0].columns: there is no column no_such_column'),
    });
    expect(scenario.count('trainTrial')).toBe(0);
  });

  it('that are bad end the run, and the slice is named', async () => {
    const [column] = samples.parts.columns;
    const slices = {
      declared: [
        {
          name: 'region = north',
          share: 0.2,
          rows: 400,
          metrics: { roc_auc: 0.61 },
          intervals: {},
          mandatory: false,
        },
      ],
      total: 1,
      insufficient: 0,
      worst: [],
      search: null,
    };
    const run = await bench.lifecycle(judging({ slices }), sliced([column?.name ?? '']));
    const { outcome, message } = await run.handle.result();
    expect(outcome).toBe('gates_failed');
    expect(message).toContain('roc_auc of slice region = north >= 0.8: was 0.6100');
  });
});
