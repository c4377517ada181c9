import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { SIGNALS, trainingWorkflowId } from '../../contracts/names.ts';
import { failure, refusal } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { evaluated, trained, trainedTrial } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { cancelAndSettle, eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const refuse = (type: string, message: string) => async (): Promise<never> => {
  throw ApplicationFailure.nonRetryable(message, type);
};

describe.concurrent('how a lifecycle run ends', () => {
  it('registers nothing where a gate fails, and says which and by how much', async () => {
    const scenario = new Scenario();
    const gates = [{ metric: 'roc_auc', min: 0.95 } as const, { metric: 'brier_score', max: 0.1 } as const];
    const run = await bench.lifecycle(scenario, { evaluation: { gates } });
    expect(await run.handle.result()).toMatchObject({
      outcome: 'gates_failed',
      message: 'no deployment: roc_auc >= 0.95: was 0.9000, limit 0.9500, short by 0.0500',
      modelName: null,
      version: null,
    });
    expect(scenario.count('register') + scenario.count('retireCandidate')).toBe(0);
    expect(scenario.inputs('closeTracking')).toMatchObject([{ status: 'FINISHED', outcome: 'gates_failed' }]);
    const { stages } = await run.status();
    expect(stages.filter(({ state }) => state === 'skipped').map(({ name }) => name)).toEqual([
      'register',
      'approval',
      'precheck',
      'deploy',
    ]);
  });

  it('keeps the champion where the winner is worse', async () => {
    const scenario = new Scenario();
    const worse = {
      ...evaluated(trained('lightgbm', 'lightgbm')),
      champion: { version: '7', test: { roc_auc: 0.92 }, difference: {} },
      bounds: [
        { of: 'champion' as const, metric: 'roc_auc' as const, confidence: 0.95, low: -0.03, high: -0.01 },
      ],
    };
    scenario.let('evaluate', async () => worse);
    const run = await bench.lifecycle(scenario);
    expect((await run.handle.result()).message).toBe(
      'no deployment: roc_auc improvement over the champion >= -0.005 with 95 % confidence: was -0.0200 (bounds -0.0300 and -0.0100), limit -0.0050, short by 0.0250',
    );
  });

  it('fails with the words of a stage that failed, and closes the MLflow run', async () => {
    const message = 'not_null age: 12 of 1000 rows violate it';
    const scenario = new Scenario({ validate: refuse('ValidationFailed', message) });
    const run = await bench.lifecycle(scenario);
    expect(await failure(run.handle.result())).toEqual({ type: 'ValidationFailed', message });
    expect(scenario.count('split')).toBe(0);
    expect(scenario.inputs('closeTracking')).toMatchObject([
      { status: 'FAILED', outcome: 'failed', message },
    ]);
    const status = await run.status();
    expect(status).toMatchObject({ state: 'failed', outcome: null, error: message });
    expect(status.stages[1]).toMatchObject({ name: 'validate', state: 'failed', summary: message });
    expect(status.stages[2]).toEqual({ name: 'protect', state: 'skipped' });
  });

  it('tries what is transient again', async () => {
    const scenario = new Scenario();
    let attempts = 0;
    scenario.let('openTracking', async () => {
      attempts += 1;
      if (attempts < 3) throw ApplicationFailure.retryable('MLflow answers 503', 'TrackerUnavailable');
      return { experimentId: '1', runId: 'r', url: 'http://mlflow.test/' };
    });
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    expect((await run.handle.result()).outcome).toBe('deployed');
    expect(attempts).toBe(3);
  });

  it('marks the registered version where a later stage fails', async () => {
    const message = 'version 1 of churn answers otherwise than the evaluation';
    const scenario = new Scenario({ precheck: refuse('PrecheckFailed', message) });
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    expect(await failure(run.handle.result())).toEqual({ type: 'PrecheckFailed', message });
    expect(scenario.inputs('retireCandidate')).toMatchObject([
      { modelName: 'churn', version: '1', why: 'failed' },
    ]);
    expect(scenario.count('askEndpoint')).toBe(0);
  });

  it('goes on where the winner cannot be explained, and says so', async () => {
    const message = 'The model cannot be explained: no rows';
    const scenario = new Scenario({ explain: refuse('StageFailed', message) });
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    const { outcome, outputs } = await run.handle.result();
    expect(outcome).toBe('deployed');
    expect(outputs.explain).toMatchObject({ report: null, warning: `not explained: ${message}` });
    const { stages } = await run.status();
    expect(stages.find(({ name }) => name === 'explain')).toMatchObject({
      state: 'done',
      summary: `not explained: ${message}`,
    });
    expect(scenario.inputs('register')).toMatchObject([{ explain: { report: null } }]);
  });

  it('goes on without a server that died during the pre-deployment check', async () => {
    const scenario = new Scenario();
    const { serverId } = scenario.addServer('a', bench.taskQueue);
    scenario.addServer('dead', `perennial-server-${scenario.id}-dead`);
    let listed = 0;
    scenario.let('listModelServers', async () => {
      listed += 1;
      return { servers: listed === 1 ? scenario.servers : scenario.servers.slice(0, 1) };
    });
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    const { outputs } = await run.handle.result();
    expect(outputs.precheck?.servers.map((server) => server.serverId)).toEqual([serverId]);
  });

  it('fails where a server that lives does not answer the pre-deployment check', async () => {
    const scenario = new Scenario();
    scenario.addServer('a', bench.taskQueue);
    scenario.addServer('deaf', `perennial-server-${scenario.id}-deaf`);
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    expect((await failure(run.handle.result())).message).toContain('ScheduleToStart');
    expect(scenario.count('askEndpoint')).toBe(0);
  });

  it.each([
    ['too long for what is made from it', '-'.repeat(300)],
    ['no name', '; echo pasted'],
    ['a quote', "'"],
  ])('is refused under an id that is %s', async (_, suffix) => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, {}, {}, suffix);
    expect(await failure(run.handle.result())).toMatchObject({
      type: 'InputInvalid',
      message: expect.stringContaining('the workflow id must be at most 250 letters'),
    });
    expect(scenario.calls).toEqual([]);
  });

  it('says why it failed even where the clean-up fails too', async () => {
    const scenario = new Scenario({
      precheck: refuse('PrecheckFailed', 'too slow'),
      retireCandidate: refuse('TrackerRejected', 'no such version'),
    });
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    expect(await failure(run.handle.result())).toEqual({ type: 'PrecheckFailed', message: 'too slow' });
    expect(scenario.inputs('closeTracking')).toMatchObject([{ status: 'FAILED', message: 'too slow' }]);
  });

  it('goes on without a candidate that cannot be trained', async () => {
    const scenario = new Scenario();
    scenario.let('trainTrial', async ({ candidate }) => {
      if (candidate.name === 'lightgbm')
        throw ApplicationFailure.nonRetryable('out of memory', 'TrainerFailed');
      return trainedTrial(candidate.name, candidate.trainer);
    });
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    const { outcome, outputs } = await run.handle.result();
    expect(outcome).toBe('deployed');
    expect(outputs.train?.failed).toEqual([
      { name: 'lightgbm', trainer: 'lightgbm', error: 'out of memory' },
    ]);
    expect(outputs.train?.trained.map(({ name }) => name)).toEqual(['logistic']);
  });

  it('fails where no candidate can be trained, with the reason of each', async () => {
    const scenario = new Scenario();
    scenario.let('trainTrial', async ({ candidate }) => {
      throw ApplicationFailure.nonRetryable(`${candidate.trainer} stopped`, 'TrainerFailed');
    });
    const run = await bench.lifecycle(scenario);
    expect(await failure(run.handle.result())).toEqual({
      type: 'AllCandidatesFailed',
      message: 'no candidate could be trained: lightgbm: lightgbm stopped; logistic: logistic stopped',
    });
    expect(scenario.count('evaluate')).toBe(0);
  });

  it('stops the training when it is cancelled', async () => {
    const never = new Gate();
    const scenario = new Scenario();
    scenario.let('trainTrial', async ({ candidate }) => {
      await never.opened;
      return trainedTrial(candidate.name, candidate.trainer);
    });
    const run = await bench.lifecycle(scenario);
    await eventually(async () => scenario.inputs('trainTrial')[1], 'both trainers');
    await run.handle.cancel();
    expect((await failure(run.handle.result())).type).toBe('Cancelled');
    never.open();
    const { workflowId, runId } = await run.status();
    const child = bench.client.workflow.getHandle(trainingWorkflowId(workflowId, runId));
    expect((await child.describe()).status.name).toBe('CANCELLED');
    expect(scenario.inputs('closeTracking')).toMatchObject([{ status: 'KILLED', outcome: 'cancelled' }]);
    expect(scenario.count('retireCandidate')).toBe(0);
    expect(await run.status()).toMatchObject({ state: 'cancelled', error: 'cancelled', outcome: null });
  });

  it('retires the candidate when it is cancelled while people look at it, and takes no vote any more', async () => {
    const cleanUp = new Gate();
    const scenario = new Scenario({ retireCandidate: () => cleanUp.opened });
    const run = await bench.lifecycle(scenario);
    const { candidate } = await run.awaiting();
    await run.handle.cancel();
    await eventually(async () => scenario.inputs('retireCandidate')[0], 'the clean-up');
    expect(await refusal(run.approve(candidate))).toContain('update review:');
    await run.handle.signal(SIGNALS.approve, { by: 'ada' });
    cleanUp.open();
    expect((await failure(run.handle.result())).type).toBe('Cancelled');
    expect(scenario.inputs('retireCandidate')).toMatchObject([{ why: 'cancelled' }]);
    expect(scenario.inputs('closeTracking')).toMatchObject([{ status: 'KILLED' }]);
    const status = await run.status();
    expect(status).toMatchObject({ state: 'cancelled', awaiting: null });
    expect(status.refused).toHaveLength(1);
  });

  it('leaves a roll-out that is under way to itself when it is cancelled', async () => {
    const rollout = new Gate();
    const scenario = new Scenario();
    scenario.let('askEndpoint', async ({ ask }) => {
      await rollout.opened;
      return ask.update === 'admit' ? { state: 'admitted', champion: null } : promotion;
    });
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    await eventually(async () => scenario.inputs('askEndpoint')[0], 'the roll-out');
    await cancelAndSettle(run.handle);
    const result = await run.handle.result();
    expect(result.outcome).toBe('rolling_out');
    expect(scenario.count('retireCandidate')).toBe(0);
    expect(scenario.inputs('closeTracking')).toMatchObject([{ status: 'FINISHED', outcome: 'rolling_out' }]);
    rollout.open();
    const { workflowId = '' } = result.outputs.deploy?.rollout ?? {};
    expect(await bench.client.workflow.getHandle(workflowId).result()).toMatchObject({ outcome: 'promoted' });
  });

  it('ends without the roll-out where that takes longer than the spec waits', async () => {
    const rollout = new Gate();
    const scenario = new Scenario();
    scenario.let('askEndpoint', async ({ ask }) => {
      await rollout.opened;
      return ask.update === 'admit' ? { state: 'admitted', champion: null } : promotion;
    });
    const run = await bench.lifecycle(scenario, {
      approval: { required: false },
      deployment: { rollout: { wait: '200ms' } },
    });
    expect(await run.handle.result()).toMatchObject({
      outcome: 'rolling_out',
      message: expect.stringContaining('goes on; look at it with perennial endpoint'),
    });
    rollout.open();
  });

  it('ends as the roll-out does', async () => {
    const scenario = new Scenario({
      askEndpoint: async ({ ask }) =>
        ask.update === 'admit' ? { state: 'admitted', champion: '0' } : promotion,
    });
    const run = await bench.lifecycle(scenario, {
      approval: { required: false },
      deployment: { rollout: { strategy: 'shadow', hold: '10ms', patience: '1s' } },
    });
    const result = await run.handle.result();
    expect(result).toMatchObject({
      outcome: 'rolled_back',
      outputs: { deploy: { rollout: { outcome: 'rolled_back' } } },
    });
    expect(result.message).toContain('not enough data for shadow at 100 % after 1s');
    expect(scenario.inputs('closeTracking')).toMatchObject([{ status: 'FINISHED', outcome: 'rolled_back' }]);
  });

  it('fails with the words of an endpoint that refuses', async () => {
    const message =
      'version 1 could not be rolled out to churn: server a: out of memory; nothing serves, as before';
    const scenario = new Scenario({ askEndpoint: refuse('RolloutFailed', message) });
    const run = await bench.lifecycle(scenario, { approval: { required: false } });
    expect(await failure(run.handle.result())).toEqual({ type: 'RolloutFailed', message });
    expect(scenario.inputs('retireCandidate').at(-1)).toMatchObject({ why: 'failed' });
  });
});

/** What an endpoint answers to a promotion. */
const promotion = {
  endpoint: 'churn',
  version: '1',
  previousVersion: null,
  generation: 3,
  since: '2026-01-01T00:00:00.000Z',
  servers: ['a'],
};
