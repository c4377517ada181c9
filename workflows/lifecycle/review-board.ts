import type { Vote } from '../../contracts/votes.ts';
import {
  type ApprovalStanding,
  type Ballot,
  refuseBallot,
  standing,
  voteOf,
} from '../../domain/approval/ballots.ts';
import type { ApprovalPolicy } from '../../domain/approval/policy.ts';

/** Collects the votes on one candidate; plain state, tested without Temporal. */
export class ReviewBoard {
  #question: { candidate: string; policy: ApprovalPolicy } | undefined;
  readonly #votes: Vote[] = [];
  #closed = false;

  /** Votes are accepted from now on. */
  open(candidate: string, policy: ApprovalPolicy): void {
    this.#question = { candidate, policy };
  }

  /** From now on those may vote, too, whom the policy names for that. */
  escalate(): void {
    if (this.#question)
      this.#question = { ...this.#question, policy: { ...this.#question.policy, escalated: true } };
  }

  /** No vote counts any more. */
  close(): void {
    this.#closed = true;
  }

  get votes(): readonly Vote[] {
    return this.#votes;
  }

  /** The whole digest of what is voted on; `undefined` before it is known. */
  get candidate(): string | undefined {
    return this.#question?.candidate;
  }

  get policy(): ApprovalPolicy | undefined {
    return this.#question?.policy;
  }

  get standing(): ApprovalStanding {
    return this.#question
      ? standing(this.#votes, this.#question.policy)
      : { approvals: 0, roles: [], decision: undefined };
  }

  get decision(): ApprovalStanding['decision'] {
    return this.standing.decision;
  }

  /** Why nobody can vote now, whoever they are, or `undefined`. */
  get shut(): string | undefined {
    if (!this.#question) return 'the run is not waiting for an approval';
    return this.#closed || this.decision !== undefined ? 'the decision has been taken already' : undefined;
  }

  /** Why a ballot would not count now, or `undefined`. */
  refusal(ballot: Ballot): string | undefined {
    if (!this.#question) return this.shut;
    return this.shut ?? refuseBallot(ballot, { ...this.#question, votes: this.#votes });
  }

  /** Takes down a ballot that {@link refusal} let through. */
  cast(ballot: Ballot, how: Vote['how'], at: string): Vote {
    if (!this.#question) throw new Error('votes are cast on an open board');
    const vote = voteOf(ballot, this.#question.policy, how, at);
    this.#votes.push(vote);
    return vote;
  }
}
