import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { PerennialClient } from '../../client/perennial-client.ts';
import { WORKFLOW_TYPES } from '../../contracts/names.ts';
import { failure } from '../support/failures.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const ask = (scenario: Scenario, input: unknown): Promise<unknown> =>
  bench.client.workflow.execute(WORKFLOW_TYPES.cache, {
    workflowId: scenario.id,
    taskQueue: bench.taskQueue,
    args: [input],
  });

describe('workflow cache', () => {
  it.each([
    [{ action: 'list', stage: 'split' }, 'listCache', { stage: 'split', limit: 100 }, { total: 0 }],
    [{ action: 'remove', all: true }, 'removeCached', { all: true }, { removed: 3 }],
    [
      { action: 'remove', pipeline: 'bank' },
      'removeCached',
      { pipeline: 'bank', all: false },
      { removed: 3 },
    ],
    [{ action: 'collect' }, 'collectCache', { keep: '30d' }, { removed: 1, kept: 2 }],
  ] as const)('told %j asks for %s', async (input, activity, given, answer) => {
    const scenario = new Scenario();
    expect(await ask(scenario, input)).toMatchObject(answer);
    expect(scenario.inputs(activity)).toEqual([given]);
  });

  it.each([{ action: 'remove' }, { action: 'remove', all: true, stage: 'split' }, { action: 'forget' }])(
    'refuses %j',
    async (input) => {
      const { type, message } = await failure(ask(new Scenario(), input));
      expect(type).toBe('InputInvalid');
      expect(message).toMatch(/^the argument of workflow cache: ./);
    },
  );

  it('is what the client asks', async () => {
    const client = new PerennialClient(bench.client, bench.taskQueue);
    const refused = await failure(client.removeCached({}));
    expect(refused).toMatchObject({
      type: 'InputInvalid',
      message: expect.stringContaining('or ask for all'),
    });
  });
});
