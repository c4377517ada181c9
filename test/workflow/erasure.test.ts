import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { ErasurePlan } from '../../contracts/erasure.ts';
import { erasureResult } from '../../contracts/erasure.ts';
import { WORKFLOW_TYPES } from '../../contracts/names.ts';
import { failure } from '../support/failures.ts';
import { artifact, nothingToErase } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const REQUEST = artifact('a request', 'application/json');

const found: ErasurePlan = {
  ...nothingToErase,
  plan: artifact('a plan with steps', 'application/json'),
  steps: 3,
  findings: {
    ...nothingToErase.findings,
    pipelines: ['churn'],
    found: [{ store: 'artifacts', kind: 'train', places: 1, rows: 2, pipelines: ['churn'] }],
  },
};

/** Plans that are answered one after the other; then there is nothing any more. */
function plans(...given: ErasurePlan[]): Scenario {
  const left = [...given];
  return new Scenario({ planErasure: async () => left.shift() ?? nothingToErase });
}

const erase = (scenario: Scenario, input: object = {}): Promise<unknown> =>
  bench.client.workflow.execute(WORKFLOW_TYPES.erasure, {
    workflowId: `erasure-${scenario.id}`,
    taskQueue: bench.taskQueue,
    args: [{ request: REQUEST, ...input }],
  });

describe('an erasure', () => {
  it('keeps the person out first, erases, looks again, and deletes what it stored', async () => {
    const scenario = plans(found);
    const result = erasureResult.parse(await erase(scenario, { by: 'dpo' }));
    expect(scenario.calls.map(({ name }) => name)).toEqual([
      'suppressPerson',
      'planErasure',
      'erasePerson',
      'planErasure',
      'certifyErasure',
      'forgetRequest',
    ]);
    expect(result).toMatchObject({ complete: true, found: found.findings.found, pipelines: ['churn'] });
    expect(scenario.inputs('certifyErasure')[0]).toMatchObject({
      by: 'dpo',
      certificate: result.certificate,
    });
    expect(scenario.inputs('forgetRequest')[0]?.artifacts).toEqual([
      REQUEST,
      found.plan,
      nothingToErase.plan,
    ]);
  });

  it('plans again where the plan no longer fits, and counts once', async () => {
    const scenario = plans(found, found);
    let calls = 0;
    scenario.let('erasePerson', async () => ({ taken: calls++ > 0 }));
    const result = erasureResult.parse(await erase(scenario));
    expect(result.found).toEqual(found.findings.found);
    expect(scenario.count('erasePerson')).toBe(2);
  });

  it('is not complete where a place could not be looked through, or something is always left', async () => {
    const blind = {
      ...nothingToErase,
      findings: {
        ...nothingToErase.findings,
        unsearched: [{ store: 'artifacts', kind: 'train', places: 1, pipelines: ['churn'], why: 'no key' }],
      },
    };
    expect(await erase(plans(blind))).toMatchObject({ complete: false });
    const scenario = new Scenario({ planErasure: async () => found });
    expect(await erase(scenario)).toMatchObject({ complete: false });
    expect(scenario.count('erasePerson')).toBe(5);
  });

  it('refuses while lifecycle runs are in the way, and deletes the request', async () => {
    const scenario = plans({ ...found, running: ['churn-1'] });
    const { type, message } = await failure(erase(scenario));
    expect(type).toBe('ErasureBlocked');
    expect(message).toContain('churn-1');
    expect([scenario.count('erasePerson'), scenario.count('forgetRequest')]).toEqual([0, 1]);
  });

  it('waits for them where it is told to', async () => {
    const scenario = plans({ ...found, running: ['churn-1'] }, found);
    expect(await erase(scenario, { wait: true })).toMatchObject({ complete: true });
    expect(scenario.count('erasePerson')).toBe(1);
  });

  it('changes nothing in a dry run', async () => {
    const scenario = plans(found);
    expect(await erase(scenario, { dryRun: true })).toMatchObject({
      certificate: null,
      pipelines: ['churn'],
    });
    expect(scenario.calls.map(({ name }) => name)).toEqual(['planErasure', 'forgetRequest']);
  });
});
