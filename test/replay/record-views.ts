import type { WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { featuresScheduleId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { failure } from '../support/failures.ts';
import { Scenario } from '../support/scenario.ts';
import { eventually, type WorkflowBench } from '../support/workflow-bench.ts';

/** A deployment with feature views; views brought up to date by their schedule, and by hand where the store was away. */
export async function recordViews(
  bench: WorkflowBench,
  save: (name: string, handle: WorkflowHandle) => Promise<void>,
): Promise<void> {
  const run = await bench.lifecycle(new Scenario({}, 'recorded-views'), {
    approval: { required: false },
    columns: { target: 'churned', timestamp: 'at' },
    featureViews: {
      spending: {
        events: 'SELECT * FROM customers',
        entity: 'customer',
        timestamp: 'known',
        windows: ['1h'],
        features: { amount: 'sum(amount)' },
      },
    },
  });
  await run.handle.result();
  await save('deployed-with-views', run.handle);

  const scenario = new Scenario({}, 'recorded-materialization');
  const { client, taskQueue } = bench;
  const scheduleId = featuresScheduleId(scenario.id);
  const schedule = await client.schedule.create({
    scheduleId,
    spec: { intervals: [{ every: '1d' }] },
    state: { paused: true },
    action: {
      type: 'startWorkflow',
      workflowType: WORKFLOW_TYPES.materialization,
      workflowId: scheduleId,
      taskQueue,
      args: [{ pipeline: scenario.id }],
    },
  });
  const [start, end] = [new Date('2026-11-01T12:00:00Z'), new Date('2026-11-02T12:00:00Z')];
  await schedule.backfill({ start, end, overlap: 'BUFFER_ALL' });
  const { workflowId } = await eventually(
    async () => (await schedule.describe()).info.recentActions[0]?.action.workflow,
    'the run of the schedule',
  );
  const scheduled = client.workflow.getHandle(workflowId);
  await scheduled.result();
  await save('materialization', scheduled);
  await schedule.delete();

  let attempts = 0;
  scenario.let('materializeFeatures', async () => {
    attempts += 1;
    throw attempts === 1
      ? ApplicationFailure.retryable('the online store is away', 'StoreUnavailable')
      : ApplicationFailure.nonRetryable('there is no view spendings', 'InputInvalid');
  });
  const byHand = await client.workflow.start(WORKFLOW_TYPES.materialization, {
    workflowId: `${scenario.id}-by-hand`,
    taskQueue,
    args: [{ pipeline: scenario.id, views: ['spendings'], from: '2026-10-01T00:00:00Z' }],
  });
  await failure(byHand.result());
  await save('materialization-refused', byHand);
}
