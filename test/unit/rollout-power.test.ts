import { describe, expect, it } from 'vitest';
import type { GuardName } from '../../contracts/spec/rollout.ts';
import { seededRandom } from '../../domain/random.ts';
import { abTest, type Draw, firstBreach, longTailed, usual } from '../support/rollout-simulation.ts';

describe('a candidate that is worse is found', () => {
  const worse: { how: string; guard: GuardName; within: number; change: Draw }[] = [
    {
      how: 'answers NaN',
      guard: 'invalidOutputs',
      within: 10,
      change: () => ({ failure: 'invalid-output' }),
    },
    { how: 'fails always', guard: 'errorRate', within: 10, change: () => ({ failure: 'crash' }) },
    {
      how: 'fails one in five',
      guard: 'errorRate',
      within: 120,
      change: (random) => (random() < 0.2 ? { failure: 'crash' } : {}),
    },
    {
      how: 'is ten times as slow',
      guard: 'latency',
      within: 150,
      change: (random) => ({ latency: 10 * longTailed(random) }),
    },
    {
      how: 'answers always the same',
      guard: 'predictions',
      within: 80,
      change: () => ({ number: 0.5, label: 'no' }),
    },
  ];
  it.each(worse)('where it $how: by $guard, within $within of its requests', ({ guard, within, change }) => {
    const candidate: Draw = (random) => ({ ...usual(random), ...change(random) });
    const random = seededRandom(107);
    for (let run = 0; run < 5; run++) {
      const found = firstBreach(
        { share: 0.05, requests: 6_000, every: 50, candidate, champion: usual },
        random,
      );
      expect(found).toMatchObject({ guard });
      expect(found?.after).toBeLessThanOrEqual(within);
    }
  });

  it.each([
    [0.15, 'better'],
    [-0.15, 'breached'],
  ] as const)('and by truth: better by %d ends %s', (gain, end) => {
    const random = seededRandom(113);
    for (let run = 0; run < 20; run++) expect(abTest(gain, 6_000, random)).toBe(end);
  });
});
