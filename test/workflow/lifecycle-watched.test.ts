import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { executeUpdate } from '../../client/execute-update.ts';
import type { RolloutStatus } from '../../contracts/rollout.ts';
import { failure } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { smallSpec } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { cancelAndSettle, eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const SILENT = { approval: { required: false } };
/** A spec whose rows have a time. */
const TIMED = {
  ...SILENT,
  columns: { target: 'churned', timestamp: 'at' },
  monitoring: { window: '1d', groundTruthDelay: '2d' },
  retraining: { window: { kind: 'sliding', length: '90d', validation: '7d', test: '14d' } },
} as const;

describe.concurrent('what is in production is watched', () => {
  it('after the deployment, by the spec; and the retraining knows it', async () => {
    const scenario = new Scenario();
    const order: string[] = [];
    scenario.let('watchEndpoint', async ({ spec, since }) => {
      expect(Date.parse(since)).not.toBeNaN();
      order.push(`watch after ${scenario.count('askEndpoint')}`);
      return { specRef: { uri: 'cas:aa', sha256: 'aa', bytes: 1, mediaType: `${spec.name}` } };
    });
    const run = await bench.lifecycle(scenario, TIMED);
    expect((await run.handle.result()).outcome).toBe('deployed');
    expect(order).toHaveLength(1);
    expect(order[0]).not.toBe('watch after 0');
    const [{ settings } = { settings: undefined }] = scenario.inputs('ensureRetraining');
    expect(settings).toMatchObject({
      pipeline: 'churn',
      specRef: { sha256: 'aa' },
      retraining: { window: { kind: 'sliding', length: '90d' } },
      clock: 'wall',
    });
  });

  it.each([
    ['without retraining in the spec it is watched, and retraining ends', { ...SILENT, monitoring: {} }],
    ['without monitoring in the spec the watching ends, and retraining', SILENT],
  ])('%s', async (_, spec) => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, spec);
    await run.handle.result();
    expect(scenario.inputs('watchEndpoint')).toMatchObject([{ spec: { name: 'churn' } }]);
    expect(scenario.inputs('watchEndpoint')[0]?.spec.monitoring !== undefined).toBe('monitoring' in spec);
    expect(scenario.inputs('ensureRetraining')).toEqual([
      { settings: null, pipeline: 'churn', reason: expect.stringContaining('no section retraining') },
    ]);
  });

  it('a watch that cannot be had is a warning of the run, and each is tried by itself', async () => {
    const scenario = new Scenario();
    for (const name of ['watchEndpoint', 'ensureRetraining'] as const)
      scenario.let(name, async () => {
        throw ApplicationFailure.nonRetryable(`${name} is refused`, 'InputInvalid');
      });
    const silent = await (await bench.lifecycle(scenario, SILENT)).handle.result();
    expect(silent.outcome).toBe('deployed');
    expect(silent.message).toContain('watchEndpoint is refused');
    expect(silent.message).toContain('ensureRetraining is refused');
    const again = new Scenario();
    again.let('ensureRetraining', async () => {
      throw ApplicationFailure.nonRetryable('the entity refuses', 'InputInvalid');
    });
    const timed = await (await bench.lifecycle(again, TIMED)).handle.result();
    expect(timed).toMatchObject({
      outcome: 'deployed',
      message: expect.stringContaining('not trained anew by the spec: the entity refuses'),
    });
  });

  it('a cancellation that comes when the version serves ends neither the run nor the watch', async () => {
    const scenario = new Scenario();
    const open = new Gate();
    const usual = scenario.usual.watchEndpoint;
    scenario.let('watchEndpoint', async (input) => {
      await open.opened;
      return usual(input);
    });
    const run = await bench.lifecycle(scenario, TIMED);
    await eventually(async () => (scenario.count('watchEndpoint') > 0 ? true : undefined), 'the watch');
    await cancelAndSettle(run.handle);
    open.open();
    expect((await run.handle.result()).outcome).toBe('rolling_out');
    await eventually(async () => (scenario.count('ensureRetraining') > 0 ? true : undefined), 'the rest');
  });

  it.each([
    ['promoted', 1],
    ['rolled_back', 0],
  ] as const)('a roll-out that goes on after its run, and is %s', async (ending, watched) => {
    const scenario = new Scenario();
    const usual = scenario.usual.askEndpoint;
    scenario.let('askEndpoint', async (input) =>
      input.ask.update === 'admit' ? { state: 'admitted', champion: '0' } : usual(input),
    );
    const rollout = { strategy: 'canary' as const, wait: '1ms', steps: [{ share: 5, hold: '1h' }] };
    const run = await bench.lifecycle(scenario, { ...TIMED, deployment: { rollout } });
    const { outcome, outputs } = await run.handle.result();
    expect(outcome).toBe('rolling_out');
    expect(scenario.count('watchEndpoint')).toBe(0);
    const handle = bench.client.workflow.getHandle(outputs.deploy?.rollout.workflowId ?? '');
    await eventually(
      async () => ((await handle.query<RolloutStatus>('rollout')).phase === 'running' ? true : undefined),
      'its turn',
    );
    const order = ending === 'promoted' ? 'promote' : 'rollback';
    await executeUpdate(handle, order, { args: [{ by: 'ada', reason: 'seen enough' }] });
    expect(await handle.result()).toMatchObject({ outcome: ending });
    expect(scenario.count('watchEndpoint')).toBe(watched);
    expect(scenario.count('ensureRetraining')).toBe(watched);
  });

  it('what is not deployed is not watched', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, {
      ...TIMED,
      evaluation: { gates: [{ metric: 'roc_auc', min: 0.99 }] },
    });
    expect((await run.handle.result()).outcome).toBe('gates_failed');
    expect(scenario.count('watchEndpoint')).toBe(0);
    expect(scenario.count('ensureRetraining')).toBe(0);
  });
});

describe.concurrent('a run as of a moment', () => {
  it('splits by the time up to which the truth is known, and is watched by the whole spec', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, TIMED, { asOf: '2009-06-20T00:00:00Z' });
    expect((await run.handle.result()).outcome).toBe('deployed');
    const [split] = scenario.inputs('split');
    expect(split?.spec.split).toMatchObject({
      method: 'time',
      train: { from: '2009-03-20T00:00:00Z', before: '2009-05-28T00:00:00Z' },
      validation: { before: '2009-06-04T00:00:00Z' },
      test: { before: '2009-06-18T00:00:00Z' },
    });
    const [watch] = scenario.inputs('watchEndpoint');
    // The next deployment by hand does not take the rows of this one.
    expect(watch?.spec.split).not.toEqual(split?.spec.split);
  });

  it('without a time in the rows it is refused', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycleOf(scenario, {
      spec: { ...smallSpec(SILENT) },
      asOf: '2009-06-20T00:00:00Z',
    });
    expect(await failure(run.handle.result())).toMatchObject({
      type: 'SpecInvalid',
      message: expect.stringContaining('columns.timestamp'),
    });
  });
});
