import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { modelServerWorkflowId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import { failure } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { Scenario } from '../support/scenario.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

describe.concurrent('the lease of a model server', () => {
  const start = (scenario: Scenario, taskQueue = bench.taskQueue) =>
    bench.client.workflow.start(WORKFLOW_TYPES.modelServer, {
      workflowId: modelServerWorkflowId(scenario.id),
      taskQueue: bench.taskQueue,
      args: [{ serverId: scenario.id, url: 'http://127.0.0.1:1', taskQueue }],
    });

  it('tells the endpoints of the server, and ends when the server leaves', async () => {
    const leave = new Gate();
    const scenario = new Scenario({ holdLease: () => leave.opened });
    const server = await start(scenario);
    await eventually(async () => scenario.inputs('announceServer')[0], 'the announcement');
    expect((await server.describe()).status.name).toBe('RUNNING');
    leave.open();
    expect(await server.result()).toEqual({ ended: 'left' });
    expect(scenario.inputs('announceServer')).toMatchObject([{ serverId: scenario.id }]);
  });

  it('ends when the server is heard no more', async () => {
    const never = new Gate();
    const server = await start(new Scenario({ holdLease: () => never.opened }));
    expect(await server.result()).toEqual({ ended: 'lost' });
    never.open();
  });

  it('fails where the server breaks the lease with an error', async () => {
    const broken = async (): Promise<never> => {
      throw ApplicationFailure.nonRetryable('another server has this id', 'InputInvalid');
    };
    const server = await start(new Scenario({ holdLease: broken }));
    expect(await failure(server.result())).toMatchObject({ message: 'another server has this id' });
  });

  it('refuses a queue that Temporal would refuse for ever', async () => {
    const server = await start(new Scenario(), randomUUID().repeat(40));
    expect(await failure(server.result())).toMatchObject({
      type: 'InputInvalid',
      message: expect.stringContaining('taskQueue'),
    });
  });
});
