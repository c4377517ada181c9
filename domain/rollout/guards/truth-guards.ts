import type { GuardVerdict } from '../../../contracts/rollout.ts';
import type { Moments, TruthReport, VersionTruth } from '../../../contracts/rollout-evidence.ts';
import type { RolloutStrategy } from '../../../contracts/spec/rollout.ts';
import { emptyMoments } from '../moments.ts';
import { differenceSequence, type Interval, LEAST_ROWS } from '../sequential.ts';
import { enough, lack, type Measured, nothingToCompare } from './window.ts';
import { countText, figure } from './words.ts';

/** A guard on a mean over rows whose truth is known. */
export interface TruthGuard {
  guard: 'quality' | 'business';
  metric: string;
  better: 'higher' | 'lower';
  maxLoss: number;
  minLabels: number;
}

/** What guards on truth look at. */
export interface TruthWindow {
  candidate: string;
  champion: string | null;
  truth: TruthReport | null;
  strategy: RolloutStrategy;
  window: GuardVerdict['window'];
  alpha: number;
}

/**
 * Holds a mean of the candidate against the champion's. It is breached where the whole confidence interval of the
 * difference is worse than `maxLoss`, and passes where both have their labels and the difference that was measured is
 * not worse than `maxLoss`. An A/B test finds the candidate better where both have their labels and the whole interval
 * is on the good side of 0.
 */
export function judgeMean(
  { guard, metric, better, maxLoss, minLabels }: TruthGuard,
  { candidate, champion, truth, strategy, window, alpha }: TruthWindow,
): GuardVerdict {
  const rowsOf = (version: string): Moments => momentsOf(guard, truth, version) ?? emptyMoments();
  const own = rowsOf(candidate);
  if (champion === null) return nothingToCompare(guard, window, own.count);
  const other = rowsOf(champion);
  const measured: Measured = {
    candidate: own.count > 0 ? own.mean : null,
    champion: other.count > 0 ? other.mean : null,
    limit: other.count > 0 ? other.mean + (better === 'higher' ? -maxLoss : maxLoss) : null,
    samples: { candidate: own.count, champion: other.count },
    needed: minLabels,
  };
  const difference = differenceSequence(own, other, alpha, Math.max(minLabels, LEAST_ROWS));
  // By how much the candidate is worse.
  const worse: Interval =
    better === 'lower' ? difference : { lower: -difference.upper, upper: -difference.lower };
  const loss = better === 'lower' ? own.mean - other.mean : other.mean - own.mean;
  const facts = `${guard}: ${meanText(metric, own)}, the champion ${meanText('', other)}${spanText(worse)}; allowed is ${figure(maxLoss)} worse`;
  const verdict = (state: GuardVerdict['state'], more = ''): GuardVerdict => ({
    guard,
    state,
    ...measured,
    window,
    message: facts + more,
  });
  if (worse.lower > maxLoss) return verdict('breached');
  if (!enough(measured, false)) return verdict('waiting', `; so far ${lack(measured, 'labels', false)}`);
  if (strategy === 'ab' && worse.upper < 0) return verdict('better');
  if (loss > maxLoss) return verdict('waiting', '; that is worse, but may still be chance');
  return verdict('passed');
}

const momentsOf = (
  guard: TruthGuard['guard'],
  truth: TruthReport | null,
  version: string,
): Moments | null | undefined =>
  truth?.versions.find((one: VersionTruth) => one.version === version)?.[guard];

const meanText = (metric: string, { count, mean }: Moments): string =>
  count === 0
    ? `${metric} over no labels`.trim()
    : `${metric} ${figure(mean)} over ${countText(count)} labels`.trim();

/** Where the candidate lies, in words; nothing where nothing is known. */
function spanText({ lower, upper }: Interval): string {
  if (!Number.isFinite(lower)) return '';
  if (lower > 0) return `; it is ${figure(lower)} to ${figure(upper)} worse`;
  if (upper < 0) return `; it is ${figure(-upper)} to ${figure(-lower)} better`;
  return `; it is between ${figure(-lower)} better and ${figure(upper)} worse`;
}
