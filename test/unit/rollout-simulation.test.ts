import { describe, expect, it } from 'vitest';
import type { Moments } from '../../contracts/rollout-evidence.ts';
import { type GuardName, guardsSpec } from '../../contracts/spec/rollout.ts';
import { seededRandom } from '../../domain/random.ts';
import { addValue, emptyMoments } from '../../domain/rollout/moments.ts';
import {
  type Answer,
  AT,
  CANDIDATE,
  CHAMPION,
  count,
  emptyTraffic,
  ledgerOf,
  SINCE,
  truthVerdicts,
  verdictsOn,
} from '../support/rollout-windows.ts';

type Draw = (random: () => number) => Answer;
interface Canary {
  share: number;
  requests: number;
  /** One in so many requests is looked at; the first hundred one by one. */
  every: number;
  candidate: Draw;
  champion: Draw;
  guards?: Parameters<typeof guardsSpec.parse>[0];
}

/** The first breach of a canary and the candidate's requests until then. */
function firstBreach(
  { share, requests, every, candidate, champion, guards }: Canary,
  random: () => number,
): { guard: GuardName; after: number } | undefined {
  const [own, other] = [emptyTraffic(CANDIDATE), emptyTraffic(CHAMPION)];
  const ledger = ledgerOf(own, other);
  for (let request = 1; request <= requests; request++) {
    if (random() < share) count(own, candidate(random));
    else count(other, champion(random));
    if (request % every !== 0 && (request > 100 || request % 5 !== 0)) continue;
    const breach = verdictsOn(ledger, guards ? { guards } : {}).find(({ state }) => state === 'breached');
    if (breach) return { guard: breach.guard, after: own.requests };
  }
  return undefined;
}

const longTailed = (random: () => number): number => 4 * random() ** -0.5;
const good: Draw = (random) => ({
  latency: longTailed(random),
  ...(random() < 0.02 ? { failure: random() < 0.5 ? 'error' : 'deadline' } : {}),
  number: random() ** 2,
  label: random() < 0.2 ? 'yes' : 'no',
});

describe('a candidate that is as good as the champion', () => {
  // No allowance at all: what is left are the false alarms of the tests themselves.
  const guards = {
    falseAlarms: 0.1,
    errorRate: { maxIncrease: 0 },
    invalidOutputs: { maxIncrease: 0 },
    latency: { maxRatio: 1.0001, allowance: '1ms' },
    predictions: { maxPsi: 1e-6 },
  };

  it.each([0.5, 0.1])(
    'at a share of %d is rolled back as rarely as allowed, over hundreds of looks',
    (share) => {
      const random = seededRandom(101);
      const runs = 20;
      const alarms = Array.from({ length: runs }, () =>
        firstBreach({ share, requests: 4_000, every: 40, candidate: good, champion: good, guards }, random),
      ).filter(Boolean);
      // Four guards with a tenth each would be eight in twenty.
      expect(alarms.length).toBeLessThanOrEqual(3);
    },
  );

  it('fails as often as the champion: its guard alone, looked at after every request', () => {
    const random = seededRandom(103);
    const draw: Draw = () => (random() < 0.05 ? { failure: 'error' } : {});
    const alone = { ...guards, latency: false, predictions: false } as const;
    const runs = 60;
    const alarms = Array.from({ length: runs }, () =>
      firstBreach(
        { share: 0.5, requests: 600, every: 1, candidate: draw, champion: draw, guards: alone },
        random,
      ),
    ).filter(Boolean);
    expect(alarms.length / runs).toBeLessThan(0.1);
  });
});

describe('a candidate that is worse is found', () => {
  it.each<[string, GuardName, number, Draw]>([
    ['answers NaN', 'invalidOutputs', 10, (random) => ({ ...good(random), failure: 'invalid-output' })],
    ['fails always', 'errorRate', 10, (random) => ({ ...good(random), failure: 'crash' })],
    [
      'fails one in five',
      'errorRate',
      120,
      (random) => ({ ...good(random), ...(random() < 0.2 ? { failure: 'crash' } : {}) }),
    ],
    [
      'is ten times as slow',
      'latency',
      150,
      (random) => ({ ...good(random), latency: 10 * longTailed(random) }),
    ],
    [
      'answers always the same',
      'predictions',
      80,
      (random) => ({ ...good(random), number: 0.5, label: 'no' }),
    ],
  ])('where it %s: by %s, within %d of its requests at 5 %%', (_how, guard, within, candidate) => {
    const random = seededRandom(107);
    for (let run = 0; run < 5; run++) {
      const found = firstBreach(
        { share: 0.05, requests: 6_000, every: 50, candidate, champion: good },
        random,
      );
      expect(found).toMatchObject({ guard });
      expect(found?.after).toBeLessThanOrEqual(within);
    }
  });
});

describe('truth', () => {
  const guards = guardsSpec.parse({ quality: { minLabels: 100, maxLoss: 0 }, falseAlarms: 0.1 });
  /** Log loss of a calibrated model: skewed. */
  const loss = (random: () => number): number => {
    const probability = random();
    return -Math.log(random() < probability ? probability : 1 - probability);
  };

  /** How an A/B test with so many labels ends, looked at every 25. */
  function abTest(gain: number, labels: number, random: () => number): 'better' | 'breached' | 'undecided' {
    const own: Moments = emptyMoments();
    const other: Moments = emptyMoments();
    const truth = {
      since: SINCE,
      until: AT,
      unreadable: 0,
      versions: [
        { version: CANDIDATE, rows: labels, quality: own, business: null },
        { version: CHAMPION, rows: labels, quality: other, business: null },
      ],
    };
    for (let row = 1; row <= labels; row++) {
      if (random() < 0.5) addValue(own, loss(random) - gain);
      else addValue(other, loss(random));
      if (row % 25 !== 0) continue;
      const state = truthVerdicts(truth, guards, { strategy: 'ab' })[0]?.state;
      if (state === 'better' || state === 'breached') return state;
    }
    return 'undecided';
  }

  it('of two that are alike stays undecided as often as it says', () => {
    const random = seededRandom(109);
    const runs = 100;
    const decided = Array.from({ length: runs }, () => abTest(0, 6_000, random)).filter(
      (end) => end !== 'undecided',
    );
    expect(decided.length / runs).toBeLessThan(0.1);
  });

  it.each([
    [0.15, 'better'],
    [-0.15, 'breached'],
  ] as const)('of one that is better by %d ends %s', (gain, end) => {
    const random = seededRandom(113);
    for (let run = 0; run < 20; run++) expect(abTest(gain, 6_000, random)).toBe(end);
  });
});
