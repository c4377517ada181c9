import { describe, expect, it } from 'vitest';
import { runStatus } from '../../contracts/lifecycle.ts';
import { approvalSpec } from '../../contracts/spec/approval.ts';
import { STAGES } from '../../contracts/stages.ts';
import { type ApprovalPolicy, approvalPolicy } from '../../domain/approval/policy.ts';
import { ReviewBoard } from '../../workflows/lifecycle/review-board.ts';
import { runDetails } from '../../workflows/lifecycle/run-details.ts';
import { RunProgress } from '../../workflows/lifecycle/run-progress.ts';

const CANDIDATE = 'abcdef01'.repeat(8);
const AT = '2026-01-01T00:00:00.000Z';
const LATER = '2026-01-01T00:01:02.500Z';

const progress = () => new RunProgress({ workflowId: 'w', runId: 'r' });
const awaiting = {
  candidate: CANDIDATE,
  since: AT,
  deadline: LATER,
  quorum: 2,
  votes: [],
  remindersSent: 0,
  approvers: null,
  roles: [{ role: 'risk', quorum: 1, approvals: 0 }],
  signed: false,
  run: 'w/r',
  escalated: false,
  undecided: [],
};

describe('the review board', () => {
  const ballot = (by: string, decision: 'approve' | 'reject' = 'approve') => ({ by, decision, reason: 'x' });
  const policy = (quorum: number, more: Partial<ApprovalPolicy> = {}): ApprovalPolicy => ({
    ...approvalPolicy(approvalSpec.parse({ quorum }), undefined),
    ...more,
  });

  it('takes votes from when it is opened to when it has decided', () => {
    const board = new ReviewBoard();
    expect(board.refusal(ballot('ada'))).toBe('the run is not waiting for an approval');
    board.open(CANDIDATE, policy(2));
    expect(board.refusal(ballot('ada'))).toBeUndefined();
    board.cast(ballot('ada'), 'signal', AT);
    expect(board.decision).toBeUndefined();
    expect(board.refusal(ballot('ada'))).toBe('ada has voted already');
    board.cast(ballot('grace'), 'update', AT);
    expect(board.decision).toBe('approved');
    expect(board.refusal(ballot('joan'))).toBe('the decision has been taken already');
    const more = { decision: 'approve', reason: 'x', at: AT, roles: [], token: null, author: false };
    expect(board.votes).toEqual([
      { ...more, by: 'ada', how: 'signal' },
      { ...more, by: 'grace', how: 'update' },
    ]);
  });

  it('takes no vote after it was closed', () => {
    const board = new ReviewBoard();
    board.open(CANDIDATE, policy(1));
    board.close();
    expect(board.refusal(ballot('ada'))).toBe('the decision has been taken already');
  });

  it('lets others vote, too, once it is escalated', () => {
    const board = new ReviewBoard();
    board.open(CANDIDATE, policy(1, { approvers: ['ada'], escalation: ['boss'] }));
    expect(board.refusal(ballot('boss'))).toContain('not among those who may vote');
    board.escalate();
    expect(board.refusal(ballot('boss'))).toBeUndefined();
  });

  it('is bound to its candidate', () => {
    const board = new ReviewBoard();
    board.open(CANDIDATE, policy(1));
    expect(board.refusal({ ...ballot('ada'), candidate: 'f'.repeat(64) })).toContain(
      'is not the one under review',
    );
    expect(board.refusal({ ...ballot('ada'), candidate: CANDIDATE.slice(0, 8) })).toBeUndefined();
  });
});

describe('the progress of a run', () => {
  it('begins with every stage ahead, as the contract says', () => {
    const status = runStatus.parse(progress().status);
    expect(status.stages).toEqual(STAGES.map((name) => ({ name, state: 'pending' })));
    expect(status).toMatchObject({ state: 'running', stage: null, outcome: null, error: null });
  });

  it('follows a stage from its beginning to its end', () => {
    const run = progress();
    run.begin('ingest', AT);
    expect(run.status.stage).toBe('ingest');
    run.complete('ingest', LATER, '10 rows');
    run.reuse('validate');
    expect(run.status.stages.slice(0, 2)).toEqual([
      { name: 'ingest', state: 'done', startedAt: AT, endedAt: LATER, summary: '10 rows' },
      { name: 'validate', state: 'reused' },
    ]);
  });

  it('skips what a run with an outcome did not reach', () => {
    const run = progress();
    run.begin('ingest', AT);
    run.complete('ingest', LATER, '');
    run.finish('gates_failed');
    expect(run.status).toMatchObject({ state: 'done', outcome: 'gates_failed', stage: null });
    expect(new Set(run.status.stages.slice(1).map(({ state }) => state))).toEqual(new Set(['skipped']));
  });

  it.each([
    [false, 'failed'],
    [true, 'cancelled'],
  ])('ends in the stage that is running (cancelled: %s)', (cancelled, state) => {
    const run = progress();
    run.begin('ingest', AT);
    run.fail('x'.repeat(1_000), LATER, cancelled);
    expect(run.status).toMatchObject({ state, error: 'x'.repeat(1_000), outcome: null });
    expect(run.status.stages[0]).toEqual({
      name: 'ingest',
      state: 'failed',
      startedAt: AT,
      endedAt: LATER,
      summary: 'x'.repeat(300),
    });
    expect(run.status.stages[1]?.state).toBe('skipped');
  });

  it('says the first line of an error beside the stage', () => {
    const run = progress();
    run.begin('validate', AT);
    run.fail('2 of 4 expectations failed\nrange age [0, 120]: 3 of 9 rows', LATER, false);
    expect(run.status.stages[1]?.summary).toBe('2 of 4 expectations failed');
    expect(run.status.error).toContain('range age');
  });

  it('waits for people and stops to', () => {
    const run = progress();
    run.awaiting(awaiting);
    expect(run.status.state).toBe('awaiting_approval');
    run.awaiting(null);
    expect(run.status.state).toBe('running');
  });

  it('keeps the latest twenty refusals', () => {
    const run = progress();
    for (let i = 0; i < 25; i++) run.refuse('approve', String(i), AT);
    expect(run.status.refused.map(({ reason }) => reason)).toEqual(
      Array.from({ length: 20 }, (_, i) => String(i + 5)),
    );
  });
});

describe('the details of a run in the Temporal UI', () => {
  it('show every stage with its state, time and numbers', () => {
    const run = progress();
    run.named('churn');
    run.begin('ingest', AT);
    run.complete('ingest', LATER, 'a | b\nc');
    run.begin('validate', LATER);
    const lines = runDetails(run.status).split('\n');
    expect(lines[0]).toBe('**churn**: running');
    expect(lines).toContain('| ✓ | ingest | 62.5 s | a \\| b c |');
    expect(lines).toContain('| ▶ | validate |  |  |');
    expect(lines.filter((line) => line.startsWith('| ·'))).toHaveLength(STAGES.length - 2);
  });

  it('show what the run waits for, its links and its error', () => {
    const run = progress();
    run.link('MLflow run', 'http://mlflow.test/');
    run.awaiting(awaiting);
    expect(runDetails(run.status)).toContain(
      `candidate \`${CANDIDATE.slice(0, 12)}\` until ${LATER} (0 of 2 votes, risk 0 of 1)`,
    );
    expect(runDetails(run.status)).toContain('[MLflow run](http://mlflow.test/)');
    expect(runDetails(run.status)).toContain('**pipeline**: awaiting approval');
    run.fail('too slow', LATER, false);
    expect(runDetails(run.status)).toContain('**Error:** too slow');
  });
});
