import type { Vote } from '../contracts/stages.ts';
import { type Ballot, refuseBallot, tally } from '../domain/review.ts';

/** Collects the votes on one candidate; plain state, tested without Temporal. */
export class ReviewBoard {
  #candidate: string | undefined;
  #quorum = 1;
  readonly #votes: Vote[] = [];
  #closed = false;

  /** Votes are accepted from now on. */
  open(candidate: string, quorum: number): void {
    this.#candidate = candidate;
    this.#quorum = quorum;
  }

  /** No vote counts any more. */
  close(): void {
    this.#closed = true;
  }

  get votes(): readonly Vote[] {
    return this.#votes;
  }

  get decision(): 'approved' | 'rejected' | undefined {
    return tally(this.#votes, this.#quorum);
  }

  /** Why a ballot would not count now, or `undefined`. */
  refusal(ballot: Ballot): string | undefined {
    if (this.#candidate === undefined) return 'the run is not waiting for an approval';
    return refuseBallot(ballot, this.#candidate, this.#votes, this.#closed || this.decision !== undefined);
  }

  /** Counts a ballot that {@link refusal} let through. */
  cast(ballot: Ballot, how: Vote['how'], at: string): void {
    this.#votes.push({ decision: ballot.decision, by: ballot.by, reason: ballot.reason, at, how });
  }
}
