import { describe, expect, it } from 'vitest';
import { guardVerdict } from '../../contracts/rollout.ts';
import { guardsSpec } from '../../contracts/spec/rollout.ts';
import { judgeTruth } from '../../domain/rollout/guards.ts';
import { LEAST_ROWS } from '../../domain/rollout/sequential.ts';
import { AT, CANDIDATE, CHAMPION, SINCE, truthOf, truthVerdicts } from '../support/rollout-windows.ts';

/** Rows around a mean, with the spread of a Brier score. */
const rows = (count: number, mean: number): number[] =>
  Array.from({ length: count }, (_, i) => mean + (((i * 7) % 11) - 5) / 50);
const quality = guardsSpec.parse({ quality: { maxLoss: 0.01, minLabels: 200 } });
const revenue = (better: 'higher' | 'lower' = 'higher') =>
  guardsSpec.parse({ business: { metric: 'revenue', better, minLabels: 100 } });

describe('quality', () => {
  it('passes with its labels and a mean that is not worse', () => {
    const [verdict] = truthVerdicts(truthOf('quality', rows(220, 0.2), rows(300, 0.2)), quality);
    expect(guardVerdict.parse(verdict)).toMatchObject({
      guard: 'quality',
      state: 'passed',
      samples: { candidate: 220, champion: 300 },
      needed: 200,
      window: { since: SINCE, until: AT },
    });
    expect(verdict?.candidate).toBeCloseTo(0.2, 3);
    expect(verdict?.limit).toBeCloseTo(0.21, 3);
    expect(verdict?.message).toMatch(
      /^quality: brier_score 0\.2 over 220 labels, the champion 0\.1997 over 300 labels; it is between 0\.0199 better and 0\.0205 worse; allowed is 0\.01 worse$/,
    );
  });

  it.each([
    ['no report', null],
    ['no labels', truthOf('quality', [], [])],
    ['too few of the candidate', truthOf('quality', rows(199, 0.1), rows(900, 0.2))],
    ['too few of the champion', truthOf('quality', rows(900, 0.1), rows(199, 0.2))],
    ['labels for another guard alone', truthOf('business', rows(900, 0.1), rows(900, 0.2))],
  ])('waits with %s, however good it looks', (_what, truth) => {
    const [verdict] = truthVerdicts(truth, quality);
    expect(verdict?.state).toBe('waiting');
    expect(verdict?.message).toContain('so far ');
  });

  it('is breached where the whole interval is worse, also before the minimum', () => {
    const [verdict] = truthVerdicts(truthOf('quality', rows(LEAST_ROWS, 0.4), rows(900, 0.2)), quality);
    expect(verdict?.state).toBe('breached');
    expect(verdict?.message).toMatch(/it is 0\.1\d* to 0\.2\d* worse; allowed is 0\.01 worse$/);
  });

  it('says nothing of a handful of labels', () =>
    expect(
      truthVerdicts(truthOf('quality', rows(LEAST_ROWS - 1, 0.9), rows(900, 0.2)), quality)[0]?.state,
    ).toBe('waiting'));

  it('waits where it is worse than allowed, but may be so by chance', () => {
    const [verdict] = truthVerdicts(truthOf('quality', rows(200, 0.215), rows(200, 0.2)), quality);
    expect(verdict?.state).toBe('waiting');
    expect(verdict?.message).toContain('may still be chance');
  });

  it('takes the task’s metric, and the side that is good for it', () => {
    const of = (task: 'binary' | 'multiclass' | 'regression', metric?: 'accuracy') =>
      judgeTruth({
        guards: guardsSpec.parse({ quality: { metric, minLabels: 50 } }),
        strategy: 'canary',
        task,
        candidate: CANDIDATE,
        champion: CHAMPION,
        truth: truthOf('quality', rows(500, 0.5), rows(500, 0.9)),
        at: AT,
      })[0];
    expect(of('binary')).toMatchObject({ state: 'passed', message: expect.stringContaining('brier_score') });
    expect(of('multiclass')).toMatchObject({ state: 'passed', message: expect.stringContaining('log_loss') });
    expect(of('regression')?.message).toContain('mean_absolute_error');
    expect(of('binary', 'accuracy')).toMatchObject({
      state: 'breached',
      message: expect.stringContaining('accuracy'),
    });
  });

  it('has nothing to compare with where there is no champion', () => {
    const [verdict] = truthVerdicts(truthOf('quality', rows(3, 0.2), []), quality, { champion: null });
    expect(verdict).toMatchObject({ state: 'passed', samples: { candidate: 3, champion: 0 } });
    expect(verdict?.message).toContain('nothing to compare with');
  });
});

describe('business', () => {
  it.each([
    ['higher', 3, 'breached'],
    ['higher', 7, 'passed'],
    ['lower', 3, 'passed'],
    ['lower', 7, 'breached'],
  ] as const)('with %s as better: a mean of %d beside 5 is %s', (better, mean, state) => {
    const [verdict] = truthVerdicts(truthOf('business', rows(150, mean), rows(150, 5)), revenue(better));
    expect(verdict).toMatchObject({ guard: 'business', state, candidate: expect.closeTo(mean, 1) });
    expect(verdict?.message).toContain('business: revenue ');
  });
});

describe('better', () => {
  const test = { strategy: 'ab' } as const;
  it('is found in an A/B test alone', () => {
    const truth = truthOf('business', rows(150, 7), rows(150, 5));
    const [verdict] = truthVerdicts(truth, revenue(), test);
    expect(verdict?.state).toBe('better');
    expect(verdict?.message).toMatch(/; it is 1\.\d* to 2\.\d* better; allowed is 0 worse$/);
    expect(truthVerdicts(truth, revenue())[0]?.state).toBe('passed');
  });

  it('needs its labels, and more than chance', () => {
    expect(truthVerdicts(truthOf('business', rows(99, 7), rows(150, 5)), revenue(), test)[0]?.state).toBe(
      'waiting',
    );
    expect(truthVerdicts(truthOf('business', rows(150, 5.01), rows(150, 5)), revenue(), test)[0]?.state).toBe(
      'passed',
    );
  });
});

it('guards that are turned off are left out', () =>
  expect(truthVerdicts(null, guardsSpec.parse({}))).toEqual([]));
