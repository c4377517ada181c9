import type { Moments } from '../../contracts/rollout-evidence.ts';
import { type GuardName, type GuardsSpec, guardsSpec } from '../../contracts/spec/rollout.ts';
import { judgeTraffic } from '../../domain/rollout/guards.ts';
import { addValue, emptyMoments } from '../../domain/rollout/moments.ts';
import {
  type Answer,
  AT,
  CANARY,
  CANDIDATE,
  CHAMPION,
  count,
  emptyTraffic,
  ledgerOf,
  SINCE,
  truthVerdicts,
} from './rollout-windows.ts';

/** How a version answers, at random. */
export type Draw = (random: () => number) => Answer;

/** Latencies with a long tail: half of them below 6 ms, one in a hundred above 40. */
export const longTailed = (random: () => number): number => 4 * (1 - random()) ** -0.5;

/** A version that fails one request in fifty. */
export const usual: Draw = (random) => ({
  latency: longTailed(random),
  ...(random() < 0.02 ? { failure: random() < 0.5 ? 'error' : 'deadline' } : {}),
  number: random() ** 2,
  label: random() < 0.2 ? 'yes' : 'no',
});

export interface SimulatedCanary {
  /** Of the candidate, between 0 and 1. */
  share: number;
  /** To both together. */
  requests: number;
  /** One in so many requests is followed by a look; of the first hundred one in five. */
  every: number;
  candidate: Draw;
  champion: Draw;
  guards?: Parameters<typeof guardsSpec.parse>[0];
}

/** The first breach of a canary, and the candidate's requests until then. */
export function firstBreach(
  { share, requests, every, candidate, champion, guards = {} }: SimulatedCanary,
  random: () => number,
): { guard: GuardName; after: number } | undefined {
  const [own, other] = [emptyTraffic(CANDIDATE), emptyTraffic(CHAMPION)];
  const look = {
    guards: guardsSpec.parse(guards),
    step: CANARY,
    candidate: CANDIDATE,
    champion: CHAMPION,
    ledger: ledgerOf(own, other),
    baseline: null,
    at: AT,
  };
  for (let request = 1; request <= requests; request++) {
    if (random() < share) count(own, candidate(random));
    else count(other, champion(random));
    if (request % every !== 0 && (request > 100 || request % 5 !== 0)) continue;
    const breach = judgeTraffic(look).find(({ state }) => state === 'breached');
    if (breach) return { guard: breach.guard, after: own.requests };
  }
  return undefined;
}

export const truthGuards: GuardsSpec = guardsSpec.parse({
  quality: { minLabels: 100, maxLoss: 0 },
  falseAlarms: 0.1,
});

/** Log loss of a calibrated model: skewed. */
const loss = (random: () => number): number => {
  const probability = random();
  return -Math.log(random() < probability ? probability : 1 - probability);
};

/**
 * How an A/B test with so many labels ends, looked at every 25.
 *
 * @param gain by how much the candidate's loss is smaller
 */
export function abTest(
  gain: number,
  labels: number,
  random: () => number,
): 'better' | 'breached' | 'undecided' {
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
    const state = truthVerdicts(truth, truthGuards, { strategy: 'ab' })[0]?.state;
    if (state === 'better' || state === 'breached') return state;
  }
  return 'undecided';
}
