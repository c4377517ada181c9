import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { CachePolicy } from '../../contracts/cache.ts';
import type { LifecycleInput } from '../../contracts/lifecycle.ts';
import { parts } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const STAGES = ['ingest', 'validate', 'protect', 'split', 'prepare'] as const;

describe.concurrent('what a run asks of the step cache', () => {
  const asked = async (
    spec: object,
    cache?: LifecycleInput['cache'],
  ): Promise<(CachePolicy | undefined)[]> => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(
      scenario,
      // Gates that fail end the run without a person.
      { ...spec, evaluation: { gates: [{ metric: 'roc_auc', min: 0.999 }] } },
      cache === undefined ? {} : { cache },
    );
    expect(await run.handle.result()).toMatchObject({ outcome: 'gates_failed' });
    return STAGES.map((stage) => scenario.inputs(stage)[0]?.cache);
  };
  const all = (policy: CachePolicy): CachePolicy[] => STAGES.map(() => policy);

  it('by default, what is at most thirty days old', async () =>
    expect(await asked({})).toEqual(all({ mode: 'use', ttl: '30d' })));

  it('nothing with --no-cache, or where the spec says so', async () => {
    const off = all({ mode: 'off', ttl: '30d' });
    expect(await asked({}, { use: false })).toEqual(off);
    expect(await asked({ cache: { enabled: false } }, { refresh: ['split'] })).toEqual(off);
  });

  it('only that stage anew with --refresh, and the age of the spec', async () => {
    const policies = await asked({ cache: { maxAge: '2h' } }, { refresh: ['split', 'ingest'] });
    expect(policies.map((policy) => `${policy?.mode} ${policy?.ttl}`)).toEqual([
      'refresh 2h',
      'use 2h',
      'use 2h',
      'refresh 2h',
      'use 2h',
    ]);
  });
});

it('a stage that was taken over says since when', async () => {
  const storedAt = '2026-01-02T03:04:05.000Z';
  const scenario = new Scenario({
    split: async () => ({ ...parts, cache: { key: 'a'.repeat(64), hit: true, storedAt } }),
  });
  const run = await bench.lifecycle(scenario, { evaluation: { gates: [{ metric: 'roc_auc', min: 0.999 }] } });
  await run.handle.result();
  const { stages } = await run.status();
  const said = stages.filter(({ summary }) => summary?.includes(`unchanged since ${storedAt}`));
  expect(said.map(({ name }) => name)).toEqual(['split']);
});
