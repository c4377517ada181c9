import type { Vote } from '../contracts/stages.ts';

/** The shortest prefix of a candidate's digest that names it. */
const MIN_PREFIX = 8;

/** Whether `named` is the digest, or a prefix of at least 8 characters. */
export const namesCandidate = (named: string, candidate: string): boolean =>
  named.length >= MIN_PREFIX && candidate.startsWith(named.toLowerCase());

/** Keyboards differ in how they compose letters: "é" may be one character or two. */
const plainName = (name: string): string => name.normalize('NFKC').trim().toLowerCase();
const sameName = (a: string, b: string): boolean => plainName(a) === plainName(b);

/** A vote before it is dated. */
export interface Ballot {
  decision: 'approve' | 'reject';
  by: string;
  reason: string;
  candidate?: string | undefined;
}

/**
 * Why a ballot does not count, or `undefined` where it does: a wrong candidate, a second vote of one person,
 * a vote after the decision.
 */
export function refuseBallot(
  ballot: Ballot,
  candidate: string,
  votes: readonly Vote[],
  decided: boolean,
): string | undefined {
  if (decided) return 'the decision has been taken already';
  if (ballot.candidate !== undefined && !namesCandidate(ballot.candidate, candidate))
    return `candidate ${ballot.candidate.slice(0, 64)} is not the one under review; that is ${candidate.slice(0, 12)}`;
  if (votes.some((vote) => sameName(vote.by, ballot.by))) return `${ballot.by.trim()} has voted already`;
  return undefined;
}

/** One rejection decides; approvals decide when the quorum is reached. */
export function tally(votes: readonly Vote[], quorum: number): 'approved' | 'rejected' | undefined {
  if (votes.some((vote) => vote.decision === 'reject')) return 'rejected';
  return votes.filter((vote) => vote.decision === 'approve').length >= quorum ? 'approved' : undefined;
}
