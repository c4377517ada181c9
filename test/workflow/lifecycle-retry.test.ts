import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { LifecycleInput } from '../../contracts/lifecycle.ts';
import { QUERIES } from '../../contracts/names.ts';
import type { StageName, StageOutputs } from '../../contracts/stages.ts';
import { failure } from '../support/failures.ts';
import * as samples from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { type Lifecycle, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

/** A run that was approved and failed at the pre-deployment check. */
async function failedAtPrecheck(scenario: Scenario): Promise<Lifecycle> {
  scenario.let('precheck', async () => {
    throw ApplicationFailure.nonRetryable('too slow', 'PrecheckFailed');
  });
  const run = await bench.lifecycle(scenario);
  const { candidate } = await run.awaiting();
  await run.approve(candidate);
  await failure(run.handle.result());
  scenario.let('precheck', async ({ rows }) => samples.checked(rows));
  return run;
}

/** What a client sends to take a run up again. */
async function retryOf(
  run: Lifecycle,
  from: StageName,
  change: (outputs: StageOutputs) => StageOutputs = (outputs) => outputs,
): Promise<Partial<LifecycleInput>> {
  const outputs = await run.handle.query<StageOutputs>(QUERIES.outputs);
  const input = await run.handle.query<LifecycleInput>(QUERIES.input);
  const { workflowId, runId } = await run.status();
  return { ...input, resume: { workflowId, runId, from, outputs: change(outputs) } };
}

describe.concurrent('a run that takes up an earlier one', () => {
  it('does not run the stages again that the earlier run has done', async () => {
    const scenario = new Scenario();
    const run = await failedAtPrecheck(scenario);
    const again = await bench.lifecycle(scenario, {}, await retryOf(run, 'precheck'), '-again');
    const { outcome, outputs } = await again.handle.result();
    expect(outcome).toBe('deployed');
    expect(outputs.approval?.votes).toMatchObject([{ by: 'ada', how: 'update' }]);
    const { stages } = await again.status();
    expect(stages.map(({ state }) => state)).toEqual([...Array(11).fill('reused'), 'done', 'done']);
    for (const once of ['ingest', 'validate', 'split', 'prepare', 'evaluate', 'register'] as const)
      expect([once, scenario.count(once)]).toEqual([once, 1]);
    expect(scenario.count('trainTrial')).toBe(2);
  });

  it('gives the new MLflow run its data too', async () => {
    const scenario = new Scenario();
    const run = await failedAtPrecheck(scenario);
    const again = await bench.lifecycle(scenario, {}, await retryOf(run, 'precheck'), '-again');
    await again.handle.result();
    expect(scenario.count('openTracking')).toBe(2);
    const [first, second] = scenario.inputs('recordData');
    expect(second?.ingest.digest).toBe(first?.ingest.digest);
  });

  it('asks again where it is taken up before the approval', async () => {
    const scenario = new Scenario();
    const run = await failedAtPrecheck(scenario);
    const again = await bench.lifecycle(scenario, {}, await retryOf(run, 'approval'), '-again');
    const { candidate, votes } = await again.awaiting();
    expect(votes).toEqual([]);
    await again.approve(candidate, 'grace');
    expect((await again.handle.result()).outcome).toBe('deployed');
  });

  it('is refused where the earlier run lacks an output', async () => {
    const scenario = new Scenario();
    const run = await failedAtPrecheck(scenario);
    const without = await retryOf(run, 'register', ({ split: _, ...rest }) => rest);
    const again = await bench.lifecycle(scenario, {}, without, '-again');
    expect(await failure(again.handle.result())).toEqual({
      type: 'InputInvalid',
      message:
        'cannot resume at register: the earlier run has no output of stage split; resume at split or before',
    });
    expect(scenario.count('openTracking')).toBe(1);
  });

  it('is refused with an approval of another candidate', async () => {
    const scenario = new Scenario();
    const run = await failedAtPrecheck(scenario);
    const forged = await retryOf(run, 'precheck', (outputs) => ({
      ...outputs,
      ...(outputs.approval ? { approval: { ...outputs.approval, candidate: 'f'.repeat(64) } } : {}),
    }));
    const again = await bench.lifecycle(scenario, {}, forged, '-again');
    expect(await failure(again.handle.result())).toMatchObject({
      type: 'InputInvalid',
      message: expect.stringContaining('of another candidate'),
    });
    expect(scenario.count('askEndpoint')).toBe(0);
  });
});
