import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { lifecycleResult, runStatus } from '../../contracts/lifecycle.ts';
import { SIGNALS } from '../../contracts/names.ts';
import { refusal } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import * as samples from '../support/samples.ts';
import { Scenario } from '../support/scenario.ts';
import { eventually, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

describe.concurrent('the approval of a candidate', () => {
  it('deploys the winner after an approval by update, and says so everywhere', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario);
    const { candidate, quorum, votes } = await run.awaiting();
    expect({ quorum, votes }).toEqual({ quorum: 1, votes: [] });
    expect(await run.approve(candidate)).toEqual({ accepted: true, votes: 1 });

    const result = lifecycleResult.parse(await run.handle.result());
    expect(result).toMatchObject({
      outcome: 'deployed',
      pipeline: 'churn',
      message: 'version 1 serves endpoint churn',
      modelName: 'churn',
      version: '1',
      candidate,
    });
    expect(result.outputs.approval?.votes).toMatchObject([{ decision: 'approve', by: 'ada', how: 'update' }]);
    expect(scenario.inputs('closeTracking')).toMatchObject([{ status: 'FINISHED', outcome: 'deployed' }]);
    expect(scenario.count('retireCandidate')).toBe(0);
    const status = runStatus.parse(await run.status());
    expect(status.stages.map(({ state }) => state)).toEqual(status.stages.map(() => 'done'));
    expect(status).toMatchObject({ state: 'done', outcome: 'deployed', stage: null, awaiting: null });
  });

  it('asks the endpoint for exactly the model that was approved and checked', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario);
    const { candidate } = await run.awaiting();
    await run.approve(candidate);
    await run.handle.result();
    const [asked] = scenario
      .inputs('askEndpoint')
      .flatMap(({ ask }) => (ask.update === 'admit' ? [ask] : []));
    expect(asked?.request.model.onnx.sha256).toBe(candidate);
    expect(scenario.inputs('precheck')).toMatchObject([{ model: asked?.request.model, maxLatencyMs: 1_000 }]);
  });

  it('takes an approval by signal that names no candidate', async () => {
    const run = await bench.lifecycle(new Scenario());
    await run.awaiting();
    await run.handle.signal(SIGNALS.approve, { by: 'ada', reason: 'looks right' });
    const { outcome, outputs } = await run.handle.result();
    expect(outcome).toBe('deployed');
    expect(outputs.approval).toMatchObject({ reason: 'looks right', votes: [{ by: 'ada', how: 'signal' }] });
  });

  it('ends a rejected run with the reason and marks the version', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario);
    const { candidate } = await run.awaiting();
    await run.review({ decision: 'reject', by: 'ada', reason: 'the recall is too low', candidate });
    expect(await run.handle.result()).toMatchObject({
      outcome: 'rejected',
      message: 'the recall is too low',
    });
    expect(scenario.inputs('retireCandidate')).toMatchObject([
      { modelName: 'churn', version: '1', why: 'rejected' },
    ]);
    expect(scenario.inputs('closeTracking')).toMatchObject([{ status: 'FINISHED', outcome: 'rejected' }]);
    expect(scenario.count('askEndpoint') + scenario.count('precheck')).toBe(0);
    const { stages } = await run.status();
    expect(stages.at(-1)).toEqual({ name: 'deploy', state: 'skipped' });
  });

  it('takes a rejection by signal', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario);
    const { candidate } = await run.awaiting();
    await run.handle.signal(SIGNALS.reject, { by: 'ada', reason: 'not now', candidate });
    expect(await run.handle.result()).toMatchObject({ outcome: 'rejected', message: 'not now' });
    expect(scenario.count('askEndpoint')).toBe(0);
  });

  it('rejects when the time is over', async () => {
    const scenario = new Scenario();
    const run = await bench.lifecycle(scenario, { approval: { timeout: '300ms', reminders: [] } });
    const result = await run.handle.result();
    expect(result).toMatchObject({
      outcome: 'approval_timed_out',
      message: 'nobody decided within 300ms; the policy says reject',
    });
    expect(result.waitedMs).toBeGreaterThanOrEqual(300);
    expect(scenario.count('askEndpoint')).toBe(0);
    expect(scenario.inputs('retireCandidate')).toMatchObject([{ why: 'approval_timed_out' }]);
  });

  it('deploys when the time is over and the policy says so, whatever the quorum', async () => {
    const approval = { timeout: '300ms', onTimeout: 'approve' as const, quorum: 3, reminders: [] };
    const run = await bench.lifecycle(new Scenario(), { approval });
    const { outcome, outputs } = await run.handle.result();
    expect(outcome).toBe('deployed');
    expect(outputs.approval?.votes).toMatchObject([{ by: 'policy', how: 'policy', decision: 'approve' }]);
  });

  it('waits for a quorum of two different people', async () => {
    const run = await bench.lifecycle(new Scenario(), { approval: { quorum: 2, timeout: '10m' } });
    const { candidate } = await run.awaiting();
    expect(await run.approve(candidate, 'ada')).toEqual({ accepted: true, votes: 1 });
    expect(await refusal(run.approve(candidate, ' Ada '))).toContain('Ada has voted already');
    expect((await run.status()).state).toBe('awaiting_approval');
    expect(await run.approve(candidate, 'grace')).toEqual({ accepted: true, votes: 2 });
    expect((await run.handle.result()).outcome).toBe('deployed');
  });

  it('lets one rejection decide against approvals', async () => {
    const run = await bench.lifecycle(new Scenario(), { approval: { quorum: 2, timeout: '10m' } });
    const { candidate } = await run.awaiting();
    await run.approve(candidate, 'ada');
    await run.review({ decision: 'reject', by: 'grace', reason: 'no', candidate });
    expect((await run.handle.result()).outcome).toBe('rejected');
  });

  it('refuses updates that cannot count, each with its reason', async () => {
    const run = await bench.lifecycle(new Scenario());
    const { candidate } = await run.awaiting();
    const other = 'f'.repeat(64);
    const vote = { decision: 'approve', by: 'ada', candidate };
    const cases: [Record<string, unknown>, string][] = [
      [{ ...vote, candidate: other }, `candidate ${other} is not the one under review`],
      [{ ...vote, candidate: candidate.slice(0, 7) }, 'first 8 or more characters'],
      [{ ...vote, by: '   ' }, 'the name is empty'],
      [{ ...vote, decision: 'reject' }, 'a rejection needs a reason'],
      [{ ...vote, decision: 'aprove' }, 'did you mean "approve"?'],
      [{ decision: 'approve', by: 'ada' }, 'candidate: is missing'],
    ];
    for (const [review, reason] of cases) expect(await refusal(run.review(review))).toContain(reason);
    expect((await run.awaiting()).votes).toEqual([]);
    // A prefix of the digest, in capitals, is enough.
    await run.approve(candidate.slice(0, 8).toUpperCase());
    expect((await run.handle.result()).outcome).toBe('deployed');
  });

  it('writes signals down that cannot count, each with its reason', async () => {
    const run = await bench.lifecycle(new Scenario());
    const { candidate } = await run.awaiting();
    await run.handle.signal(SIGNALS.approve, { by: '' });
    await run.handle.signal(SIGNALS.approve, { by: 'ada', candidate: 'f'.repeat(64) });
    await run.handle.signal(SIGNALS.reject, { by: 'ada' });
    const refused = await eventually(async () => {
      const status = await run.status();
      return status.refused.length === 3 ? status.refused : undefined;
    }, 'three refusals');
    expect(refused.map(({ signal }) => signal)).toEqual(['approve', 'approve', 'reject']);
    expect(refused.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('the name is empty'),
      expect.stringContaining('is not the one under review'),
      expect.stringContaining('reason: is missing'),
    ]);
    await run.approve(candidate);
    await run.handle.result();
  });

  it('refuses votes before there is a candidate and after the decision', async () => {
    const recorded = new Gate();
    const checked = new Gate();
    const scenario = new Scenario({ recordData: () => recorded.opened });
    scenario.let('precheck', async ({ rows }) => {
      await checked.opened;
      return samples.checked(rows);
    });
    const run = await bench.lifecycle(scenario);
    await eventually(async () => scenario.inputs('recordData')[0], 'the data to be recorded');
    expect(await refusal(run.approve('f'.repeat(64)))).toContain('not waiting for an approval');
    await run.handle.signal(SIGNALS.approve, { by: 'early' });
    recorded.open();
    const { candidate } = await run.awaiting();
    await run.approve(candidate);
    await eventually(async () => scenario.inputs('precheck')[0], 'the pre-deployment check');
    expect(await refusal(run.approve(candidate, 'late'))).toContain('the decision has been taken already');
    await run.handle.signal(SIGNALS.reject, { by: 'late', reason: 'no' });
    checked.open();
    expect((await run.handle.result()).outcome).toBe('deployed');
    expect((await run.status()).refused.map(({ reason }) => reason)).toEqual([
      'the run is not waiting for an approval',
      'the decision has been taken already',
    ]);
  });

  it('counts reminders in the order of their times', async () => {
    const approval = { timeout: '10m', reminders: ['400ms', '100ms', '5m'] };
    const run = await bench.lifecycle(new Scenario(), { approval });
    const request = await eventually(async () => {
      const { awaiting } = await run.status();
      return awaiting && awaiting.remindersSent >= 2 ? awaiting : undefined;
    }, 'two reminders');
    expect(request.remindersSent).toBe(2);
    await run.approve(request.candidate);
    expect((await run.handle.result()).outcome).toBe('deployed');
  });

  it('asks nobody where the spec asks for no approval', async () => {
    const run = await bench.lifecycle(new Scenario(), { approval: { required: false } });
    const { outcome, outputs, waitedMs } = await run.handle.result();
    expect({ outcome, waitedMs }).toEqual({ outcome: 'deployed', waitedMs: 0 });
    expect(outputs.approval).toMatchObject({
      reason: 'the spec asks for no approval',
      votes: [{ by: 'policy', how: 'policy' }],
    });
  });
});
