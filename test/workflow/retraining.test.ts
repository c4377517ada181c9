import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { RetrainingDecision } from '../../contracts/retraining.ts';
import { failure } from '../support/failures.ts';
import { gate } from '../support/gate.ts';
import { RetrainingUnderTest } from '../support/retraining.ts';
import { Scenario } from '../support/scenario.ts';
import { WorkflowBench } from '../support/workflow-bench.ts';

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
    const entries = scenario.inputs('recordAudit').filter(({ stream }) => stream.startsWith('retraining/'));
    expect(entries.flatMap(({ entries: all }) => all.map(({ action }) => action))).toEqual([
      'retraining.decided',
      'retraining.ended',
    ]);
    expect(scenario.inputs('notify').map(({ kind }) => kind)).toEqual([
      'retraining.started',
      'retraining.ended',
    ]);
  });

  it('goes on alone: what comes meanwhile is one run after it', async () => {
    const { scenario, retraining } = world();
    const open = gate();
    scenario.let('openTracking', async () => {
      await open.passed;
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
