import { ApplicationFailure, CancellationScope, condition, log, sleep } from '@temporalio/workflow';
import type { z } from 'zod';
import type { AuditEntry } from '../../contracts/audit.ts';
import { durationMs } from '../../contracts/durations.ts';
import type { lifecycleInput, RunStatus } from '../../contracts/lifecycle.ts';
import type { NoticeOfRun } from '../../contracts/notices.ts';
import type { PipelineSpec } from '../../contracts/spec/pipeline.ts';
import { type ApprovalOutput, STAGES } from '../../contracts/stages.ts';
import type { Vote } from '../../contracts/votes.ts';
import { type ApprovalPolicy, approvalPolicy, impossibility, voters } from '../../domain/approval/policy.ts';
import { approvalTags } from '../../domain/approval/version-tags.ts';
import { checkApprovers, notify, tagVersion } from '../activities.ts';
import type { LifecycleRun } from './lifecycle-run.ts';

/** What is decided on. */
export interface UnderReview {
  /** The whole digest. */
  candidate: string;
  /** Where it is registered. */
  modelName: string;
  version: string;
  /** Gates that only a person can decide: a policy that approves after the time-out does not count then. */
  undecided: string[];
}

/**
 * Tells before anything is trained that nobody could approve what the run makes.
 *
 * @throws ApplicationFailure `SpecInvalid` where the policy can never say yes, `ApprovalImpossible` where this worker's
 *   list of approvers cannot, `InputInvalid` where signed votes of an earlier run are to be taken over
 */
export async function checkApproval(
  { approval }: PipelineSpec,
  { author, resume }: Pick<z.output<typeof lifecycleInput>, 'author' | 'resume'>,
): Promise<void> {
  if (!approval.required) return;
  const problem = impossibility(approvalPolicy(approval, author));
  if (problem !== undefined && approval.onTimeout === 'reject')
    throw ApplicationFailure.nonRetryable(problem, 'SpecInvalid');
  if (!approval.signed) return;
  // What a run is started with is anybody's word.
  if (resume && STAGES.indexOf(resume.from) > STAGES.indexOf('approval'))
    throw ApplicationFailure.nonRetryable(
      'signed votes count in their own run alone (approval.signed), so that the approval of the earlier run cannot be taken over; resume at approval or before',
      'InputInvalid',
    );
  await checkApprovers({
    roles: approval.roles.filter(({ people }) => people === undefined).map(({ role }) => role),
    quorum: approval.approvers === undefined ? approval.quorum : 1,
    named: [
      ...(approval.approvers === undefined
        ? []
        : [
            {
              what: 'approval.approvers',
              people: [...approval.approvers, ...(approval.escalation?.to ?? [])],
              quorum: approval.quorum,
            },
          ]),
      ...approval.roles.flatMap(({ role, people, quorum }) =>
        people === undefined ? [] : [{ what: `approval.roles, ${role}`, people, quorum }],
      ),
    ],
  });
}

/**
 * Waits until the review board has decided, or the policy's time is over. Who is asked, reminded and asked in their
 * stead is told by notices; each decision stands in the audit log and in tags of the version.
 */
export async function awaitApproval(
  run: LifecycleRun,
  spec: PipelineSpec,
  review: UnderReview,
): Promise<ApprovalOutput> {
  const approval = new Approval(run, spec, review);
  const output = spec.approval.required ? await approval.decided() : approval.notAsked();
  await approval.record(output);
  return output;
}

/** One request for a decision. */
class Approval {
  readonly #run: LifecycleRun;
  readonly #spec: PipelineSpec;
  readonly #review: UnderReview;
  readonly #policy: ApprovalPolicy;
  readonly #since = Date.now();
  readonly #deadline: string;
  #remindersSent = 0;

  constructor(run: LifecycleRun, spec: PipelineSpec, review: UnderReview) {
    this.#run = run;
    this.#spec = spec;
    this.#review = review;
    this.#policy = approvalPolicy(spec.approval, run.author);
    this.#deadline = new Date(this.#since + durationMs(spec.approval.timeout)).toISOString();
    run.reviewed({
      endpoint: spec.deployment.endpoint,
      version: review.version,
      candidate: review.candidate,
    });
  }

  notAsked(): ApprovalOutput {
    this.#run.board.open(this.#review.candidate, this.#policy);
    this.#policyVote('approve', 'the spec asks for no approval');
    this.#run.board.close();
    return this.#output('approved');
  }

  async decided(): Promise<ApprovalOutput> {
    const { timeout } = this.#spec.approval;
    const { board } = this.#run;
    const onTimeout = this.#review.undecided.length > 0 ? 'reject' : this.#spec.approval.onTimeout;
    board.open(this.#review.candidate, this.#policy);
    this.#run.awaiting(this.#shown);
    this.#run.whenVoted(() => this.#run.stillAwaiting(this.#shown));
    this.#note('approval.requested', this.#asked());
    this.#tell('approval.requested', voters(this.#policy) ?? [], `${this.#subject()} waits for approval`);
    const timers = new CancellationScope();
    timers.run(() => Promise.all([this.#remind(), this.#escalate()])).catch(() => undefined);
    try {
      const voted = await condition(() => board.decision !== undefined, durationMs(timeout), {
        summary: 'Time-out of the approval',
      });
      if (!voted) {
        const policy =
          onTimeout === this.#spec.approval.onTimeout
            ? `the policy says ${onTimeout}`
            : 'only a person can decide what the gates could not';
        this.#policyVote(onTimeout, `nobody decided within ${timeout}; ${policy}`);
      }
      return this.#output(board.decision ?? 'rejected');
    } finally {
      // Also after a cancellation: no vote is accepted while the run cleans up.
      board.close();
      timers.cancel();
      this.#run.waited(Date.now() - this.#since);
      this.#run.awaiting(null);
    }
  }

  /** Into the audit log, and into the registry: a version that is not there cannot be deployed, but may be refused. */
  async record({ decision, votes, reason }: ApprovalOutput): Promise<void> {
    const last = votes.at(-1);
    this.#note(
      'approval.decided',
      `${decision}${reason === '' ? '' : `: ${reason}`}`,
      last === undefined || last.how === 'policy'
        ? undefined
        : { by: last.by, how: last.token === null ? 'named' : 'token' },
    );
    if (!this.#run.audited) return;
    const { modelName, version } = this.#review;
    const tagged = tagVersion({ modelName, version, tags: approvalTags(decision, votes) });
    if (decision === 'approved') await tagged;
    else await tagged.catch((error: unknown) => log.warn('the decision is no tag of its version', { error }));
  }

  async #remind(): Promise<void> {
    for (const after of this.#spec.approval.reminders.map(durationMs).sort((a, b) => a - b)) {
      await sleep(this.#in(after), { summary: 'Reminder of the approval' });
      this.#remindersSent += 1;
      const text = `${this.#subject()} still waits for approval`;
      log.warn(`${text}, until ${this.#deadline}`);
      const { policy } = this.#run.board;
      this.#tell('approval.reminder', (policy && voters(policy)) ?? [], text);
      this.#run.awaiting(this.#shown);
    }
  }

  async #escalate(): Promise<void> {
    const { escalation } = this.#spec.approval;
    if (!escalation) return;
    await sleep(this.#in(durationMs(escalation.after)), { summary: 'Escalation of the approval' });
    this.#run.board.escalate();
    this.#note(
      'approval.escalated',
      `nobody decided within ${escalation.after}; to ${escalation.to.join(', ')}`,
    );
    this.#tell(
      'approval.escalated',
      escalation.to,
      `${this.#subject()} waits for approval since ${escalation.after}; you may decide, too`,
    );
    this.#run.stillAwaiting(this.#shown);
  }

  #in(after: number): number {
    return Math.max(1, this.#since + after - Date.now());
  }

  #policyVote(decision: Vote['decision'], reason: string): void {
    this.#run.board.cast({ decision, by: 'policy', reason }, 'policy', new Date().toISOString());
  }

  #output(decision: 'approved' | 'rejected'): ApprovalOutput {
    const { votes } = this.#run.board;
    return {
      decision,
      candidate: this.#review.candidate,
      votes: [...votes],
      reason: votes.at(-1)?.reason ?? '',
    };
  }

  get #shown(): NonNullable<RunStatus['awaiting']> {
    const { board } = this.#run;
    const policy = board.policy ?? this.#policy;
    return {
      candidate: this.#review.candidate,
      since: new Date(this.#since).toISOString(),
      deadline: this.#deadline,
      quorum: policy.quorum,
      votes: [...board.votes],
      remindersSent: this.#remindersSent,
      approvers: voters(policy),
      roles: board.standing.roles,
      signed: policy.signed,
      run: this.#run.voteRun,
      escalated: policy.escalated,
      undecided: this.#review.undecided,
    };
  }

  #asked(): string {
    const { quorum, roles, signed } = this.#policy;
    const named = voters(this.#policy);
    return [
      `${quorum} of ${named === null ? 'anybody' : named.join(', ')}`,
      ...roles.map(({ role, quorum: needed }) => `${needed} in role ${role}`),
      ...(signed ? ['signed'] : []),
      `until ${this.#deadline}`,
    ].join('; ');
  }

  #subject(): string {
    const { candidate, modelName, version } = this.#review;
    return `version ${version} of ${modelName} (candidate ${candidate.slice(0, 12)}, pipeline ${this.#spec.name})`;
  }

  #note(
    action: AuditEntry['action'],
    reason: string,
    who: Pick<AuditEntry, 'by' | 'how'> = { by: 'policy', how: 'engine' },
  ): void {
    this.#run.note({ action, outcome: 'done', reason, ...who });
  }

  /** In the background: an approval waits for nobody's web hook. */
  #tell(kind: NoticeOfRun['kind'], to: readonly string[], text: string): void {
    if (!this.#run.audited) return;
    const { candidate, version } = this.#review;
    const notice: NoticeOfRun = {
      kind,
      workflowId: this.#run.identity.workflowId,
      pipeline: this.#spec.name,
      endpoint: this.#spec.deployment.endpoint,
      version,
      candidate,
      to: [...new Set(to)],
      text: `${text}, until ${this.#deadline}`.slice(0, 4_000),
      url: this.#run.approvalPage,
    };
    notify(notice).catch((error: unknown) => log.warn(`nobody was told: ${text}`, { error }));
  }
}
