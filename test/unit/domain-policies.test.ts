import { describe, expect, it } from 'vitest';
import type { Vote } from '../../contracts/votes.ts';
import { namesCandidate, refuseBallot, tally } from '../../domain/review.ts';
import { selectCandidate } from '../../domain/selection.ts';
import { trained } from '../support/samples.ts';

const DIGEST = `abcdef0123${'0'.repeat(54)}`;

describe('the choice among candidates', () => {
  const candidate = (name: string, validation: Record<string, number>) => ({
    ...trained(name, 'logistic'),
    validation,
  });

  it('takes the highest where higher is better, the lowest where lower is', () => {
    const list = [
      candidate('a', { roc_auc: 0.8, log_loss: 0.2 }),
      candidate('b', { roc_auc: 0.9, log_loss: 0.3 }),
    ];
    expect(selectCandidate(list, 'roc_auc').name).toBe('b');
    expect(selectCandidate(list, 'log_loss').name).toBe('a');
  });

  it('takes the first of equals', () => {
    expect(selectCandidate([candidate('a', { f1: 0.5 }), candidate('b', { f1: 0.5 })], 'f1').name).toBe('a');
  });

  it('leaves candidates out that have no value, or none that is a number', () => {
    const list = [candidate('a', {}), candidate('b', { f1: Number.NaN }), candidate('c', { f1: 0.1 })];
    expect(selectCandidate(list, 'f1').name).toBe('c');
    expect(() => selectCandidate(list.slice(0, 2), 'f1')).toThrow('no candidate has a value of f1');
  });
});

describe('a ballot', () => {
  const vote = (by: string, decision: Vote['decision'] = 'approve'): Vote => ({
    decision,
    by,
    reason: '',
    at: '',
    how: 'update',
  });
  const ballot = { decision: 'approve', by: 'ada', reason: '' } as const;

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
    expect(refuseBallot(ballot, DIGEST, [], false)).toBeUndefined();
    expect(
      refuseBallot({ ...ballot, candidate: 'abcdef01' }, DIGEST, [vote('grace')], false),
    ).toBeUndefined();
  });

  it('does not count after the decision, for another candidate, or twice', () => {
    expect(refuseBallot(ballot, DIGEST, [], true)).toBe('the decision has been taken already');
    expect(refuseBallot({ ...ballot, candidate: 'f'.repeat(500) }, DIGEST, [], false)).toBe(
      `candidate ${'f'.repeat(64)} is not the one under review; that is abcdef012300`,
    );
    for (const by of ['ada', ' ADA ', 'Ada'])
      expect(refuseBallot({ ...ballot, by }, DIGEST, [vote('ada')], false)).toContain('has voted already');
  });

  it('does not count twice where the same name is composed in another way', () => {
    const [composed, decomposed] = ['Ren\u00e9e', 'Rene\u0301e'];
    expect(composed).not.toBe(decomposed);
    expect(
      refuseBallot({ ...ballot, by: decomposed ?? '' }, DIGEST, [vote(composed ?? '')], false),
    ).toBeDefined();
  });

  it('decides at the quorum; one rejection decides at once', () => {
    expect(tally([], 1)).toBeUndefined();
    expect(tally([vote('a')], 2)).toBeUndefined();
    expect(tally([vote('a'), vote('b')], 2)).toBe('approved');
    expect(tally([vote('a'), vote('b'), vote('c', 'reject')], 2)).toBe('rejected');
  });
});
