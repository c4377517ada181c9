import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { materialize } from '../../client/features.ts';
import { featuresScheduleId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { failure } from '../support/failures.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const SILENT = { approval: { required: false } };
const VIEWS = {
  spending: {
    events: 'SELECT * FROM customers',
    entity: 'customer',
    timestamp: 'known',
    windows: ['1h'],
    features: { amount: 'sum(amount)' },
  },
};

describe.concurrent('online features of a candidate', () => {
  it('are there before a server is asked for its answers', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, {
      ...SILENT,
      columns: { target: 'churned', timestamp: 'at' },
      featureViews: VIEWS,
    });
    expect((await run.handle.result()).outcome).toBe('deployed');
    const [asked, ...more] = scenario.inputs('materializeFeatures');
    expect(more).toEqual([]);
    expect(asked).toMatchObject({
      pipeline: 'churn',
      spec: { name: 'churn', featureViews: { spending: { online: { every: '5m' } } } },
    });
    expect(Date.parse(asked?.until ?? '')).not.toBeNaN();
    const order = scenario.calls.map(({ name }) => String(name));
    expect(order.indexOf('materializeFeatures')).toBeGreaterThan(order.indexOf('register'));
    expect(order.indexOf('materializeFeatures')).toBeLessThan(order.indexOf('precheck'));
  });

  it('are nobody’s business where there are no views', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, SILENT);
    expect((await run.handle.result()).outcome).toBe('deployed');
    expect(scenario.count('materializeFeatures')).toBe(0);
  });
});

describe.concurrent('the workflow materialization', () => {
  it('hands on what is asked for by hand', async () => {
    const scenario = new Scenario();
    const view = { view: 'spending', seconds: 0.5 };
    scenario.let('materializeFeatures', async ({ pipeline, until }) => ({
      views: [
        {
          ...{ ...view, store: `${pipeline}/spending/0`, pipeline, entity: ['customer'], columns: [] },
          ...{ from: until, until, materializedAt: until, events: 3, changed: 1, written: 2, removed: 0 },
        },
      ],
      forgotten: ['churn/old/1'],
    }));
    const until = '2026-11-02T00:00:00Z';
    const result = await materialize(bench.client, bench.taskQueue, {
      ...{ pipeline: scenario.id, views: ['spending'], from: '2026-10-01T00:00:00Z', until },
    });
    expect(result).toMatchObject({
      views: [{ pipeline: scenario.id, events: 3 }],
      forgotten: ['churn/old/1'],
    });
    expect(scenario.inputs('materializeFeatures')).toEqual([
      { pipeline: scenario.id, views: ['spending'], from: '2026-10-01T00:00:00Z', until },
    ]);
  });

  it('refuses an argument that is none', async () => {
    const refused = bench.client.workflow.execute(WORKFLOW_TYPES.materialization, {
      workflowId: new Scenario().id,
      taskQueue: bench.taskQueue,
      args: [{ pipeline: 'churn', until: 'tomorrow' }],
    });
    expect(await failure(refused)).toMatchObject({ type: 'InputInvalid' });
  });

  it('goes by the time of its schedule, not by the clock', async () => {
    const scenario = new Scenario();
    const scheduleId = featuresScheduleId(scenario.id);
    const schedule = await bench.client.schedule.create({
      scheduleId,
      spec: { intervals: [{ every: '1d' }] },
      state: { paused: true },
      action: {
        type: 'startWorkflow',
        workflowType: WORKFLOW_TYPES.materialization,
        workflowId: scheduleId,
        taskQueue: bench.taskQueue,
        args: [{ pipeline: scenario.id }],
      },
    });
    try {
      const [start, end] = [new Date('2026-11-02T00:00:00Z'), new Date('2026-11-03T00:00:00Z')];
      await schedule.backfill({ start, end, overlap: 'BUFFER_ALL' });
      await expect.poll(() => scenario.count('materializeFeatures'), { timeout: 30_000 }).toBe(2);
      expect(scenario.inputs('materializeFeatures').map(({ until }) => until)).toEqual([
        start.toISOString(),
        end.toISOString(),
      ]);
    } finally {
      await schedule.delete();
    }
  });
});
