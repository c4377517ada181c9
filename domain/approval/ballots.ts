import { samePerson } from '../../contracts/people.ts';
import type { Vote } from '../../contracts/votes.ts';
import { type ApprovalPolicy, isApprover, isBarredAuthor, rolesOf } from './policy.ts';

/** The shortest prefix of a candidate's digest that names it. */
const MIN_PREFIX = 8;

/** Whether `named` is the digest, or a prefix of at least 8 characters. */
export const namesCandidate = (named: string, candidate: string): boolean =>
  named.length >= MIN_PREFIX && candidate.startsWith(named.toLowerCase());

/** A vote before it is looked at. */
export interface Ballot {
  decision: 'approve' | 'reject';
  by: string;
  reason: string;
  candidate?: string | undefined;
  /** The `jti` of the token that was verified for it; left out: nothing vouches for the name. */
  token?: string | undefined;
  /** Roles that the worker's list of approvers gives the person of the token. */
  vouched?: readonly string[] | undefined;
}

/** What a ballot is about. */
export interface Question {
  /** The whole digest. */
  candidate: string;
  policy: ApprovalPolicy;
  votes: readonly Vote[];
}

/**
 * Why a ballot does not count, or `undefined` where it does: a wrong candidate, a token that was used or is missing,
 * a second vote of one person, a person who may not vote. Whoever may not decide for they started the run is told by
 * {@link countsNot}; their rejection counts, also after an approval of theirs.
 */
export function refuseBallot(ballot: Ballot, { candidate, policy, votes }: Question): string | undefined {
  const by = ballot.by.trim();
  if (ballot.candidate !== undefined && !namesCandidate(ballot.candidate, candidate))
    return `candidate ${ballot.candidate.slice(0, 64)} is not the one under review; that is ${candidate.slice(0, 12)}`;
  if (ballot.token !== undefined && votes.some(({ token }) => token === ballot.token))
    return 'the token has been used already; sign another one';
  if (policy.signed && ballot.token === undefined)
    return 'only signed votes count here (approval.signed); use `perennial approve RUN --key FILE`, or update review with {"token": "…"}';
  const before = votes.find((vote) => samePerson(vote.by, by) && vote.how !== 'policy');
  if (before && !(before.author && ballot.decision === 'reject')) return `${by} has voted already`;
  if (!isApprover(policy, by) && rolesOf(policy, by, ballot.vouched ?? []).length === 0)
    return `${by} is not among those who may vote (approval.approvers, approval.roles)`;
  return undefined;
}

/**
 * Why a vote that is taken down does not bring the decision nearer, with the remedy; `undefined` where it does.
 *
 * @param by who voted
 */
export const countsNot = (vote: Pick<Vote, 'author' | 'decision'>, by: string): string | undefined =>
  vote.author && vote.decision === 'approve'
    ? `${by.trim()} started this run, so that the approval is taken down but does not count; somebody else must approve, or the spec says approval: { authorMayVote: true }`
    : undefined;

/** The vote that a ballot makes, as it is taken down. */
export const voteOf = (ballot: Ballot, policy: ApprovalPolicy, how: Vote['how'], at: string): Vote => ({
  decision: ballot.decision,
  by: ballot.by,
  reason: ballot.reason,
  at,
  how,
  roles: how === 'policy' ? [] : rolesOf(policy, ballot.by, ballot.vouched ?? []),
  token: ballot.token ?? null,
  author: how !== 'policy' && isBarredAuthor(policy, ballot.by),
});

/** How far an approval has come. */
export interface ApprovalStanding {
  /** Approvals that count towards the quorum. */
  approvals: number;
  roles: { role: string; quorum: number; approvals: number }[];
  decision: 'approved' | 'rejected' | undefined;
}

/**
 * One rejection decides, also the author's. Approvals decide when the quorum of approvers and that of every role are
 * reached; one person may count towards the quorum and in their roles. The policy's own word decides at once.
 */
export function standing(votes: readonly Vote[], policy: ApprovalPolicy): ApprovalStanding {
  const approved = votes.filter(({ decision, author }) => decision === 'approve' && !author);
  const approvals = approved.filter(({ by, how }) => how !== 'policy' && isApprover(policy, by)).length;
  const roles = policy.roles.map(({ role, quorum }) => ({
    role,
    quorum,
    approvals: approved.filter((vote) => vote.roles.includes(role)).length,
  }));
  const reached =
    approved.some(({ how }) => how === 'policy') ||
    (approvals >= policy.quorum && roles.every((role) => role.approvals >= role.quorum));
  const decision = votes.some((vote) => vote.decision === 'reject')
    ? 'rejected'
    : reached
      ? 'approved'
      : undefined;
  return { approvals, roles, decision };
}
