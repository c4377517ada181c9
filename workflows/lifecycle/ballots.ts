import { ActivityFailure, ApplicationFailure, log } from '@temporalio/workflow';
import type { AuditEntry } from '../../contracts/audit.ts';
import { approveSignal, rejectSignal, reviewUpdate } from '../../contracts/lifecycle.ts';
import { personName } from '../../contracts/people.ts';
import type { Vote } from '../../contracts/votes.ts';
import { type Ballot, countsNot } from '../../domain/approval/ballots.ts';
import { verifyVote } from '../activities.ts';
import { parseInput, parseSignal } from '../parse.ts';
import type { ReviewBoard } from './review-board.ts';

/** What an update that brought a vote is answered with. */
export interface Accepted {
  accepted: true;
  /** How many votes are taken down. */
  votes: number;
}

/** What ballots need to know of their run. */
export interface BallotsOf {
  board: ReviewBoard;
  /** The claim `run` that tokens must hold. */
  run: string;
  /** Shows a signal that did not count in the status. */
  refused(signal: Vote['decision'], reason: string): void;
  /** Writes into the audit log. */
  note(entry: Pick<AuditEntry, 'action' | 'outcome' | 'by' | 'how' | 'reason'>): void;
  /** Shows the vote that was just taken down. */
  voted(): void;
}

/** Where nobody is known to have sent something. */
const NOBODY = 'unknown';

/**
 * Takes votes in by signal and by update. They are looked at one after the other, in the order in which they came, also
 * while the token of one is verified; each ends in the audit log, taken down or refused.
 */
export class Ballots {
  readonly #of: BallotsOf;
  #last: Promise<unknown> = Promise.resolve();

  constructor(of: BallotsOf) {
    this.#of = of;
  }

  /** The validator of update `review`: it cannot write into the audit log, so it looks at the shape and the state alone. */
  check(argument: unknown): void {
    parseInput(reviewUpdate, argument, 'update review');
    const { shut } = this.#of.board;
    if (shut !== undefined) throw refusedUpdate(shut);
  }

  /** @throws ApplicationFailure `InputInvalid` with the reason where the vote does not count */
  review(argument: unknown): Promise<Accepted> {
    const review = parseInput(reviewUpdate, argument, 'update review');
    return this.#inTurn(async () => {
      const ballot = 'token' in review ? await this.#verified(review.token) : review;
      if ('refusal' in ballot) throw refusedUpdate(ballot.refusal);
      const problem = this.#take(ballot, 'update');
      if (problem !== undefined) throw refusedUpdate(problem);
      return { accepted: true, votes: this.#of.board.votes.length };
    });
  }

  /** A signal cannot be refused; one that does not count is written down. */
  signal(decision: Vote['decision'], argument: unknown): Promise<void> {
    return this.#inTurn(async () => {
      const parsed = parseSignal(decision === 'approve' ? approveSignal : rejectSignal, argument);
      const problem =
        'refusal' in parsed
          ? this.#refuse({ decision, by: claimedBy(argument) }, parsed.refusal)
          : this.#take({ decision, ...parsed.value }, 'signal');
      if (problem === undefined) return;
      this.#of.refused(decision, problem);
      log.warn(`signal ${decision} does not count: ${problem}`);
    });
  }

  /** Takes a ballot down. @returns why it does not count, or `undefined` */
  #take(ballot: Ballot, how: 'signal' | 'update'): string | undefined {
    const { board } = this.#of;
    const refusal = board.refusal(ballot);
    if (refusal !== undefined) return this.#refuse(ballot, refusal);
    const vote = board.cast(ballot, how, new Date().toISOString());
    const problem = countsNot(vote, ballot.by);
    if (problem === undefined)
      this.#of.note({ ...voteEntry(ballot), outcome: 'done', reason: told(vote.decision, vote.reason) });
    else this.#refuse(ballot, problem);
    this.#of.voted();
    return problem;
  }

  async #verified(token: string): Promise<Ballot | { refusal: string }> {
    const { board, run } = this.#of;
    const { candidate } = board;
    // The board may have shut while this vote waited for its turn.
    if (candidate === undefined || board.shut !== undefined)
      return { refusal: this.#refuse({ by: NOBODY }, board.shut ?? '') };
    try {
      const verdict = await verifyVote({ token, candidate, run });
      if (verdict.state === 'refused')
        return { refusal: this.#refuse({ by: verdict.claimed ?? NOBODY }, verdict.reason) };
      return { ...verdict, vouched: verdict.roles };
    } catch (error) {
      const cause = error instanceof ActivityFailure ? error.cause : error;
      const reason = cause instanceof Error ? cause.message : String(cause);
      return { refusal: this.#refuse({ by: NOBODY }, `the token could not be verified: ${reason}`) };
    }
  }

  #refuse(ballot: Pick<Ballot, 'by'> & Partial<Ballot>, problem: string): string {
    const { decision } = ballot;
    this.#of.note({
      ...voteEntry(ballot),
      outcome: 'refused',
      reason: decision === undefined ? problem : told(decision, problem),
    });
    return problem;
  }

  /** Whatever becomes of the work, the next one has its turn. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

const told = (decision: Vote['decision'], words: string): string =>
  words === '' ? decision : `${decision}: ${words}`;

const voteEntry = ({ by, token }: Pick<Ballot, 'by' | 'token'>) =>
  ({
    action: 'approval.vote',
    by: by.trim(),
    how: token === undefined ? 'named' : 'token',
  }) as const;

/** Whom a signal of the wrong shape says it is of. */
function claimedBy(argument: unknown): string {
  const named =
    typeof argument === 'object' && argument !== null && 'by' in argument
      ? personName.safeParse(argument.by)
      : undefined;
  return named?.data ?? NOBODY;
}

const refusedUpdate = (reason: string): ApplicationFailure =>
  ApplicationFailure.nonRetryable(`update review: ${reason}`, 'InputInvalid');
