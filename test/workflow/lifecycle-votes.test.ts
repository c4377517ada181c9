import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { AuditEntry } from '../../contracts/audit.ts';
import { QUERIES, SIGNALS } from '../../contracts/names.ts';
import type { PipelineSpecInput } from '../../contracts/spec/pipeline.ts';
import type { ApprovalOutput, StageOutputs } from '../../contracts/stages.ts';
import type { VoteVerdict } from '../../contracts/votes.ts';
import { failure, refusal } from '../support/failures.ts';
import { Gate } from '../support/gate.ts';
import { Scenario } from '../support/scenario.ts';
import { eventually, type Lifecycle, WorkflowBench } from '../support/workflow-bench.ts';

let bench: WorkflowBench;
beforeAll(async () => {
  bench = await WorkflowBench.start(inject('temporal'));
});
afterAll(() => bench.close());

type Approval = NonNullable<PipelineSpecInput['approval']>;

/** Starts a run of a spec with an approval, by somebody. */
const started = (scenario: Scenario, approval: Approval, author?: string): Promise<Lifecycle> =>
  bench.lifecycle(
    scenario,
    { approval: { timeout: '10m', reminders: [], ...approval } },
    author === undefined ? {} : { author },
  );

/** What was decided, whatever the run does with it. */
const decided = (run: Lifecycle): Promise<ApprovalOutput> =>
  eventually(
    async () => (await run.handle.query<StageOutputs>(QUERIES.outputs)).approval,
    'a decision on the candidate',
  );

/** What stands in the audit log so far, in order. */
const audited = (scenario: Scenario): AuditEntry[] =>
  scenario.inputs('recordAudit').flatMap(({ entries }) => entries);

const auditOf = async (scenario: Scenario, action: AuditEntry['action'], count = 1): Promise<AuditEntry[]> =>
  eventually(async () => {
    const found = audited(scenario).filter((entry) => entry.action === action);
    return found.length >= count ? found : undefined;
  }, `${count} entries ${action}`);

const token = (name: string): string => `${'h'.repeat(12)}.${name}.${'s'.repeat(12)}`;
const verified = (
  by: string,
  more: Partial<Extract<VoteVerdict, { state: 'verified' }>> = {},
): VoteVerdict => ({
  state: 'verified',
  by,
  roles: [],
  decision: 'approve',
  reason: 'fine',
  token: `id of ${by}`,
  ...more,
});

describe.concurrent('votes on a candidate', () => {
  it('need every role beside the quorum', async () => {
    const scenario = new Scenario();
    const run = await started(scenario, {
      quorum: 1,
      approvers: ['ada'],
      roles: [{ role: 'risk', people: ['grace', 'joan'], quorum: 2 }],
    });
    const { candidate, roles, approvers } = await run.awaiting();
    expect(roles).toEqual([{ role: 'risk', quorum: 2, approvals: 0 }]);
    expect(approvers).toEqual(['ada', 'grace', 'joan']);
    await run.approve(candidate, 'ada');
    await run.approve(candidate, 'Grace');
    expect((await run.awaiting()).roles).toEqual([{ role: 'risk', quorum: 2, approvals: 1 }]);
    expect(await refusal(run.approve(candidate, 'mallory'))).toContain('not among those who may vote');
    await run.approve(candidate, 'joan');
    expect(await decided(run)).toMatchObject({
      decision: 'approved',
      votes: [{ roles: [] }, { by: 'Grace', roles: ['risk'] }, { roles: ['risk'] }],
    });
    expect(await auditOf(scenario, 'approval.vote', 4)).toMatchObject([
      { by: 'ada', outcome: 'done', how: 'named', endpoint: 'churn', version: '1', candidate },
      { by: 'Grace', outcome: 'done' },
      { by: 'mallory', outcome: 'refused', reason: expect.stringContaining('may vote') },
      { by: 'joan', outcome: 'done' },
    ]);
    expect(await auditOf(scenario, 'approval.decided')).toMatchObject([{ by: 'joan', outcome: 'done' }]);
  });

  it('of whoever started the run are taken down, told, and complete nothing', async () => {
    const scenario = new Scenario();
    const run = await started(scenario, {}, 'Ada');
    const { candidate } = await run.awaiting();
    expect(await refusal(run.approve(candidate, ' ada'))).toContain('authorMayVote: true');
    const { votes, quorum } = await run.awaiting();
    expect({ votes, quorum }).toMatchObject({ quorum: 1, votes: [{ by: 'ada', author: true }] });
    expect(await refusal(run.approve(candidate, 'ADA'))).toContain('has voted already');
    await run.approve(candidate, 'grace');
    expect((await decided(run)).decision).toBe('approved');
    expect(await auditOf(scenario, 'approval.vote', 3)).toMatchObject([
      { by: 'ada', outcome: 'refused' },
      { by: 'ADA', outcome: 'refused' },
      { by: 'grace', outcome: 'done' },
    ]);
    const [tagged] = await eventually(async () => {
      const inputs = scenario.inputs('tagVersion');
      return inputs.length > 0 ? inputs : undefined;
    }, 'the tags of the version');
    expect(tagged).toMatchObject({ modelName: 'churn', version: '1' });
    expect(tagged?.tags['perennial.approved_by']).toBe('grace');
    expect(JSON.parse(tagged?.tags['perennial.approval'] ?? '')).toMatchObject({
      decision: 'approved',
      votes: [
        { by: 'ada', author: true, signed: false },
        { by: 'grace', signed: false },
      ],
    });
  });

  it('of whoever started the run reject it, also after an approval of theirs', async () => {
    const run = await started(new Scenario(), {}, 'ada');
    const { candidate } = await run.awaiting();
    await refusal(run.approve(candidate, 'ada'));
    await run.review({ decision: 'reject', by: 'ada', reason: 'I was wrong', candidate });
    expect(await run.handle.result()).toMatchObject({ outcome: 'rejected', message: 'I was wrong' });
  });

  it('of whoever started the run count where the spec says so', async () => {
    const run = await started(new Scenario(), { authorMayVote: true }, 'ada');
    await run.approve((await run.awaiting()).candidate, 'ada');
    expect(await decided(run)).toMatchObject({ decision: 'approved', votes: [{ by: 'ada', author: false }] });
  });

  it('count with a verified token alone where the spec asks for signed ones', async () => {
    const verdicts: Record<string, VoteVerdict> = {
      [token('forged')]: { state: 'refused', claimed: 'Ada', reason: 'not signed by a key of Ada' },
      [token('ada')]: verified('Ada', { roles: ['risk'], token: 'ada-0001' }),
    };
    const scenario = new Scenario({
      verifyVote: async ({ token: sent }) => verdicts[sent] ?? verified('Bob', { token: 'bob-0001' }),
    });
    const run = await started(scenario, { signed: true, roles: [{ role: 'risk' }], quorum: 2 });
    const { candidate, signed, run: claim } = await run.awaiting();
    expect(signed).toBe(true);
    expect(claim).toBe(`${run.handle.workflowId}/${(await run.status()).runId}`);
    expect(scenario.inputs('checkApprovers')).toMatchObject([{ roles: ['risk'], quorum: 2 }]);
    expect(await refusal(run.approve(candidate, 'Ada'))).toContain('only signed votes count');
    expect(await refusal(run.review({ token: token('forged') }))).toContain('not signed by a key of Ada');
    await run.handle.signal(SIGNALS.approve, { by: 'Ada' });
    expect(await run.review({ token: token('ada') })).toEqual({ accepted: true, votes: 1 });
    expect(await refusal(run.review({ token: token('ada') }))).toContain('used already');
    expect((await run.status()).refused).toMatchObject([
      { signal: 'approve', reason: expect.stringContaining('only signed votes') },
    ]);
    await run.review({ token: token('bob') });
    expect(await decided(run)).toMatchObject({
      decision: 'approved',
      votes: [
        { by: 'Ada', roles: ['risk'], token: 'ada-0001' },
        { by: 'Bob', token: 'bob-0001' },
      ],
    });
    expect(scenario.inputs('verifyVote')[0]).toEqual({ token: token('forged'), candidate, run: claim });
    expect(await auditOf(scenario, 'approval.vote', 6)).toMatchObject([
      { by: 'Ada', outcome: 'refused', how: 'named' },
      { by: 'Ada', outcome: 'refused', how: 'named', reason: expect.stringContaining('not signed') },
      { by: 'Ada', outcome: 'refused', how: 'named' },
      { by: 'Ada', outcome: 'done', how: 'token' },
      { by: 'Ada', outcome: 'refused', how: 'token' },
      { by: 'Bob', outcome: 'done', how: 'token' },
    ]);
  });

  it('count in the order in which they came, also while a token is verified', async () => {
    const gate = new Gate();
    const scenario = new Scenario({
      verifyVote: async () => {
        await gate.opened;
        return verified('Ada', { decision: 'reject', reason: 'no' });
      },
    });
    const run = await started(scenario, {});
    const { candidate } = await run.awaiting();
    const first = run.review({ token: token('ada') });
    await eventually(async () => scenario.inputs('verifyVote')[0], 'the token to be looked at');
    const second = refusal(run.approve(candidate, 'grace'));
    await run.handle.signal(SIGNALS.approve, { by: 'joan' });
    await eventually(async () => {
      const { events } = await run.handle.fetchHistory();
      const taken = events?.filter((event) => event.workflowExecutionUpdateAcceptedEventAttributes);
      return taken?.length === 2 ? true : undefined;
    }, 'both updates');
    gate.open();
    expect(await first).toEqual({ accepted: true, votes: 1 });
    expect(await second).toContain('the decision has been taken already');
    expect(await run.handle.result()).toMatchObject({ outcome: 'rejected', message: 'no' });
    const [counted, ...late] = audited(scenario).filter(({ action }) => action === 'approval.vote');
    expect(counted).toMatchObject({ by: 'Ada', outcome: 'done', how: 'token' });
    // Which of the two came first is up to the server.
    expect(late.map(({ by, outcome }) => `${by} ${outcome}`).sort()).toEqual([
      'grace refused',
      'joan refused',
    ]);
  });

  it('are refused with a reason where this worker can verify none', async () => {
    const scenario = new Scenario({
      verifyVote: async () => {
        throw ApplicationFailure.nonRetryable('this worker has no list of approvers', 'ApprovalImpossible');
      },
    });
    const run = await started(scenario, {});
    await run.awaiting();
    expect(await refusal(run.review({ token: token('ada') }))).toContain('no list of approvers');
    await run.handle.cancel();
  });

  it('may come from others after the escalation, who are told', async () => {
    const asked = (after: string): Approval => ({
      approvers: ['ada'],
      escalation: { after, to: ['boss'] },
      reminders: ['100ms'],
    });
    const early = await started(new Scenario(), asked('5m'));
    const before = await early.awaiting();
    expect(await refusal(early.approve(before.candidate, 'boss'))).toContain('not among those who may vote');
    await early.handle.cancel();
    const scenario = new Scenario();
    const run = await started(scenario, asked('400ms'));
    const { candidate } = await run.awaiting();
    const awaiting = await eventually(async () => {
      const { awaiting: now } = await run.status();
      return now?.escalated ? now : undefined;
    }, 'the escalation');
    expect(awaiting.approvers).toEqual(['ada', 'boss']);
    await run.approve(candidate, 'Boss');
    expect((await decided(run)).decision).toBe('approved');
    await eventually(async () => scenario.count('notify') >= 3 || undefined, 'the notices');
    // Each is told in the background.
    expect(
      scenario
        .inputs('notify')
        .map(({ kind, to }) => `${kind} to ${to}`)
        .sort(),
    ).toEqual(['approval.escalated to boss', 'approval.reminder to ada', 'approval.requested to ada']);
    expect(await auditOf(scenario, 'approval.escalated')).toMatchObject([{ how: 'engine' }]);
  });

  it('stand in the log as expired where nobody came', async () => {
    const scenario = new Scenario();
    const run = await started(scenario, { timeout: '200ms' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'approval_timed_out' });
    expect(audited(scenario).map(({ action, by }) => [action, by])).toEqual([
      ['approval.requested', 'policy'],
      ['approval.decided', 'policy'],
    ]);
    expect(scenario.inputs('tagVersion')[0]?.tags).toEqual({
      'perennial.approval': expect.stringContaining('"decision":"rejected"'),
    });
  });
});

describe.concurrent('an approval that can never be had', () => {
  it('is told before anything is done', async () => {
    const scenario = new Scenario();
    const run = await started(scenario, { quorum: 2, approvers: ['Ada', 'Grace'] }, 'ada');
    expect(await failure(run.handle.result())).toMatchObject({
      type: 'SpecInvalid',
      message: expect.stringContaining('1 can be had (Grace), since ada started the run'),
    });
    expect(scenario.count('openTracking')).toBe(0);
  });

  it('of signed votes is not taken over from another run', async () => {
    const first = await started(new Scenario(), {});
    await first.approve((await first.awaiting()).candidate);
    await decided(first);
    const outputs = await first.handle.query<StageOutputs>(QUERIES.outputs);
    const resume = { workflowId: first.handle.workflowId, runId: 'r', from: 'precheck' as const, outputs };
    const run = await bench.lifecycle(new Scenario(), { approval: { signed: true } }, { resume });
    expect(await failure(run.handle.result())).toMatchObject({
      type: 'InputInvalid',
      message: expect.stringContaining('cannot be taken over'),
    });
  });

  it('is told where the worker knows no approvers', async () => {
    const scenario = new Scenario({
      checkApprovers: async () => {
        throw ApplicationFailure.nonRetryable('no list of approvers', 'ApprovalImpossible');
      },
    });
    const run = await started(scenario, { signed: true });
    expect(await failure(run.handle.result())).toMatchObject({ type: 'ApprovalImpossible' });
    expect(scenario.count('openTracking')).toBe(0);
  });
});

describe.concurrent('the trail of a run', () => {
  it('waits for the log before the run closes, and keeps the order', async () => {
    let down = true;
    const scenario = new Scenario({
      recordAudit: async ({ from, entries }) => {
        if (down) throw new Error('the disk is full');
        return { next: from + entries.length };
      },
    });
    const run = await started(scenario, { timeout: '100ms' });
    await eventually(async () => {
      const { state } = await run.status();
      return state === 'done' ? state : undefined;
    }, 'the end of the work');
    expect((await run.handle.describe()).status.name).toBe('RUNNING');
    down = false;
    await run.handle.result();
    const last = scenario.inputs('recordAudit').at(-1);
    expect((last?.from ?? 0) + (last?.entries.length ?? 0)).toBe(2);
  });

  it('sends what gathered meanwhile in order, a hundred entries at a time, each once', async () => {
    const gate = new Gate();
    // By the activity: another attempt is no other call.
    const written = new Map<string, { from: number; entries: AuditEntry[] }>();
    const scenario = new Scenario({
      recordAudit: async ({ from, entries }) => {
        written.set(activityInfo().activityId, { from, entries });
        await gate.opened;
        return { next: from + entries.length };
      },
    });
    const run = await started(scenario, {});
    const { candidate } = await run.awaiting();
    const many = Array.from({ length: 130 }, (_, i) => `person ${i}`);
    for (const by of many) await run.handle.signal(SIGNALS.approve, { by, candidate: 'f'.repeat(64) });
    await run.review({ decision: 'reject', by: 'ada', reason: 'no', candidate });
    gate.open();
    await run.handle.result();
    const calls = [...written.values()];
    expect(Math.max(...calls.map(({ entries }) => entries.length))).toBe(100);
    let next = 0;
    for (const { from, entries } of calls) {
      expect(from).toBe(next);
      next += entries.length;
    }
    const votes = calls.flatMap(({ entries }) => entries).filter(({ action }) => action === 'approval.vote');
    expect(votes.map(({ by }) => by)).toEqual([...many, 'ada']);
    expect((await run.status()).refused).toHaveLength(20);
  });

  it('goes on where the log stands after a reset or a fresh start', async () => {
    const scenario = new Scenario({
      recordAudit: async ({ from, entries }) => {
        if (from < 7) throw ApplicationFailure.nonRetryable('another entry', 'InputInvalid', { next: 7 });
        return { next: from + entries.length };
      },
    });
    const run = await started(scenario, { timeout: '100ms' });
    await run.handle.result();
    const written = scenario.inputs('recordAudit').filter(({ from }) => from >= 7);
    expect(written.flatMap(({ entries }) => entries.map(({ action }) => action))).toEqual([
      'approval.requested',
      'approval.decided',
    ]);
    expect(written[0]?.from).toBe(7);
  });

  it('does not keep a run open where the log refuses for good', async () => {
    const scenario = new Scenario({
      recordAudit: async () => {
        throw ApplicationFailure.nonRetryable('a line of the log is no record', 'ArtifactCorrupt');
      },
    });
    const run = await started(scenario, { timeout: '100ms' });
    expect(await run.handle.result()).toMatchObject({ outcome: 'approval_timed_out' });
  });

  it('tells nobody twice and fails no run where notices cannot be had', async () => {
    const scenario = new Scenario({
      notify: async () => {
        throw ApplicationFailure.nonRetryable('the web hook answers 404', 'InputInvalid');
      },
    });
    const run = await started(scenario, {});
    await run.review({
      decision: 'reject',
      by: 'ada',
      reason: 'no',
      candidate: (await run.awaiting()).candidate,
    });
    expect(await run.handle.result()).toMatchObject({ outcome: 'rejected' });
  });
});
