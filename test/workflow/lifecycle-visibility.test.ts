import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { QUERIES } from '../../contracts/names.ts';
import { MEDIA_TYPES } from '../../contracts/refs.ts';
import { artifact, smallSpec, trainedTrial } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { eventually, type Lifecycle, WorkflowBench } from '../support/workflow-bench.ts';

const PAYLOAD_LIMIT = 256 * 1024;

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

/** What the Temporal UI shows of a run. */
const details = async (run: Lifecycle): Promise<string> =>
  (await run.handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails;

const attributes = async (run: Lifecycle): Promise<Record<string, unknown>> => {
  const { searchAttributes } = await run.handle.describe();
  return Object.fromEntries(Object.entries(searchAttributes).map(([name, values]) => [name, values?.[0]]));
};

describe.concurrent('what can be seen of a run', () => {
  it('is found by its search attributes', async () => {
    const run = await bench.lifecycle(new Scenario(), { name: 'visible' });
    const { candidate } = await run.awaiting();
    expect(await attributes(run)).toMatchObject({
      PerennialPipeline: 'visible',
      PerennialStage: 'approval',
      PerennialModelVersion: 'churn/1',
      PerennialAwaitingApproval: true,
    });
    const query = `PerennialAwaitingApproval = true AND PerennialPipeline = 'visible'`;
    const listed = await eventually(async () => {
      for await (const found of bench.client.workflow.list({ query })) return found.workflowId;
      return undefined;
    }, 'the run in the list');
    expect(listed).toBe(run.handle.workflowId);
    await run.approve(candidate);
    await run.handle.result();
    expect(await attributes(run)).toMatchObject({
      PerennialStage: 'deploy',
      PerennialAwaitingApproval: false,
    });
  });

  it('shows its stages, its links and what it waits for in the current details', async () => {
    const run = await bench.lifecycle(new Scenario());
    const { candidate } = await run.awaiting();
    const waiting = await details(run);
    expect(waiting).toContain('| ✓ | ingest |');
    expect(waiting).toContain('1,000 rows × 3 columns from 1 source(s), 10 rows set aside');
    expect(waiting).toContain('| ▶ | approval |');
    expect(waiting).toContain(`**Waiting for approval** of candidate \`${candidate.slice(0, 12)}\``);
    expect(waiting).toContain('[What you sign](http://mlflow.test/#/models/churn/versions/1)');
    await run.approve(candidate);
    await run.handle.result();
    const over = await details(run);
    expect(over).toContain('**churn**: deployed');
    expect(over).not.toContain('Waiting for approval');
  });

  it('answers its queries after its end', async () => {
    const run = await bench.lifecycle(new Scenario(), { approval: { required: false } });
    const { outputs } = await run.handle.result();
    expect(await run.handle.query(QUERIES.outputs)).toEqual(outputs);
    expect(await run.handle.query(QUERIES.input)).toEqual({
      spec: smallSpec({ approval: { required: false } }),
    });
    expect(await run.status()).toMatchObject({ state: 'done', pipeline: 'churn' });
  });

  it('reads its spec from the artifact store where it is a reference', async () => {
    const scenario = new Scenario({
      loadSpec: async () => ({ spec: { ...smallSpec({ name: 'stored', approval: { required: false } }) } }),
    });
    const specRef = artifact('spec', MEDIA_TYPES.json);
    const run = await bench.lifecycleOf(scenario, { specRef });
    expect((await run.handle.result()).pipeline).toBe('stored');
    expect(scenario.inputs('loadSpec')).toEqual([{ specRef }]);
  });

  it('keeps every payload below 256 KB with fifty candidates that fail at length', async () => {
    const scenario = new Scenario();
    const candidates = Array.from({ length: 50 }, (_, i) => ({
      name: `c${i}`,
      trainer: 'logistic' as const,
    }));
    scenario.let('trainTrial', async ({ candidate }) => {
      if (candidate.name === 'c49') return trainedTrial('c49', 'logistic');
      throw ApplicationFailure.nonRetryable('x'.repeat(20_000), 'TrainerFailed');
    });
    const run = await bench.lifecycle(scenario, {
      candidates,
      training: { parallelism: 16, budget: { trials: 50 } },
      approval: { required: false },
    });
    await run.handle.result();
    const { events } = await run.handle.fetchHistory();
    const completed =
      events?.at(-1)?.workflowExecutionCompletedEventAttributes?.result?.payloads?.[0]?.data?.length;
    expect(completed).toBeGreaterThan(10_000);
    expect(completed).toBeLessThan(PAYLOAD_LIMIT);
  });
});
