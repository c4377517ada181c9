import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { rolloutResult, rolloutStatus } from '../../contracts/rollout.ts';
import type { Moments, TruthReport } from '../../contracts/rollout-evidence.ts';
import { failure, refusal } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { RolloutBench } from '../support/rollout-bench.ts';
import { cancelAndSettle, eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const started = () => RolloutBench.start(bench);

/** A canary of one or more steps that are held for no longer than a look. */
const canary = (shares: number[], more: object = {}) => ({
  strategy: 'canary' as const,
  steps: shares.map((share) => ({ share, hold: '10ms', minRequests: 50 })),
  ...more,
});
/** A step that is held for ever, so that a test can do something in it. */
const held = (share: number, more: object = {}) => ({
  strategy: 'canary' as const,
  steps: [{ share, hold: '1d', minRequests: 50 }],
  ...more,
});

/** Values around a mean, as sums. */
const moments = (count: number, mean: number, sd = 0.2): Moments => ({
  count,
  mean,
  m2: sd * sd * count,
  min: 0,
  max: 1,
});

const truth = (
  { since, until }: { since: string; until: string },
  candidate: Moments,
  champion: Moments,
): TruthReport => ({
  since,
  until,
  unreadable: 0,
  versions: [
    { version: '2', rows: candidate.count * 2, quality: candidate, business: null },
    { version: '1', rows: champion.count * 2, quality: champion, business: null },
  ],
});

describe.concurrent('a roll-out', () => {
  it('without steps gives the candidate all traffic at once', async () => {
    const { rollout, shares, endpoint } = await run({});
    expect(rolloutResult.parse(await rollout.result())).toMatchObject({
      outcome: 'promoted',
      version: '2',
      previousVersion: '1',
      generation: 2,
    });
    expect(shares()).toEqual(['1 100', '2 100']);
    expect(await endpoint.state()).toMatchObject({ alias: '2', slot: null });
  });

  it('of the first version of an endpoint needs no steps: there is nothing to be held against', async () => {
    const fresh = await RolloutBench.start(bench, { champion: false });
    const rollout = await fresh.rollout('1', canary([50]), { judgedAgainst: null });
    expect(await rollout.result()).toMatchObject({ outcome: 'promoted', version: '1' });
    expect(fresh.shares).toEqual(['1 100']);
  });

  it('as canary goes up step by step, and only while guards have passed', async () => {
    const { rollout, shares, world } = await run(canary([25, 50]));
    const result = await rollout.result();
    expect(result).toMatchObject({ outcome: 'promoted', reason: 'every step passed' });
    expect(result.verdicts.map(({ state }) => state)).toEqual(['passed', 'passed', 'passed', 'passed']);
    expect(shares()).toEqual(['1 100', '1 75, 2 25', '1 50, 2 50', '2 100']);
    const tags = world.scenario.inputs('tagVersion').find(({ version }) => version === '2')?.tags;
    expect(JSON.parse(tags?.['perennial.rollout'] ?? '')).toMatchObject({ outcome: 'promoted' });
    expect(rolloutStatus.parse(await rollout.status())).toMatchObject({ outcome: 'promoted', share: 100 });
  });

  it.each([
    ['errorRate', { failures: { crash: 40 } }],
    ['invalidOutputs', { failures: { 'invalid-output': 60 } }],
    ['latency', { latencyMs: 80 }],
    ['predictions', { probability: 0.9 }],
  ] as const)(
    'is rolled back by the guard %s, which is named with its numbers and window',
    async (guard, behaviour) => {
      const world = await started();
      world.traffic.behave('2', behaviour);
      const rollout = await world.rollout('2', held(50));
      const result = await rollout.result();
      expect(result).toMatchObject({ outcome: 'rolled_back', generation: 3 });
      expect(result.reason).toMatch(
        new RegExp(`^guard ${guard} is breached in canary at 50 %, window 20.*Z to 20.*Z: `),
      );
      expect(result.verdicts.find((verdict) => verdict.guard === guard)).toMatchObject({ state: 'breached' });
      expect(world.shares).toEqual(['1 100', '1 50, 2 50', '1 100']);
      expect(await world.endpoint.state()).toMatchObject({
        current: { version: '1' },
        slot: null,
        alias: '1',
      });
      const [tagged] = world.scenario.inputs('tagVersion');
      expect(JSON.parse(tagged?.tags['perennial.rollout'] ?? '')).toMatchObject({ outcome: 'rolled_back' });
      expect(world.scenario.inputs('retireCandidate')).toMatchObject([{ version: '2', why: 'rolled_back' }]);
      expect(world.scenario.inputs('notify')).toMatchObject([{ kind: 'rollout.rolled-back', version: '2' }]);
    },
  );

  it('that gets no traffic is never taken for good', async () => {
    const world = await started();
    world.traffic.perLook = 0;
    const rollout = await world.rollout('2', canary([50], { patience: '2s' }));
    const result = await rollout.result();
    expect(result.outcome).toBe('rolled_back');
    expect(result.reason).toContain('not enough data for canary at 50 % after 2s: 0 of 50 requests');
  });

  it('as blue-green warms up, takes all traffic, and is held against the champion of before', async () => {
    const world = await started();
    world.traffic.perLook = 1_000;
    const rollout = await world.rollout('2', { strategy: 'blue-green', hold: '10ms' });
    expect(await rollout.result()).toMatchObject({ outcome: 'promoted' });
    expect(world.shares).toEqual(['1 100', '1 100, 2 0', '1 0, 2 100', '2 100']);
  });

  it('as blue-green does not switch before the champion has what it is to be held against', async () => {
    const world = await started();
    world.traffic.perLook = 0;
    const rollout = await world.rollout('2', { strategy: 'blue-green', hold: '10ms', patience: '1s' });
    expect((await rollout.result()).reason).toContain(
      'not enough data for warm-up at 0 % after 1s: 0 of 200 requests of the champion before the switch',
    );
    expect(world.shares).toEqual(['1 100', '1 100, 2 0', '1 100']);
  });

  it('as blue-green goes back to the champion that was kept warm', async () => {
    const world = await started();
    world.traffic.behave('2', { failures: { deadline: 50 } });
    const rollout = await world.rollout('2', { strategy: 'blue-green', hold: '1d' });
    expect((await rollout.result()).reason).toContain('guard errorRate is breached in blue-green at 100 %');
    expect(world.shares.at(-1)).toBe('1 100');
  });

  it('as shadow answers nobody until it is promoted', async () => {
    const world = await started();
    const rollout = await world.rollout('2', { strategy: 'shadow', hold: '10ms' });
    expect(await rollout.result()).toMatchObject({ outcome: 'promoted' });
    const [, shadow] = world.scenario.inputs('applyRoutes');
    expect(shadow?.table.routes).toMatchObject([
      { role: 'champion', weight: 100 },
      { role: 'shadow', weight: 100 },
    ]);
  });

  it('as A/B test ends when one of the two is significantly better', async () => {
    const world = await started();
    world.scenario.let('observeTruth', async (question) =>
      truth(question, moments(5_000, 0.1), moments(5_000, 0.15)),
    );
    const rollout = await world.rollout('2', { strategy: 'ab', guards: { quality: {} } });
    const result = await rollout.result();
    expect(result.outcome).toBe('promoted');
    expect(result.verdicts.find(({ guard }) => guard === 'quality')?.state).toBe('better');
  });

  it('as A/B test is undecided at its end, and rolled back', async () => {
    const world = await started();
    // Where the machine is slow there is time for one look.
    world.traffic.perLook = 10_000;
    world.scenario.let('observeTruth', async (question) =>
      truth(question, moments(5_000, 0.15), moments(5_000, 0.15)),
    );
    const rollout = await world.rollout('2', { strategy: 'ab', end: '2s', guards: { quality: {} } });
    expect(await rollout.result()).toMatchObject({ outcome: 'rolled_back' });
    expect((await rollout.status()).reason).toContain('is undecided, which means rollback');
  });

  it('on probation waits for late labels, over continue-as-new, and rolls back by them', async () => {
    const world = await started();
    let late = false;
    world.scenario.let('observeTruth', async (question) =>
      late
        ? truth(question, moments(4_000, 0.3), moments(4_000, 0.1))
        : truth(question, moments(0, 0, 0), moments(0, 0, 0)),
    );
    const rollout = await world.rollout(
      '2',
      canary([50], { probation: { for: '30d', look: '100ms' }, guards: { quality: {} } }),
      { continueAfter: 3 },
    );
    const first = (await rollout.handle.describe()).runId;
    await rollout.until(({ steps, step }) => steps[step]?.name === 'probation', 'the probation');
    await eventually(
      async () => ((await rollout.handle.describe()).runId === first ? undefined : true),
      'a new run',
    );
    expect(await rollout.status()).toMatchObject({ phase: 'running', share: 50 });
    late = true;
    const result = await rollout.result();
    expect(result.outcome).toBe('rolled_back');
    expect(result.reason).toContain('guard quality is breached in probation at 50 %');
    const [asked] = world.scenario.inputs('observeTruth').slice(-1);
    const [shifted] = world.scenario.inputs('applyRoutes').slice(1);
    expect(asked?.versions).toEqual(['2', '1']);
    expect(Date.parse(asked?.until ?? '') - Date.parse(asked?.since ?? '')).toBeGreaterThan(0);
    expect(shifted?.table.generation).toBe(2);
  });

  it('pauses without losing sight of its guards, and resumes', async () => {
    const world = await started();
    // Without requests no step is over.
    world.traffic.perLook = 0;
    const rollout = await world.rollout('2', canary([50]));
    await rollout.until(({ phase, stepSince }) => phase === 'running' && stepSince !== null, 'the step');
    expect(await rollout.order('pause')).toMatchObject({ paused: true });
    // From now on only the pause holds it.
    world.traffic.perLook = 4_000;
    const looks = world.scenario.count('observeTraffic');
    await eventually(
      async () => world.scenario.count('observeTraffic') >= looks + 3 || undefined,
      'looks in the pause',
    );
    expect(await rollout.status()).toMatchObject({ phase: 'running', step: 0 });
    expect(await rollout.order('resume')).toMatchObject({ paused: false });
    expect(await rollout.result()).toMatchObject({ outcome: 'promoted' });
    const noted = world.scenario
      .inputs('recordAudit')
      .flatMap(({ entries }) => entries.map(({ action }) => action));
    expect(noted).toEqual(expect.arrayContaining(['rollout.paused', 'rollout.resumed', 'rollout.ended']));
  });

  it('is rolled back by a guard also in a pause', async () => {
    const world = await started();
    const rollout = await world.rollout('2', held(50));
    await rollout.until(({ stepSince }) => stepSince !== null, 'the step');
    await rollout.order('pause');
    world.traffic.behave('2', { failures: { crash: 80 } });
    world.traffic.restart();
    expect(await rollout.result()).toMatchObject({ outcome: 'rolled_back' });
  }, 60_000);

  it('takes another share from a person, whose window begins anew', async () => {
    const world = await started();
    const rollout = await world.rollout('2', held(50));
    await rollout.until(({ stepSince }) => stepSince !== null, 'the step');
    expect(await rollout.traffic(10)).toMatchObject({ share: 10 });
    expect(world.shares.at(-1)).toBe('1 90, 2 10');
    expect(await rollout.order('rollback', 'ada', 'enough')).toMatchObject({
      outcome: 'rolled_back',
      reason: 'enough',
    });
    expect(await refusal(rollout.traffic(20))).not.toBe('');
  });

  it('is promoted by a person before its steps are over', async () => {
    const world = await started();
    const rollout = await world.rollout('2', held(5));
    await rollout.until(({ stepSince }) => stepSince !== null, 'the step');
    expect(await rollout.order('promote', 'ada', 'I looked')).toMatchObject({ outcome: 'promoted' });
    expect(await rollout.result()).toMatchObject({ reason: 'I looked' });
    const [ended] = world.scenario
      .inputs('recordAudit')
      .flatMap(({ entries }) => entries)
      .filter(({ action }) => action === 'rollout.ended');
    expect(ended).toMatchObject({ by: 'ada', how: 'named' });
  });

  it('loses no order while it continues as new after every look', async () => {
    const world = await started();
    const rollout = await world.rollout('2', held(50), { continueAfter: 1 });
    await rollout.until(({ stepSince }) => stepSince !== null, 'the step');
    for (const share of [10, 20, 30, 40]) {
      expect(await rollout.traffic(share)).toMatchObject({ share });
      expect(world.shares.at(-1)).toBe(`1 ${100 - share}, 2 ${share}`);
    }
    expect(await rollout.order('promote')).toMatchObject({ outcome: 'promoted' });
    expect(await rollout.result()).toMatchObject({ outcome: 'promoted' });
  });

  it('ends where the endpoint is rolled back by a person', async () => {
    const world = await started();
    const rollout = await world.rollout('2', held(50));
    await rollout.until(({ stepSince }) => stepSince !== null, 'the step');
    expect(await world.endpoint.rollback('away', { reason: 'customers complain' })).toMatchObject({
      version: '1',
    });
    expect(await rollout.result()).toMatchObject({ outcome: 'rolled_back', reason: 'customers complain' });
  });

  it('waits for the one before, and is stale where that one was promoted', async () => {
    const world = await started();
    const first = await world.rollout('2', held(50));
    await first.until(({ stepSince }) => stepSince !== null, 'the step');
    const second = await world.rollout('3', held(50));
    await second.until(({ phase }) => phase === 'queued', 'the queue');
    await eventually(async () => (await world.endpoint.state()).queue[0], 'the queue of the endpoint');
    await first.order('promote');
    expect(await failure(second.result())).toMatchObject({
      type: 'CandidateStale',
      message: expect.stringContaining('version 3 was judged against version 1, but version 2 serves'),
    });
    const refused = world.scenario
      .inputs('recordAudit')
      .flatMap(({ entries }) => entries)
      .filter(({ outcome }) => outcome === 'refused');
    expect(refused).toMatchObject([{ action: 'rollout.admitted', version: '3' }]);
    const third = await world.rollout('4', {}, { judgedAgainst: '2' });
    expect(await third.result()).toMatchObject({ outcome: 'promoted', previousVersion: '2' });
  });

  it('waits for the one before, and takes its turn where that one went away', async () => {
    const world = await started();
    const first = await world.rollout('2', held(50));
    await first.until(({ stepSince }) => stepSince !== null, 'the step');
    const second = await world.rollout('3', canary([50]));
    await eventually(async () => (await world.endpoint.state()).queue[0], 'the queue of the endpoint');
    expect(await refusal(second.order('promote'))).toContain('waits for its turn behind another roll-out');
    await first.order('rollback');
    expect(await second.result()).toMatchObject({ outcome: 'promoted', previousVersion: '1' });
  });

  it('supersedes the one before where the policy says so', async () => {
    const world = await started();
    const first = await world.rollout('2', held(50));
    await first.until(({ stepSince }) => stepSince !== null, 'the step');
    const second = await world.rollout('3', canary([50], { busy: 'supersede' }));
    expect(await first.result()).toMatchObject({
      outcome: 'superseded',
      reason: 'version 3 takes its place',
    });
    expect(await second.result()).toMatchObject({ outcome: 'promoted' });
    expect(world.shares).toEqual(['1 100', '1 50, 2 50', '1 100', '1 50, 3 50', '3 100']);
  });

  it('fails where a server cannot load the candidate, and leaves the champion alone', async () => {
    const world = await started();
    world.scenario.let('applyRoutes', async ({ table }) => {
      if (table.routes.some(({ model }) => model.version === '2'))
        throw ApplicationFailure.nonRetryable('the model needs 9 GB', 'ModelInvalid');
      return {
        serverId: world.scenario.serverOfTask(),
        endpoint: table.endpoint,
        generation: table.generation,
        versions: [],
      };
    });
    const rollout = await world.rollout('2', held(50));
    expect(await failure(rollout.result())).toMatchObject({
      type: 'RolloutFailed',
      message: expect.stringContaining('the model needs 9 GB; version 1 serves again'),
    });
    expect(await world.endpoint.state()).toMatchObject({ slot: null, current: { version: '1' } });
  });

  it('takes the candidate away when it is cancelled', async () => {
    const world = await started();
    const rollout = await world.rollout('2', held(50));
    await rollout.until(({ stepSince }) => stepSince !== null, 'the step');
    await cancelAndSettle(rollout.handle);
    expect((await failure(rollout.result())).type).toBe('Cancelled');
    expect(world.shares.at(-1)).toBe('1 100');
    expect((await world.endpoint.state()).slot).toBeNull();
  });

  it('rolls back at once while MLflow is away, and tags the version when it is back', async () => {
    const world = await started();
    const away = new Gate();
    world.scenario.let('tagVersion', () => away.opened);
    world.traffic.behave('2', { failures: { crash: 90 } });
    const rollout = await world.rollout('2', held(50));
    await rollout.until(({ outcome }) => outcome === 'rolled_back', 'the rollback');
    expect(world.shares.at(-1)).toBe('1 100');
    away.open();
    expect(await rollout.result()).toMatchObject({ outcome: 'rolled_back' });
  });

  it('counts what a server saw before it was started again', async () => {
    const world = await started();
    world.traffic.perLook = 200;
    const rollout = await world.rollout('2', {
      strategy: 'canary',
      steps: [{ share: 50, hold: '10ms', minRequests: 250 }],
    });
    await eventually(async () => (world.scenario.count('observeTraffic') > 0 ? true : undefined), 'a look');
    world.traffic.restart();
    expect(await rollout.result()).toMatchObject({ outcome: 'promoted' });
  });

  it('refuses an argument that is none', async () => {
    const wrong = await bench.client.workflow.start('rollout', {
      workflowId: `wrong-${Math.random()}`,
      taskQueue: bench.taskQueue,
      args: [{ endpoint: 'x' }],
    });
    expect(await failure(wrong.result())).toMatchObject({ type: 'InputInvalid' });
  });
});

async function run(plan: Parameters<RolloutBench['rollout']>[1]) {
  const world = await started();
  const rollout = await world.rollout('2', plan);
  return { world, rollout, endpoint: world.endpoint, shares: () => world.shares };
}
