import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BacktestRun,
  type BacktestStep,
  type PolicyOutcome,
  policyOutcome,
} from '../../contracts/backtest.ts';
import { alertsOf, outcomeOf, ranked } from '../../domain/backtest/outcome.ts';
import { dayWindow } from '../support/window-reports.ts';

/** A window for each letter: Bad, Good, `?` too few labels; in capitals where an alert is raised at its end. */
const steps = (story: string): BacktestStep[] =>
  [...story].map((letter, i) => ({
    window: dayWindow(i),
    model: 'm',
    rows: 100,
    quality: {},
    bad: letter === '?' || letter === '!' ? null : letter.toLowerCase() === 'b',
    raised: /[BG!]/.test(letter) ? ['quality/brier_score/'] : [],
    decision: '',
  }));

describe('alerts against what came out later', () => {
  it.each<[string, number, number, number, number]>([
    // Truth at once: an alert at the end of the window that it speaks of.
    ['ggBbg', 0, 1, 0, 0],
    ['gGbbg', 0, 0, 1, 1],
    ['ggbbg', 0, 0, 0, 1],
    ['gbgbgb', 0, 0, 0, 3],
    ['BgBgB', 0, 3, 0, 0],
    // Truth two windows later.
    ['ggbbBg', 2, 1, 0, 0],
    ['gggbgG', 2, 1, 0, 0],
    ['gggbggG', 2, 0, 1, 1],
    // A stretch that goes on to the end of time: nobody could have known of it yet.
    ['ggggb', 2, 0, 0, 1],
    // Told of the stretch before, whose truth came while this one began: it is told already.
    ['bgBg', 2, 1, 0, 0],
    // Where nobody knows, an alert is not true.
    ['g!g', 0, 0, 1, 0],
    ['???', 0, 0, 0, 0],
    ['', 3, 0, 0, 0],
  ])('%s, known %i window(s) later: %i true, %i false, %i missed', (story, delay, yes, no, missed) => {
    expect(alertsOf(steps(story), delay)).toEqual({ trueAlerts: yes, falseAlerts: no, missed });
  });

  it('each alert is true or false, and no more stretches are missed than there are', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...'bgBG?!'), { maxLength: 30 }),
        fc.integer({ min: 0, max: 5 }),
        (letters, delay) => {
          const all = steps(letters.join(''));
          const { trueAlerts, falseAlerts, missed } = alertsOf(all, delay);
          expect(trueAlerts + falseAlerts).toBe(all.flatMap(({ raised }) => raised).length);
          const stretches = all.filter(({ bad }, i) => bad === true && all[i - 1]?.bad !== true).length;
          expect(missed).toBeLessThanOrEqual(stretches);
          if (trueAlerts + falseAlerts === 0) expect(missed).toBe(stretches);
        },
      ),
    );
  });
});

const run = (outcome: BacktestRun['outcome'] = 'deployed'): BacktestRun => ({
  asOf: '2009-06-01T00:00:00Z',
  reasons: ['degradation'],
  outcome,
  message: '',
  model: 'm',
  seconds: 20,
  cost: 0.5,
});

describe('a policy as it came out', () => {
  it('means go by rows; windows without labels count nothing', () => {
    const [a, b, c] = steps('bg?');
    const outcome = outcomeOf(
      'p',
      [
        { ...(a as BacktestStep), rows: 300, quality: { brier_score: 0.3, roc_auc: 0.6 } },
        { ...(b as BacktestStep), rows: 100, quality: { brier_score: 0.1 } },
        { ...(c as BacktestStep), rows: 0, quality: { brier_score: 9 } },
      ],
      [run(), run('gates_failed'), run('failed')],
      0,
    );
    policyOutcome.parse(outcome);
    expect(outcome.quality.brier_score).toBeCloseTo(0.25);
    expect(outcome.quality.roc_auc).toBeCloseTo(0.6);
    expect(outcome).toMatchObject({ badWindows: 1, deployed: 1, seconds: 60, cost: 1.5, missed: 1 });
  });
});

const cameOut = (policy: string, quality: PolicyOutcome['quality'], runs: number): PolicyOutcome => ({
  ...outcomeOf(
    policy,
    [],
    Array.from({ length: runs }, () => run()),
    0,
  ),
  quality,
});

describe('which policy to choose', () => {
  it('the one with the fewest retrainings among those that are about as good as the best', () => {
    const { policies, advice } = ranked(
      [
        cameOut('never', { brier_score: 0.3 }, 0),
        cameOut('monthly', { brier_score: 0.2 }, 12),
        cameOut('on-drift', { brier_score: 0.2005 }, 5),
        cameOut('on-degradation', { brier_score: 0.203 }, 2),
      ],
      'brier_score',
    );
    expect(policies.map(({ policy }) => policy)).toEqual(['on-degradation', 'on-drift', 'monthly', 'never']);
    expect(advice).toBe(
      'on-degradation: mean brier_score 0.203 with 2 retraining(s), within 2 % of the best (monthly), with fewer retrainings; on-drift 0.2005 with 5, 1.2 % better; monthly 0.2 with 12, 1.5 % better; never 0.3 with 0, 47.8 % worse',
    );
  });

  it('where more is better, the most is best', () => {
    const { policies, advice } = ranked(
      [cameOut('never', { roc_auc: 0.7 }, 0), cameOut('weekly', { roc_auc: 0.8 }, 9)],
      'roc_auc',
    );
    expect(policies.map(({ policy }) => policy)).toEqual(['weekly', 'never']);
    expect(advice).toMatch(
      /^weekly: mean roc_auc 0.8 with 9 retraining\(s\), none is better; never 0.7 with 0, 12.5 % worse$/,
    );
  });

  it('a metric below 0 is compared the same way', () => {
    const { policies } = ranked(
      [cameOut('bad', { r2: -2 }, 0), cameOut('good', { r2: -1 }, 3), cameOut('same', { r2: -1.01 }, 1)],
      'r2',
    );
    expect(policies.map(({ policy }) => policy)).toEqual(['same', 'good', 'bad']);
  });

  it('one of which nothing is known comes last, and is not advised', () => {
    const { policies, advice } = ranked(
      [
        cameOut('unknown', {}, 0),
        cameOut('known', { brier_score: 0.3 }, 9),
        cameOut('worse', { brier_score: 0.9 }, 0),
      ],
      'brier_score',
    );
    expect(policies.map(({ policy }) => policy)).toEqual(['known', 'worse', 'unknown']);
    expect(advice).not.toContain('NaN');
    expect(ranked([cameOut('p', {}, 0)], 'brier_score').advice).toContain('no window has enough truth');
  });

  it('the order in which they were given does not matter', () => {
    const outcomes = fc.uniqueArray(
      fc.record({
        policy: fc.string(),
        brier: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
        runs: fc.nat(5),
      }),
      { selector: ({ policy }) => policy, minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(outcomes, (given) => {
        const all = given.map(({ policy, brier, runs }) =>
          cameOut(policy, brier === null ? {} : { brier_score: brier }, runs),
        );
        const place = (of: PolicyOutcome[]) =>
          ranked(of, 'brier_score').policies.map(({ quality, runs }) => [quality.brier_score, runs.length]);
        expect(place([...all].reverse())).toEqual(place(all));
      }),
    );
  });
});
