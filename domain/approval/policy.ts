import { plainName, samePerson } from '../../contracts/people.ts';
import type { ApprovalSpec } from '../../contracts/spec/approval.ts';

/** Who may decide on a candidate, in force for one run. */
export interface ApprovalPolicy {
  /** Counted approvals by approvers that are needed. */
  quorum: number;
  /** Who may vote; `null`: everybody. */
  approvers: readonly string[] | null;
  /** Each must approve, beside the quorum. `people: null`: whom the worker's list of approvers gives the role. */
  roles: readonly { role: string; people: readonly string[] | null; quorum: number }[];
  /** Who may vote as an approver once nobody did for a while. */
  escalation: readonly string[];
  /** Whether that is so now. */
  escalated: boolean;
  signed: boolean;
  /** Who started the run; `null` where that is not known. */
  author: string | null;
  authorMayVote: boolean;
}

/** The policy of a spec for a run that somebody started; not yet escalated. */
export const approvalPolicy = (spec: ApprovalSpec, author: string | undefined): ApprovalPolicy => ({
  quorum: spec.quorum,
  approvers: spec.approvers ?? null,
  roles: spec.roles.map(({ role, people, quorum }) => ({ role, people: people ?? null, quorum })),
  escalation: spec.escalation?.to ?? [],
  escalated: false,
  signed: spec.signed,
  author: author ?? null,
  authorMayVote: spec.authorMayVote,
});

/** Whether the approval of this person does not count, for they started the run. */
export const isBarredAuthor = (policy: ApprovalPolicy, name: string): boolean =>
  !policy.authorMayVote && policy.author !== null && samePerson(policy.author, name);

/** Whether the votes of this person count towards the quorum. */
export const isApprover = (policy: ApprovalPolicy, name: string): boolean =>
  policy.approvers === null ||
  isAmong(policy.approvers, name) ||
  (policy.escalated && isAmong(policy.escalation, name));

/**
 * The roles that a person votes in.
 *
 * @param vouched roles that the worker's list of approvers gives the person whose token was verified
 */
export const rolesOf = (policy: ApprovalPolicy, name: string, vouched: readonly string[]): string[] =>
  policy.roles
    .filter(({ role, people }) => (people === null ? vouched.includes(role) : isAmong(people, name)))
    .map(({ role }) => role);

/** Everybody whom the policy names as one who may vote now, each once; `null` where everybody may. */
export function voters(policy: ApprovalPolicy): string[] | null {
  if (policy.approvers === null) return null;
  return distinct([
    ...policy.approvers,
    ...policy.roles.flatMap(({ people }) => people ?? []),
    ...(policy.escalated ? policy.escalation : []),
  ]);
}

/**
 * Why a policy can never say yes, or `undefined`: people are counted once however their name is written, and whoever
 * started the run is not.
 *
 * @example
 * impossibility({ ...policy, quorum: 2, approvers: ['Ada', 'Grace'], author: 'ada' });
 * // approval.quorum: 2 approvals are needed, 1 can be had (Grace), since ada started the run; name …
 */
export function impossibility(policy: ApprovalPolicy): string | undefined {
  const groups = [
    ...(policy.approvers === null
      ? []
      : [
          {
            where: 'approval.quorum',
            people: [...policy.approvers, ...policy.escalation],
            quorum: policy.quorum,
          },
        ]),
    ...policy.roles.flatMap(({ role, people, quorum }) =>
      people === null ? [] : [{ where: `approval.roles, ${role}`, people, quorum }],
    ),
  ];
  for (const { where, people, quorum } of groups) {
    const named = distinct(people);
    const counted = named.filter((name) => !isBarredAuthor(policy, name));
    if (counted.length >= quorum) continue;
    const because = counted.length < named.length ? `, since ${policy.author} started the run` : '';
    return `${where}: ${plural(quorum, 'approval')} ${quorum === 1 ? 'is' : 'are'} needed, ${counted.length} can be had${counted.length > 0 ? ` (${counted.join(', ')})` : ''}${because}; name more people${because ? ', or set approval.authorMayVote: true' : ''}`;
  }
  return undefined;
}

const isAmong = (people: readonly string[], name: string): boolean =>
  people.some((person) => samePerson(person, name));

/** Each person once, under the name that stands first. */
const distinct = (people: readonly string[]): string[] => [
  ...people
    .reduce((known, name) => {
      const plain = plainName(name);
      return known.has(plain) ? known : known.set(plain, name);
    }, new Map<string, string>())
    .values(),
];

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;
