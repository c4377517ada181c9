import { CancellationScope, condition, log, sleep } from '@temporalio/workflow';
import { durationMs } from '../contracts/durations.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { ApprovalOutput } from '../contracts/stages.ts';
import type { LifecycleRun } from './lifecycle-run.ts';

/**
 * Waits until the review board has decided, or the policy's time is over. Reminders are written to the worker's
 * log and counted in the status.
 *
 * @param undecided gates that only a person can decide: a policy that approves after the time-out does not count then
 */
export async function awaitApproval(
  run: LifecycleRun,
  spec: PipelineSpec,
  candidate: string,
  undecided: string[],
): Promise<ApprovalOutput> {
  const { required, quorum, timeout } = spec.approval;
  const onTimeout = undecided.length > 0 ? 'reject' : spec.approval.onTimeout;
  const { board } = run;
  const policyVote = (decision: 'approve' | 'reject', reason: string): void =>
    board.cast({ decision, by: 'policy', reason }, 'policy', new Date().toISOString());
  if (!required) {
    policyVote('approve', 'the spec asks for no approval');
    return {
      decision: 'approved',
      candidate,
      votes: [...board.votes],
      reason: 'the spec asks for no approval',
    };
  }

  board.open(candidate, quorum);
  const since = Date.now();
  const deadline = new Date(since + durationMs(timeout)).toISOString();
  let remindersSent = 0;
  const show = (): void =>
    run.awaiting({
      candidate,
      since: new Date(since).toISOString(),
      deadline,
      quorum,
      votes: [...board.votes],
      remindersSent,
      undecided,
    });
  show();

  const reminders = new CancellationScope();
  const reminding = reminders.run(async () => {
    for (const after of spec.approval.reminders.map(durationMs).sort((a, b) => a - b)) {
      await sleep(Math.max(1, since + after - Date.now()), { summary: 'Reminder of the approval' });
      remindersSent += 1;
      log.warn(
        `candidate ${candidate.slice(0, 12)} of ${spec.name} still waits for approval, until ${deadline}`,
      );
      show();
    }
  });
  reminding.catch(() => undefined);

  try {
    const decided = await condition(() => board.decision !== undefined, durationMs(timeout), {
      summary: 'Time-out of the approval',
    });
    if (!decided)
      policyVote(
        onTimeout,
        `nobody decided within ${timeout}; ${onTimeout === spec.approval.onTimeout ? `the policy says ${onTimeout}` : 'only a person can decide what the gates could not'}`,
      );
    const decision = onTimeoutDecision(decided, board.decision, onTimeout);
    return { decision, candidate, votes: [...board.votes], reason: board.votes.at(-1)?.reason ?? '' };
  } finally {
    // Also after a cancellation: no vote is accepted while the run cleans up.
    board.close();
    reminders.cancel();
    run.waited(Date.now() - since);
    run.awaiting(null);
  }
}

/** The policy's word counts whatever the quorum is. */
const onTimeoutDecision = (
  decided: boolean,
  decision: 'approved' | 'rejected' | undefined,
  onTimeout: 'approve' | 'reject',
): 'approved' | 'rejected' =>
  decided && decision ? decision : onTimeout === 'approve' ? 'approved' : 'rejected';
