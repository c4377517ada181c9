import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { housekeepingResult } from '../../contracts/housekeeping.ts';
import { WORKFLOW_TYPES } from '../../contracts/names.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

describe('housekeeping', () => {
  it.each([
    ['nothing', [], { keepFailedRuns: '7d', keepUnnamed: '7d', keepCache: '30d' }],
    ['null', [null], { keepFailedRuns: '7d', keepUnnamed: '7d', keepCache: '30d' }],
    ['one limit', [{ keepUnnamed: '1h' }], { keepFailedRuns: '7d', keepUnnamed: '1h', keepCache: '30d' }],
  ])('told %s collects the garbage once, with what it keeps', async (_, args, kept) => {
    const scenario = new Scenario();
    const result = await bench.client.workflow.execute(WORKFLOW_TYPES.housekeeping, {
      workflowId: scenario.id,
      taskQueue: bench.taskQueue,
      args,
    });
    expect(housekeepingResult.parse(result).deletedArtifacts).toBe(2);
    expect(scenario.inputs('collectGarbage')).toEqual([kept]);
  });
});
