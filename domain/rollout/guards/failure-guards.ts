import type { GuardVerdict } from '../../../contracts/rollout.ts';
import type { VersionTraffic } from '../../../contracts/rollout-evidence.ts';
import { rateSequence } from '../sequential.ts';
import { enough, lack, type Measured, type TrafficWindow } from './window.ts';
import { countText, shareText } from './words.ts';

interface FailureLimit {
  maxIncrease: number;
  minRequests: number;
}

/** Requests that were refused because their features could not be looked up. */
const unfedOf = (traffic: VersionTraffic | undefined): number => traffic?.failures.features ?? 0;

/**
 * What a champion is measured by. Features that it did not get excuse nobody: where a candidate did not get them either,
 * that was not counted for it.
 */
function fed(traffic: VersionTraffic | undefined): VersionTraffic | undefined {
  if (!traffic) return undefined;
  const { features = 0, ...failures } = traffic.failures;
  return { ...traffic, requests: traffic.requests - features, failures };
}

/** Failed requests that a guard counts: each failure belongs to one of the two. */
function failuresOf(guard: 'errorRate' | 'invalidOutputs', traffic: VersionTraffic | undefined): number {
  const failures = traffic?.failures ?? {};
  const invalid = failures['invalid-output'] ?? 0;
  if (guard === 'invalidOutputs') return invalid;
  return Object.values(failures).reduce((sum, count) => sum + count, 0) - invalid;
}

/**
 * Holds the share of requests that the candidate failed against the champion's. It is breached where the lower
 * confidence bound of the one lies above the upper bound of the other by more than `maxIncrease`; each bound has half
 * of the false alarms. Without a champion its rate is 0.
 */
export function judgeFailures(
  guard: 'errorRate' | 'invalidOutputs',
  { maxIncrease, minRequests }: FailureLimit,
  { candidate, champion, requests, window, alpha }: TrafficWindow,
): GuardVerdict {
  const alone = champion === null;
  const usually = fed(champion?.traffic);
  const trials = { candidate: candidate?.requests ?? 0, champion: usually?.requests ?? 0 };
  const failed = { candidate: failuresOf(guard, candidate), champion: failuresOf(guard, usually) };
  const rate = (side: keyof typeof trials): number | null =>
    trials[side] > 0 ? failed[side] / trials[side] : null;
  const usual = alone ? 0 : rate('champion');
  const measured: Measured = {
    candidate: rate('candidate'),
    champion: rate('champion'),
    limit: usual === null ? null : usual + maxIncrease,
    samples: trials,
    needed: minRequests,
  };
  const surely = rateSequence(failed.candidate, trials.candidate, alone ? alpha : alpha / 2).lower;
  const atMost = alone ? 0 : rateSequence(failed.champion, trials.champion, alpha / 2).upper;
  const said = (side: keyof typeof trials): string =>
    trials[side] === 0
      ? `none of the ${requests}`
      : `${countText(failed[side])} of ${countText(trials[side])}${side === 'candidate' ? ` ${requests}` : ''}`;
  const verb = guard === 'errorRate' ? 'failed' : 'had NaN, infinity or nothing in the answer';
  const percent = (side: keyof typeof trials): string => {
    const value = measured[side];
    return value === null ? '' : ` (${shareText(value)})`;
  };
  const facts = `${guard}: ${said('candidate')} ${verb}${percent('candidate')}${
    alone ? '' : `, ${champion.name} ${said('champion')}${percent('champion')}`
  }; allowed is ${shareText(maxIncrease)}${alone ? '' : ' more'}${
    guard === 'errorRate' && unfedOf(candidate) > 0
      ? `; ${countText(unfedOf(candidate))} of them because features could not be looked up`
      : ''
  }`;
  const verdict = (state: GuardVerdict['state'], more = ''): GuardVerdict => ({
    guard,
    state,
    ...measured,
    window,
    message: facts + more,
  });
  if (surely > atMost + maxIncrease) return verdict('breached');
  if (!enough(measured, alone)) return verdict('waiting', `; so far ${lack(measured, 'requests', alone)}`);
  if (measured.candidate !== null && measured.limit !== null && measured.candidate > measured.limit)
    return verdict('waiting', '; that is more, but may still be chance');
  return verdict('passed');
}
