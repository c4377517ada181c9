import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { TrainingInput } from '../../contracts/activities.ts';
import { modelServerWorkflowId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { TrainOutput } from '../../contracts/stages.ts';
import { failure } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { parts, prepared, tracking, trained } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const input = (names: readonly string[], parallelism: number): TrainingInput => ({
  candidates: names.map((name) => ({ name, trainer: 'logistic', parameters: {}, maxIterations: 10 })),
  task: 'binary',
  target: 'churned',
  training: { seed: 1, parallelism, threads: 1, timeout: '1m' },
  split: parts,
  prepared,
  tracking,
  run: { workflowId: 'w', runId: 'r' },
});

const train = (scenario: Scenario, argument: TrainingInput): Promise<TrainOutput> =>
  bench.client.workflow.execute<(argument: TrainingInput) => Promise<TrainOutput>>(WORKFLOW_TYPES.training, {
    workflowId: scenario.id,
    taskQueue: bench.taskQueue,
    args: [argument],
  });

describe.concurrent('the training of candidates', () => {
  it('trains as many at a time as the spec allows, and no more', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    let busy = 0;
    let most = 0;
    const scenario = new Scenario();
    scenario.let('trainCandidate', async ({ candidate }) => {
      busy += 1;
      most = Math.max(most, busy);
      await sleep(40);
      busy -= 1;
      return trained(candidate.name, candidate.trainer);
    });
    const output = await train(scenario, input(names, 3));
    expect(most).toBe(3);
    expect(output.trained.map(({ name }) => name)).toEqual(names);
  });

  it('gives results in the order of the spec, whoever is done first', async () => {
    const first = new Gate();
    const scenario = new Scenario();
    scenario.let('trainCandidate', async ({ candidate }) => {
      if (candidate.name === 'a' || candidate.name === 'b') await first.opened;
      if (candidate.name === 'd') first.open();
      if (candidate.name === 'b' || candidate.name === 'c')
        throw ApplicationFailure.nonRetryable(`${candidate.name} failed`, 'TrainerFailed');
      return trained(candidate.name, candidate.trainer);
    });
    const output = await train(scenario, input(['a', 'b', 'c', 'd'], 4));
    expect(output.trained.map(({ name }) => name)).toEqual(['a', 'd']);
    expect(output.failed.map(({ name }) => name)).toEqual(['b', 'c']);
  });

  it('trains a candidate again whose worker was lost', async () => {
    const scenario = new Scenario();
    let attempts = 0;
    scenario.let('trainCandidate', async ({ candidate }) => {
      attempts += 1;
      if (attempts === 1) throw new Error('the process went away');
      return trained(candidate.name, candidate.trainer);
    });
    expect((await train(scenario, input(['a'], 1))).failed).toEqual([]);
    expect(attempts).toBe(2);
  });
});

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
