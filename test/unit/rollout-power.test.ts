import { describe, expect, it } from 'vitest';
import type { GuardName } from '../../contracts/spec/rollout.ts';
import { seededRandom } from '../../domain/random.ts';
import { abTest, type Draw, firstBreach, longTailed, usual } from '../support/rollout-simulation.ts';

describe('a candidate that is worse is found', () => {
  it.each<[string, GuardName, number, Draw]>([
    ['answers NaN', 'invalidOutputs', 10, (random) => ({ ...usual(random), failure: 'invalid-output' })],
    ['fails always', 'errorRate', 10, (random) => ({ ...usual(random), failure: 'crash' })],
    [
      'fails one in five',
      'errorRate',
      120,
      (random) => ({ ...usual(random), ...(random() < 0.2 ? { failure: 'crash' } : {}) }),
    ],
    [
      'is ten times as slow',
      'latency',
      150,
      (random) => ({ ...usual(random), latency: 10 * longTailed(random) }),
    ],
    [
      'answers always the same',
      'predictions',
      80,
      (random) => ({ ...usual(random), number: 0.5, label: 'no' }),
    ],
  ])('where it %s: by %s, within %d of its requests at 5 %%', (_how, guard, within, candidate) => {
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
