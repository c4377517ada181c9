import { heartbeat, sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { startReproduction, statesOf } from '../../client/lineage-questions.ts';
import { PerennialClient } from '../../client/perennial-client.ts';
import { WORKFLOW_TYPES } from '../../contracts/names.ts';
import { failure } from '../support/failures.ts';
import { reproductionPlan } from '../support/lineage-samples.ts';
import { artifact } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const perennial = (): PerennialClient => new PerennialClient(bench.client, bench.taskQueue);
/** The scenario is found by its id in the id of the workflow, which the model's name is part of. */
const start = (scenario: Scenario) =>
  startReproduction(perennial(), { modelName: scenario.id, version: '3', startedBy: 'me' });

describe('workflow reproduction', () => {
  it('goes through all stages without the step cache, trains once and registers nothing', async () => {
    const scenario = new Scenario();
    const { workflowId, result } = await start(scenario);
    expect(await result()).toMatchObject({ verdict: 'identical', departed: null, run: { workflowId } });
    expect(scenario.calls.map(({ name }) => name)).toEqual([
      ...['openReproduction', 'ingest', 'validate', 'protect', 'split', 'recordData', 'prepare'],
      ...['trainTrial', 'finishCandidate', 'evaluate', 'closeReproduction'],
    ]);
    for (const stage of ['ingest', 'validate', 'protect', 'split', 'prepare'] as const)
      expect(scenario.inputs(stage)[0]?.cache).toEqual({ mode: 'off' });
    expect(scenario.inputs('validate')[0]).toMatchObject({
      asOf: reproductionPlan().asOf,
      champion: null,
    });
    expect(scenario.inputs('openReproduction')[0]).toMatchObject({ version: '3', startedBy: 'me' });
    expect(scenario.inputs('closeReproduction')[0]).toMatchObject({
      status: 'FINISHED',
      result: { verdict: 'identical' },
    });
    const [pipeline] =
      (await bench.client.workflow.getHandle(workflowId).describe()).searchAttributes.PerennialPipeline ?? [];
    expect(pipeline).toBe('churn');
  });

  it('a stage that fails closes the MLflow run and says why', async () => {
    const scenario = new Scenario({
      split: async () => {
        throw ApplicationFailure.nonRetryable('a part has no rows', 'SplitEmpty');
      },
    });
    const { result } = await start(scenario);
    expect(await failure(result())).toEqual({ type: 'SplitEmpty', message: 'a part has no rows' });
    expect(scenario.inputs('closeReproduction')).toEqual([
      expect.objectContaining({ result: null, status: 'FAILED' }),
    ]);
  });

  it('cancelled while it trains, it closes the MLflow run', async () => {
    let release = (): void => undefined;
    const training = new Promise<void>((resolve) => {
      release = resolve;
    });
    const scenario = new Scenario({
      trainTrial: async () => {
        release();
        for (;;) {
          heartbeat();
          await sleep(100);
        }
      },
    });
    const { workflowId, result } = await start(scenario);
    const ended = failure(result());
    await training;
    await bench.client.workflow.getHandle(workflowId).cancel();
    expect((await ended).type).toBe('Cancelled');
    expect(scenario.inputs('closeReproduction')).toEqual([
      expect.objectContaining({ result: null, status: 'KILLED' }),
    ]);
  });

  it.each([undefined, {}, { modelName: 'churn', version: 'three' }, { modelName: '', version: '3' }])(
    'refuses %j',
    async (input) => {
      const result = bench.client.workflow.execute(WORKFLOW_TYPES.reproduction, {
        workflowId: new Scenario().id,
        taskQueue: bench.taskQueue,
        args: input === undefined ? [] : [input],
      });
      const { type, message } = await failure(result);
      expect(type).toBe('InputInvalid');
      expect(message).toMatch(/^the argument of workflow reproduction: ./);
    },
  );
});

describe('workflow lineage', () => {
  it('is what the client asks', async () => {
    const scenario = new Scenario();
    const { sha256 } = artifact('a');
    const answer = await bench.client.workflow.execute(WORKFLOW_TYPES.lineage, {
      workflowId: scenario.id,
      taskQueue: bench.taskQueue,
      args: [{ digests: [sha256] }],
    });
    expect(answer).toMatchObject({ states: [{ sha256, stored: true }] });
    expect(scenario.inputs('artifactStates')).toEqual([{ digests: [sha256] }]);
  });

  it('refuses what is no digest', async () => {
    const refused = await failure(statesOf(perennial(), ['abc']));
    expect(refused.type).toBe('InputInvalid');
  });
});
