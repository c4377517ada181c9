import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { failure } from '../support/failures.ts';
import { smallSpec } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

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

  it('without retraining in the spec it is watched, and nobody retrains', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, { ...SILENT, monitoring: {} });
    await run.handle.result();
    expect(scenario.count('watchEndpoint')).toBe(1);
    expect(scenario.count('ensureRetraining')).toBe(0);
  });

  it('without monitoring in the spec it is not', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, SILENT);
    await run.handle.result();
    expect(scenario.count('watchEndpoint')).toBe(0);
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
