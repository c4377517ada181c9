import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import {
  abTest,
  type Draw,
  firstBreach,
  type SimulatedCanary,
  usual,
} from '../support/rollout-simulation.ts';

/** No allowance at all: what is left are the false alarms of the tests themselves. */
const STRICT = {
  falseAlarms: 0.1,
  errorRate: { maxIncrease: 0 },
  invalidOutputs: { maxIncrease: 0 },
  latency: { maxRatio: 1.0001, allowance: '1ms' },
  predictions: { maxPsi: 1e-6 },
};
const none = { errorRate: false, invalidOutputs: false, latency: false, predictions: false } as const;

/** The share of runs in which a candidate that is the champion's twin is rolled back. */
function alarms(
  runs: number,
  seed: number,
  canary: Omit<SimulatedCanary, 'candidate' | 'champion'>,
  twin: Draw,
) {
  const random = seededRandom(seed);
  const found = Array.from({ length: runs }, () =>
    firstBreach({ ...canary, candidate: twin, champion: twin }, random),
  );
  return found.filter(Boolean).length / runs;
}

describe('a candidate that is as good as the champion is rolled back as rarely as allowed', () => {
  it.each([0.5, 0.1])('by errorRate, looked at after every request, at a share of %d', (share) => {
    const guards = { ...STRICT, ...none, errorRate: STRICT.errorRate };
    const twin: Draw = (random) => (random() < 0.05 ? { failure: 'error' } : {});
    expect(alarms(40, 103, { share, requests: 500, every: 1, guards }, twin)).toBeLessThanOrEqual(0.1);
  });

  it('by latency, over two hundred looks', () => {
    const guards = { ...STRICT, ...none, latency: STRICT.latency };
    expect(alarms(12, 105, { share: 0.3, requests: 3_000, every: 15, guards }, usual)).toBeLessThanOrEqual(
      0.1,
    );
  });

  it('by predictions, over a hundred looks', () => {
    const guards = { ...STRICT, ...none, predictions: STRICT.predictions };
    expect(alarms(10, 107, { share: 0.3, requests: 3_000, every: 30, guards }, usual)).toBeLessThanOrEqual(
      0.1,
    );
  });

  it('by truth, over two hundred looks, to either side', () => {
    const random = seededRandom(109);
    const decided = Array.from({ length: 100 }, () => abTest(0, 6_000, random)).filter(
      (end) => end !== 'undecided',
    );
    expect(decided.length / 100).toBeLessThanOrEqual(0.1);
  });
});
