import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { approvalSpec } from '../../contracts/spec/approval.ts';
import type { Vote } from '../../contracts/votes.ts';
import {
  type Ballot,
  countsNot,
  namesCandidate,
  refuseBallot,
  standing,
  voteOf,
} from '../../domain/approval/ballots.ts';
import {
  type ApprovalPolicy,
  approvalPolicy,
  impossibility,
  rolesOf,
  voters,
} from '../../domain/approval/policy.ts';
import { approvalTags } from '../../domain/approval/version-tags.ts';

const DIGEST = `abcdef0123${'0'.repeat(54)}`;
const AT = '2026-01-01T00:00:00.000Z';

const policy = (more: Partial<ApprovalPolicy> = {}): ApprovalPolicy => ({
  ...approvalPolicy(approvalSpec.parse({}), undefined),
  ...more,
});
const ballot = (by: string, more: Partial<Ballot> = {}): Ballot => ({
  decision: 'approve',
  by,
  reason: '',
  ...more,
});
const cast = (rules: ApprovalPolicy, ...ballots: Ballot[]): Vote[] =>
  ballots.map((one) => voteOf(one, rules, 'update', AT));
const refused = (one: Ballot, rules = policy(), votes: Vote[] = []): string | undefined =>
  refuseBallot(one, { candidate: DIGEST, policy: rules, votes });

describe('a ballot', () => {
  it.each([
    [DIGEST, true],
    ['abcdef01', true],
    ['ABCDEF0123', true],
    ['abcdef0', false],
    ['', false],
    ['bcdef012', false],
    [`${DIGEST}0`, false],
  ])('naming %s names the candidate: %s', (named, names) => {
    expect(namesCandidate(named, DIGEST)).toBe(names);
  });

  it('counts where nothing is against it', () => {
    expect(refused(ballot('ada'))).toBeUndefined();
    const votes = cast(policy(), ballot('grace'));
    expect(refused(ballot('ada', { candidate: 'abcdef01' }), policy(), votes)).toBeUndefined();
  });

  it('does not count for another candidate', () => {
    expect(refused(ballot('ada', { candidate: 'f'.repeat(500) }))).toBe(
      `candidate ${'f'.repeat(64)} is not the one under review; that is abcdef012300`,
    );
  });

  it.each(['ada l', ' ADA L ', 'Ada   L', 'Ada\u00a0L'])('of one person counts once: %j', (by) => {
    expect(refused(ballot(by), policy(), cast(policy(), ballot('ada l')))).toContain('has voted already');
  });

  it('does not count twice where the same name is composed in another way', () => {
    const [composed, decomposed] = ['Ren\u00e9e', 'Rene\u0301e'] as const;
    expect(composed).not.toBe(decomposed);
    expect(refused(ballot(decomposed), policy(), cast(policy(), ballot(composed)))).toBeDefined();
  });

  it('counts without a token only where none is asked for', () => {
    const signed = policy({ signed: true });
    expect(refused(ballot('ada'), signed)).toContain('only signed votes count');
    expect(refused(ballot('ada', { token: 'id-00001' }), signed)).toBeUndefined();
  });

  it('does not count with a token that somebody used', () => {
    const votes = cast(policy(), ballot('ada', { token: 'id-00001' }));
    expect(refused(ballot('grace', { token: 'id-00001' }), policy(), votes)).toContain('used already');
  });

  it('counts of approvers and of people of a role alone, where they are named', () => {
    const named = policy({
      approvers: ['Ada'],
      roles: [
        { role: 'risk', people: ['Grace'], quorum: 1 },
        { role: 'legal', people: null, quorum: 1 },
      ],
      escalation: ['Boss'],
    });
    expect(refused(ballot('ada'), named)).toBeUndefined();
    expect(refused(ballot('grace'), named)).toBeUndefined();
    expect(refused(ballot('joan', { vouched: ['legal'] }), named)).toBeUndefined();
    expect(refused(ballot('joan', { vouched: ['risk'] }), named)).toContain('joan is not among those');
    expect(refused(ballot('boss'), named)).toContain('not among those');
    expect(refused(ballot('boss'), { ...named, escalated: true })).toBeUndefined();
    expect(voters(named)).toEqual(['Ada', 'Grace']);
    expect(voters(policy())).toBeNull();
    expect(rolesOf(named, 'GRACE', ['legal'])).toEqual(['risk', 'legal']);
  });
});

describe('whoever started the run', () => {
  const own = policy({ author: 'Ada' });

  it('approves without effect, and is told the remedy', () => {
    const votes = cast(own, ballot(' ADA '));
    expect(votes).toMatchObject([{ author: true }]);
    expect(standing(votes, own)).toMatchObject({ approvals: 0, decision: undefined });
    expect(countsNot({ decision: 'approve', author: true }, ' ADA ')).toContain('authorMayVote: true');
  });

  it('rejects with effect, also after an approval', () => {
    const votes = cast(own, ballot('ada'));
    const rejection = ballot('ada', { decision: 'reject', reason: 'no' });
    expect(refused(ballot('ada'), own, votes)).toContain('has voted already');
    expect(refused(rejection, own, votes)).toBeUndefined();
    const all = [...votes, ...cast(own, rejection)];
    expect(standing(all, own).decision).toBe('rejected');
    expect(refused(rejection, own, all.slice(1))).toContain('has voted already');
    expect(countsNot({ decision: 'reject', author: true }, 'ada')).toBeUndefined();
  });

  it('counts in no role either', () => {
    const inRole = { ...own, roles: [{ role: 'risk', people: ['ada', 'grace'], quorum: 1 }] };
    expect(standing(cast(inRole, ballot('ada')), inRole).roles[0]?.approvals).toBe(0);
  });

  it('counts where the spec lets them', () => {
    const free = { ...own, authorMayVote: true };
    expect(standing(cast(free, ballot('ada')), free).decision).toBe('approved');
  });
});

describe('the standing of an approval', () => {
  it('is decided at the quorum; one rejection decides at once', () => {
    const two = policy({ quorum: 2 });
    expect(standing([], policy()).decision).toBeUndefined();
    expect(standing(cast(two, ballot('a')), two).decision).toBeUndefined();
    expect(standing(cast(two, ballot('a'), ballot('b')), two).decision).toBe('approved');
    const rejection = ballot('c', { decision: 'reject' });
    expect(standing(cast(two, ballot('a'), ballot('b'), rejection), two).decision).toBe('rejected');
  });

  it('needs every role beside the quorum; people of a role who are no approvers do not make the quorum', () => {
    const rules = policy({
      approvers: ['ada'],
      roles: [{ role: 'risk', people: ['grace', 'joan'], quorum: 2 }],
    });
    expect(standing(cast(rules, ballot('grace'), ballot('joan')), rules)).toEqual({
      approvals: 0,
      roles: [{ role: 'risk', quorum: 2, approvals: 2 }],
      decision: undefined,
    });
    const all = cast(rules, ballot('grace'), ballot('ada'), ballot('joan'));
    expect(standing(all, rules).decision).toBe('approved');
    expect(standing(all.slice(0, 2), rules).decision).toBeUndefined();
  });

  it('is what the policy says when the time is over', () => {
    const rules = policy({ quorum: 3 });
    const word = voteOf(ballot('policy'), rules, 'policy', AT);
    expect(standing([word], rules)).toMatchObject({ approvals: 0, decision: 'approved' });
  });

  it('never comes from one person alone where two are needed, however they write their name', () => {
    const spelling = fc.constantFrom('ada', 'ADA', ' Ada', 'Ada ', '\uff21da', 'a\u0064a');
    const votes = fc.array(fc.tuple(spelling, fc.boolean()), { maxLength: 12 });
    fc.assert(
      fc.property(votes, ([...tries]) => {
        const rules = policy({ quorum: 2 });
        const taken: Vote[] = [];
        for (const [by, signed] of tries) {
          const one = ballot(by, signed ? { token: `id-${taken.length}-${by}` } : {});
          if (refused(one, rules, taken) === undefined) taken.push(...cast(rules, one));
        }
        return taken.length <= 1 && standing(taken, rules).decision === undefined;
      }),
    );
  });

  it('is approved only with enough counted approvals of different people, whatever comes', () => {
    const person = fc.constantFrom('ada', 'grace', 'joan', 'author', 'Author ', 'mallory');
    const one = fc.record({ by: person, decision: fc.constantFrom('approve' as const, 'reject' as const) });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 10 }), fc.integer({ min: 1, max: 3 }), (tries, quorum) => {
        const rules = policy({ quorum, approvers: ['ada', 'grace', 'joan', 'author'], author: 'author' });
        const taken: Vote[] = [];
        for (const { by, decision } of tries) {
          if (standing(taken, rules).decision !== undefined) break;
          const next = ballot(by, { decision, reason: 'x' });
          if (refused(next, rules, taken) === undefined) taken.push(...cast(rules, next));
        }
        const counted = new Set(
          taken
            .filter(({ by, decision }) => decision === 'approve' && ['ada', 'grace', 'joan'].includes(by))
            .map(({ by }) => by),
        );
        const { decision } = standing(taken, rules);
        return decision !== 'approved' || counted.size >= quorum;
      }),
    );
  });
});

describe('an impossible policy', () => {
  it('is one where too few people are left without whoever started the run', () => {
    const two = policy({ quorum: 2, approvers: ['Ada', 'Grace'] });
    expect(impossibility(two)).toBeUndefined();
    expect(impossibility({ ...two, author: 'joan' })).toBeUndefined();
    expect(impossibility({ ...two, author: 'ada' })).toBe(
      'approval.quorum: 2 approvals are needed, 1 can be had (Grace), since ada started the run; name more people, or set approval.authorMayVote: true',
    );
    expect(impossibility({ ...two, author: 'ada', authorMayVote: true })).toBeUndefined();
    expect(impossibility({ ...two, author: 'ada', escalation: ['Boss'] })).toBeUndefined();
  });

  it('counts a person once who is named in two ways', () => {
    expect(impossibility(policy({ quorum: 2, approvers: ['Ada', 'ada '] }))).toContain(
      '1 can be had (Ada); name more people',
    );
  });

  it('may be one of a role', () => {
    const rules = policy({ roles: [{ role: 'risk', people: ['Ada'], quorum: 1 }], author: 'ada' });
    expect(impossibility(rules)).toContain(
      'approval.roles, risk: 1 approval is needed, 0 can be had, since ada',
    );
  });

  it('is none where everybody may vote', () => {
    expect(impossibility(policy({ quorum: 20, author: 'ada' }))).toBeUndefined();
  });
});

describe('the tags of a version', () => {
  const many = (count: number, name: string): Vote[] =>
    cast(
      policy(),
      ...Array.from({ length: count }, (_, i) => ballot(`${name}${i}`, { reason: 'x'.repeat(100) })),
    );

  it('say who decided, and whether it was signed', () => {
    const votes = [
      ...cast(policy(), ballot('ada', { token: 'id-00001' })),
      ...cast(policy({ author: 'bob' }), ballot('bob')),
    ];
    const tags = approvalTags('approved', votes);
    expect(JSON.parse(tags['perennial.approval'] ?? '')).toEqual({
      decision: 'approved',
      votes: [
        { by: 'ada', decision: 'approve', signed: true, at: AT },
        { by: 'bob', decision: 'approve', signed: false, at: AT, author: true },
      ],
    });
    expect(tags['perennial.approved_by']).toBe('ada');
    expect(approvalTags('rejected', votes)['perennial.approved_by']).toBeUndefined();
  });

  it.each([
    [30, 'n'],
    [40, 'ж'.repeat(150)],
    [40, '\u{1f600}'.repeat(90)],
  ])('hold %i votes of long names within what MLflow takes', (count, name) => {
    const tags = approvalTags('approved', many(count, name));
    for (const value of Object.values(tags)) expect(Buffer.byteLength(value)).toBeLessThanOrEqual(4_510);
    const { votes, leftOut } = JSON.parse(tags['perennial.approval'] ?? '');
    expect(votes.length + (leftOut ?? 0)).toBe(count);
    expect(votes.at(-1).by).toBe(`${name}${count - 1}`);
  });
});
