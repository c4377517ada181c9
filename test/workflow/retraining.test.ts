import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { executeUpdate } from '../../client/execute-update.ts';
import type { RetrainingDecision } from '../../contracts/retraining.ts';
import { failure } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { RetrainingUnderTest } from '../support/retraining.ts';
import { ingested, servedModel, tracking } from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

const world = (scenario = new Scenario()) => ({
  scenario,
  retraining: new RetrainingUnderTest(bench, scenario),
});
const kindsOf = ({ reasons }: RetrainingDecision): string[] => reasons.map(({ kind }) => kind);

/** Runs fail before they train anything. */
const failing = (scenario: Scenario, words = 'the source is gone'): void =>
  scenario.let('ingest', async () => {
    throw ApplicationFailure.nonRetryable(words, 'SourceNotFound');
  });

describe('a run', () => {
  it('is started for a demand, with no author, and is on record from start to end', async () => {
    const { scenario, retraining } = world();
    await retraining.start({ cooldown: '1d', debounce: '1h' });
    const decision = await retraining.trigger({ kind: 'demand', reason: 'new prices', by: 'ada' });
    expect(decision).toMatchObject({ decision: 'start', why: 'demanded by ada', until: null });
    expect(decision.run).toMatch(new RegExp(`^${scenario.id}/retraining/\\d{8}-\\d{6}-\\d{3}$`));
    const { state, decisions } = await retraining.ended(1);
    expect(state.runs).toMatchObject([
      { workflowId: decision.run, kinds: ['demand'], outcome: 'deployed', version: '1', helped: null },
    ]);
    expect(state.runs[0]?.reasons).toBeUndefined();
    expect(decisions.map((one) => one.decision)).toEqual(['start', 'ended']);
    expect(scenario.inputs('openTracking')).toMatchObject([
      { startedBy: `retraining of ${scenario.id}: demand` },
    ]);
    const actions = (): string[] =>
      scenario
        .inputs('recordAudit')
        .filter(({ stream }) => stream.startsWith('retraining/'))
        .flatMap(({ entries }) => entries.map(({ action }) => action));
    await eventually(async () => (actions().length === 2 ? true : undefined), 'the audit log');
    expect(actions()).toEqual(['retraining.decided', 'retraining.ended']);
    const told = (): string[] =>
      scenario
        .inputs('notify')
        .map(({ kind }) => kind)
        .filter((kind) => kind.startsWith('retraining.'));
    await eventually(async () => (told().length === 2 ? true : undefined), 'the notices');
    expect(told()).toEqual(['retraining.started', 'retraining.ended']);
  });

  it('goes on alone: what comes meanwhile is one run after it', async () => {
    const { scenario, retraining } = world();
    const open = new Gate();
    scenario.let('openTracking', async () => {
      await open.opened;
      scenario.let('openTracking', async () => tracking);
      throw ApplicationFailure.nonRetryable('not this time', 'TrackerRejected');
    });
    await retraining.start({ on: { schedule: '0 3 1 * *', predictionDrift: true } });
    const first = await retraining.trigger({ kind: 'demand', reason: 'a' });
    const waits = await retraining.trigger({ kind: 'schedule', reason: 'b' });
    expect(waits).toMatchObject({ decision: 'wait', until: null });
    expect(waits.why).toContain(`${first.run} goes on`);
    await retraining.signal({ kind: 'prediction-drift', reason: 'c' });
    await retraining.signal({ kind: 'prediction-drift', reason: 'd' });
    const { state } = await retraining.until(
      ({ state: { pending } }) => pending.some(({ times }) => times === 2),
      'the reasons to wait',
    );
    expect(state.pending.map(({ kind, reason, times }) => [kind, reason, times])).toEqual([
      ['schedule', 'b', 1],
      ['prediction-drift', 'd', 2],
    ]);
    open.open();
    await retraining.ended(2);
    const runs = (await retraining.status()).decisions.filter(({ decision }) => decision === 'start');
    expect(runs.map(kindsOf)).toEqual([['demand'], ['schedule', 'prediction-drift']]);
  });
});

describe('a roll-out that goes on after its run', () => {
  it.each([
    ['the version came into production', servedModel('1'), null, 'deployed', null],
    ['it was rolled back', servedModel('0'), 'rolled_back', 'rolled_back', false],
    ['another candidate overtook it', servedModel('0'), 'superseded', 'superseded', null],
  ])('is waited for: %s', async (_, champion, tag, outcome, helped) => {
    const { scenario, retraining } = world();
    const over = new Gate();
    let running = true;
    void over.opened.then(() => {
      running = false;
    });
    const rollout = { strategy: 'canary' as const, wait: '1ms' };
    retraining.trains({ deployment: { rollout } });
    scenario.let('isRunning', async () => ({ running }));
    scenario.let('currentChampion', async () => ({ model: champion }));
    scenario.let('registeredVersion', async () => ({ model: null, outcome: tag }));
    await retraining.start();
    await retraining.trigger({ kind: 'demand' });
    await retraining.until(() => scenario.count('isRunning') > 0, 'the look at the roll-out');
    expect(await retraining.trigger({ kind: 'degradation' })).toMatchObject({
      decision: 'wait',
      why: expect.stringContaining('one run at a time'),
    });
    await retraining.answer({ decision: 'pause', by: 'ada' });
    over.open();
    const { state } = await retraining.ended(1);
    expect(state.runs).toMatchObject([{ outcome, helped, version: '1' }]);
  });
});

describe('rules of time', () => {
  it('debounce: reasons that come soon after the first are one run, which begins by itself', async () => {
    const { scenario, retraining } = world();
    await retraining.start({ debounce: '2s', on: { dataDrift: true } });
    const [first] = await Promise.all([
      retraining.trigger({ kind: 'degradation', reason: 'Brier 0.29' }),
      retraining.trigger({ kind: 'data-drift', reason: 'PSI 3.2' }),
    ]);
    expect(first).toMatchObject({ decision: 'wait' });
    expect(first.why).toMatch(/^debounce: /);
    const { decisions } = await retraining.ended(1);
    const started = decisions.filter(({ decision }) => decision === 'start');
    expect(started.map((one) => kindsOf(one).sort())).toEqual([['data-drift', 'degradation']]);
    expect(Date.parse(started[0]?.at ?? '')).toBeGreaterThanOrEqual(Date.parse(first.until ?? ''));
    expect(scenario.count('openTracking')).toBe(1);
  });

  it('cool-down: the next run begins that long after the end of the one before', async () => {
    const { retraining } = world();
    await retraining.start({ cooldown: '2s' });
    await retraining.trigger({ kind: 'demand' });
    await retraining.ended(1);
    const waits = await retraining.trigger({ kind: 'degradation' });
    expect(waits.decision).toBe('wait');
    const { state } = await retraining.ended(2);
    const [before, after] = state.runs;
    expect(Date.parse(after?.startedAt ?? '') - Date.parse(before?.endedAt ?? '')).toBeGreaterThanOrEqual(
      2_000,
    );
  });

  it('quiet hours hold everything back, a demand too, and say until when', async () => {
    const { retraining } = world();
    await retraining.start({
      quietHours: [
        { from: '00:00', to: '23:59' },
        { from: '23:59', to: '00:01' },
      ],
    });
    const demanded = await retraining.trigger({ kind: 'demand' });
    expect(demanded).toMatchObject({ decision: 'wait', until: null });
    expect(demanded.why).toMatch(/^quiet hours: /);
    // Other hours let it begin at once.
    const { state } = await retraining.configure(retraining.settings({ quietHours: [] }));
    expect(state.runs).toHaveLength(1);
  });

  it('an identical decision to wait is on record once', async () => {
    const { retraining } = world();
    await retraining.start({ debounce: '1h' });
    for (let i = 0; i < 5; i++) await retraining.trigger({ kind: 'degradation', reason: `look ${i}` });
    const { decisions, state } = await retraining.status();
    expect(decisions).toHaveLength(1);
    expect(state.pending).toMatchObject([{ kind: 'degradation', reason: 'look 4', times: 5 }]);
  });
});

describe('a retraining that does not help', () => {
  it('stops after so many runs, asks a person, and goes on when they say so', async () => {
    const { scenario, retraining } = world();
    failing(scenario);
    await retraining.start({ giveUpAfter: 2 });
    await retraining.trigger({ kind: 'degradation', reason: 'Brier 0.29' });
    // What broke is tried again for the same reasons, until it is enough.
    const { state } = await retraining.until(({ state: { gaveUpAt } }) => gaveUpAt !== null, 'the giving-up');
    expect(state).toMatchObject({ failures: 2, runs: [{ helped: false }, { helped: false }] });
    expect(state.runs[0]?.message).toContain('the source is gone');
    const held = await retraining.trigger({ kind: 'concept-drift' });
    expect(held).toMatchObject({ decision: 'give-up', until: null });
    await eventually(
      async () =>
        scenario.inputs('notify').some(({ kind }) => kind === 'retraining.gave-up') ? true : undefined,
      'the notice',
    );
    expect(retraining.started).toBe(2);

    scenario.let('ingest', async () => ingested);
    await retraining.answer({ decision: 'resume', by: 'ada', reason: 'the source is back' });
    const after = await retraining.ended(3);
    expect(after.state).toMatchObject({ failures: 0, gaveUpAt: null });
    expect(after.state.runs[2]).toMatchObject({
      outcome: 'deployed',
      kinds: ['degradation', 'concept-drift'],
    });
    const answers = await eventually(async () => {
      const found = scenario
        .inputs('recordAudit')
        .flatMap(({ entries }) => entries.filter(({ action }) => action === 'retraining.answered'));
      return found.length > 0 ? found : undefined;
    }, 'the answer in the audit log');
    expect(answers).toMatchObject([{ by: 'ada', how: 'named', reason: 'resume: the source is back' }]);
  });

  it('a demand that names a person is tried all the same', async () => {
    const { scenario, retraining } = world();
    failing(scenario);
    await retraining.start({ giveUpAfter: 1 });
    await retraining.trigger({ kind: 'demand' });
    await retraining.until(({ state: { gaveUpAt } }) => gaveUpAt !== null, 'the giving-up');
    expect(await retraining.trigger({ kind: 'demand' })).toMatchObject({ decision: 'give-up' });
    expect(await retraining.trigger({ kind: 'demand', by: 'ada' })).toMatchObject({ decision: 'start' });
  });

  it('paused by a person, it only gathers', async () => {
    const { retraining } = world();
    await retraining.start();
    await retraining.answer({ decision: 'pause', by: 'ada' });
    expect(await retraining.trigger({ kind: 'demand', by: 'ada' })).toMatchObject({
      decision: 'wait',
      until: null,
    });
    expect((await retraining.answer({ decision: 'resume', by: 'ada' })).state.runs).toHaveLength(1);
  });

  it('a run that somebody cancels is a run that did not help, and is not tried again', async () => {
    const { scenario, retraining } = world();
    const open = new Gate();
    scenario.let('openTracking', async () => {
      await open.opened;
      throw ApplicationFailure.nonRetryable('cancelled anyway', 'StageFailed');
    });
    await retraining.start();
    const { run } = await retraining.trigger({ kind: 'degradation' }).then(async (decision) => {
      if (decision.run !== null) return decision;
      const status = await retraining.until(({ state }) => state.runs.length > 0, 'the run');
      return { run: status.state.runs[0]?.workflowId ?? null };
    });
    await retraining.until(() => scenario.count('openTracking') > 0, 'the run to begin');
    await bench.client.workflow.getHandle(run ?? '').terminate('a person');
    const { state } = await retraining.ended(1);
    open.open();
    expect(state).toMatchObject({
      pending: [],
      failures: 1,
      runs: [{ outcome: 'failed', message: 'the run was cancelled', helped: false }],
    });
  });
});

describe('event time', () => {
  it('moves by ticks and triggers alone, and rules count in it', async () => {
    const { retraining } = world();
    await retraining.start({ cooldown: '7d', debounce: '1h' }, { clock: 'event' });
    expect(await retraining.trigger({ kind: 'degradation' })).toMatchObject({
      decision: 'skip',
      why: expect.stringContaining('before any event time is known'),
    });
    await retraining.tick('2009-06-01', '1', '2009-05-01');
    expect(await retraining.trigger({ kind: 'degradation', version: '1' })).toMatchObject({
      decision: 'wait',
      until: '2009-06-01T01:00:00.000Z',
    });
    await retraining.tick('2009-06-02T00:00:00Z', '1', '2009-05-01');
    const { state } = await retraining.ended(1);
    expect(state.runs).toMatchObject([
      { startedAt: '2009-06-02T00:00:00.000Z', endedAt: '2009-06-02T00:00:00.000Z' },
    ]);
    // Time does not go back.
    await retraining.tick('2009-05-01', '1', '2009-05-01');
    expect((await retraining.status()).asOf).toBe('2009-06-02T00:00:00.000Z');
    const waits = await retraining.trigger({ kind: 'concept-drift', at: '2009-06-03T00:00:00Z' });
    expect(waits).toMatchObject({ decision: 'wait', until: '2009-06-09T00:00:00.000Z' });
  });

  it('a model that is too old is a reason by itself', async () => {
    const { retraining } = world();
    await retraining.start({ on: { maxAge: '30d' } }, { clock: 'event' });
    await retraining.tick('2009-06-01', '1', '2009-05-15');
    expect((await retraining.status()).state.pending).toEqual([]);
    await retraining.tick('2009-06-20', '1', '2009-05-15');
    const { decisions } = await retraining.ended(1);
    expect(decisions[0]).toMatchObject({ decision: 'start', reasons: [{ kind: 'age' }] });
  });
});

describe('what is refused', () => {
  it.each([
    ['a kind that there is not', { kind: 'boredom' }, 'kind: must be one of'],
    ['no kind', {}, 'kind: is missing'],
    ['a list without one', [], 'expected array to have >=1 items'],
    ['a time without an offset', { kind: 'demand', at: '2026-11-21T10:00:00' }, 'at: a time with its offset'],
  ])('a signal with %s is on record as skipped', async (_, signal, words) => {
    const { retraining } = world();
    await retraining.start();
    await retraining.signal(signal);
    const { decisions } = await retraining.until((status) => status.decisions.length > 0, 'the record');
    expect(decisions).toMatchObject([{ decision: 'skip', why: expect.stringContaining(words) }]);
  });

  it('an update is refused with the words that say why', async () => {
    const { retraining } = world();
    await retraining.start();
    const refusal = (name: string, argument: unknown) =>
      executeUpdate(retraining.handle, name, { args: [argument] }).then(
        () => 'taken',
        (error: Error) => String(error.cause),
      );
    expect(await refusal('trigger', { kind: 'demnd' })).toContain('did you mean "demand"?');
    expect(await refusal('answer', { decision: 'resume' })).toContain('by: is missing');
    expect(await refusal('configure', { ...retraining.settings(), pipeline: 'another' })).toContain(
      'not of another',
    );
  });

  it('kinds that the spec does not ask for, and reasons about versions of before, are skipped', async () => {
    const { retraining } = world();
    await retraining.start();
    expect(await retraining.trigger({ kind: 'data-drift', reason: 'PSI 3.2' })).toMatchObject({
      decision: 'skip',
      why: 'not asked for: retraining.on.dataDrift is not set',
    });
    await retraining.tick(new Date().toISOString(), '7');
    expect(await retraining.trigger({ kind: 'degradation', version: '6' })).toMatchObject({
      decision: 'skip',
      why: 'out of date: it is about version 6, and version 7 is in production',
    });
    expect(retraining.started).toBe(0);
  });

  it('a workflow under another id than the pipeline’s own', async () => {
    const { scenario, retraining } = world();
    const refused = await failure(
      bench.client.workflow.execute('retraining', {
        workflowId: `${scenario.id}-elsewhere`,
        taskQueue: bench.taskQueue,
        args: [{ settings: retraining.settings() }],
      }),
    );
    expect(refused.message).toContain(`has the id retraining/${scenario.id} and no other`);
  });
});

describe('a long life', () => {
  it('continues as new and loses nothing', async () => {
    const { scenario, retraining } = world();
    await retraining.start(
      { debounce: '1h', on: { predictionDrift: true } },
      { input: { continueAfter: 3 } },
    );
    const { runId } = await retraining.handle.describe();
    await retraining.trigger({ kind: 'degradation', reason: 'a' });
    await retraining.signal({ kind: 'nonsense' });
    await Promise.all(
      Array.from({ length: 12 }, (_, i) => retraining.signal({ kind: 'prediction-drift', reason: `${i}` })),
    );
    const { state, decisions } = await retraining.until(
      (status) => status.state.pending.some(({ times }) => times === 12),
      'all signals',
    );
    await eventually(
      async () => ((await retraining.handle.describe()).runId === runId ? undefined : true),
      'a new run of the workflow',
    );
    expect((await retraining.status()).state).toEqual(state);
    expect(state.pending.map(({ kind, times }) => [kind, times])).toEqual([
      ['degradation', 1],
      ['prediction-drift', 12],
    ]);
    expect(decisions.map(({ decision }) => decision)).toEqual(['wait', 'skip', 'wait']);
    // One run of the workflow goes on numbering where the other has ended.
    const appended = scenario.inputs('recordAudit');
    expect(appended.flatMap(({ from, entries }) => entries.map((_, i) => from + i))).toEqual([0, 1, 2]);
  });

  it('what is sent before it has begun counts, a run that it starts for it too', async () => {
    const { scenario, retraining } = world();
    const open = new Gate();
    scenario.let('openTracking', async () => {
      await open.opened;
      throw ApplicationFailure.nonRetryable('not this time', 'TrackerRejected');
    });
    await bench.client.workflow.signalWithStart('retraining', {
      workflowId: retraining.handle.workflowId,
      taskQueue: bench.taskQueue,
      args: [{ settings: retraining.settings() }],
      signal: 'trigger',
      signalArgs: [{ kind: 'demand' }],
    });
    await retraining.until(() => scenario.count('openTracking') > 0, 'the run');
    expect((await retraining.status()).decisions.map(({ decision }) => decision)).toEqual(['start']);
    open.open();
    await retraining.ended(1);
  });

  it.each([
    ['comes into production', null, { outcome: 'deployed', version: '1', helped: null }],
    ['breaks', 'gone', { outcome: 'failed', helped: false, message: expect.stringContaining('gone') }],
    ['is cancelled', 'cancel', { outcome: 'failed', message: 'the run was cancelled' }],
  ])('continues as new while a run goes on, and hears that it %s', async (_, problem, ended) => {
    const { scenario, retraining } = world();
    const open = new Gate();
    const usual = scenario.usual.openTracking;
    scenario.let('openTracking', async (input) => {
      await open.opened;
      if (problem === 'gone') throw ApplicationFailure.nonRetryable('gone', 'ArtifactMissing');
      return usual(input);
    });
    await retraining.start({}, { input: { continueAfter: 3 } });
    const { runId } = await retraining.handle.describe();
    const { run } = await retraining.trigger({ kind: 'demand' });
    for (let i = 0; i < 7; i++) await retraining.trigger({ kind: 'degradation' });
    await eventually(
      async () => ((await retraining.handle.describe()).runId === runId ? undefined : true),
      'a new run of the workflow',
    );
    // It knows that the run goes on: one at a time.
    expect(await retraining.trigger({ kind: 'degradation' })).toMatchObject({ decision: 'wait' });
    expect((await retraining.status()).state.runs).toMatchObject([{ workflowId: run, endedAt: null }]);
    await retraining.answer({ decision: 'pause', by: 'ada' });
    if (problem === 'cancel') await bench.client.workflow.getHandle(run ?? '').cancel();
    open.open();
    const { state } = await retraining.ended(1);
    expect(state.runs).toMatchObject([{ workflowId: run, ...ended }]);
    expect(state.pending.find(({ kind }) => kind === 'degradation')).toMatchObject({ times: 8 });
  });

  it('ends when the spec asks for none any more: no run, nothing that waits, all on record', async () => {
    const { scenario, retraining } = world();
    const open = new Gate();
    scenario.let('ingest', async () => {
      await open.opened;
      return ingested;
    });
    await retraining.start({ debounce: '1h' });
    const { run } = await retraining.trigger({ kind: 'demand', by: 'ada' });
    await retraining.until(() => scenario.count('ingest') > 0, 'the run');
    await retraining.trigger({ kind: 'degradation', reason: 'Brier 0.29' });
    const { state, decisions } = await retraining.retire('the spec has no section retraining any more');
    expect(state.pending).toEqual([]);
    expect(decisions.at(-1)).toMatchObject({
      decision: 'skip',
      why: expect.stringMatching(/^the retraining ends: the spec has no section retraining any more; run /),
      reasons: [{ kind: 'degradation' }],
    });
    await retraining.handle.result();
    open.open();
    await eventually(
      async () =>
        (await bench.client.workflow.getHandle(run ?? '').describe()).status.name === 'CANCELLED' ||
        undefined,
      'the end of the run',
    );
    const told = scenario
      .inputs('recordAudit')
      .filter(({ stream }) => stream.startsWith('retraining/'))
      .flatMap(({ entries }) => entries.map(({ reason }) => reason));
    expect(told.at(-1)).toContain('the retraining ends');
    expect(scenario.count('openTracking')).toBe(1);
  });

  it('cancelled, it lets its run go on and ends with all in the audit log', async () => {
    const { scenario, retraining } = world();
    const open = new Gate();
    scenario.let('ingest', async () => {
      await open.opened;
      throw ApplicationFailure.nonRetryable('late', 'SourceNotFound');
    });
    await retraining.start();
    const { run } = await retraining.trigger({ kind: 'demand' });
    await retraining.until(() => scenario.count('ingest') > 0, 'the run');
    await retraining.handle.cancel();
    await failure(retraining.handle.result());
    expect((await bench.client.workflow.getHandle(run ?? '').describe()).status.name).toBe('RUNNING');
    expect(scenario.inputs('recordAudit')).toHaveLength(1);
    open.open();
  });
});

describe('what schedules start', () => {
  it('retrainingTrigger tells the reason', async () => {
    const { scenario, retraining } = world();
    await retraining.start({ on: { schedule: '0 3 1 * *' }, debounce: '1h' });
    await bench.client.workflow.execute('retrainingTrigger', {
      workflowId: `${retraining.handle.workflowId}/schedule-1`,
      taskQueue: bench.taskQueue,
      args: [{ pipeline: scenario.id, trigger: { kind: 'schedule', reason: 'schedule 0 3 1 * * (UTC)' } }],
    });
    const { state } = await retraining.until((status) => status.state.pending.length > 0, 'the reason');
    expect(state.pending).toMatchObject([{ kind: 'schedule', reason: 'schedule 0 3 1 * * (UTC)' }]);
  });

  it('newData tells what it found, and nothing where there is nothing', async () => {
    const { scenario, retraining } = world();
    await retraining.start({ on: { newData: {} }, debounce: '1h' });
    const look = (n: number) =>
      bench.client.workflow.execute('newData', {
        workflowId: `${retraining.handle.workflowId}/new-data-${n}`,
        taskQueue: bench.taskQueue,
        args: [{ pipeline: scenario.id }],
      });
    expect(await look(1)).toEqual({ found: false, words: 'nothing is new' });
    scenario.let('lookForNewData', async () => ({ found: true, words: 'flights: new or changed' }));
    await look(2);
    const { state } = await retraining.until((status) => status.state.pending.length > 0, 'the reason');
    expect(state.pending).toMatchObject([{ kind: 'new-data', reason: 'flights: new or changed', times: 1 }]);
  });
});
