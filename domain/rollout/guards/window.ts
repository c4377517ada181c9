import type { GuardVerdict } from '../../../contracts/rollout.ts';
import type { VersionTraffic } from '../../../contracts/rollout-evidence.ts';
import { countText } from './words.ts';

/** What guards on traffic look at: both versions in their windows. */
export interface TrafficWindow {
  candidate: VersionTraffic | undefined;
  /** `null`: there is no champion. */
  champion: { traffic: VersionTraffic | undefined; name: string } | null;
  /** What the candidate was asked: `requests`, or `copies of requests`. */
  requests: string;
  window: GuardVerdict['window'];
  /** False alarms that a guard may raise. */
  alpha: number;
}

/** What a guard measured. */
export interface Measured {
  candidate: number | null;
  champion: number | null;
  limit: number | null;
  samples: GuardVerdict['samples'];
  needed: number;
}

/** Whether what is compared has as many samples as are needed. */
export const enough = ({ samples, needed }: Measured, alone: boolean): boolean =>
  samples.candidate >= needed && (alone || samples.champion >= needed);

/**
 * What is still missing, in words.
 *
 * @param what is counted, such as `requests`
 */
export function lack({ samples, needed }: Measured, what: string, alone: boolean): string {
  const of = (name: string, count: number): string =>
    `${countText(count)} of ${countText(needed)} ${what} of the ${name}`;
  const missing = [
    samples.candidate < needed ? of('candidate', samples.candidate) : '',
    !alone && samples.champion < needed ? of('champion', samples.champion) : '',
  ];
  return missing.filter(Boolean).join(' and ');
}

/** The verdict where there is no champion, and nothing can be said without one. */
export const nothingToCompare = (
  guard: GuardVerdict['guard'],
  window: GuardVerdict['window'],
  samples: number,
): GuardVerdict => ({
  guard,
  state: 'passed',
  candidate: null,
  champion: null,
  limit: null,
  samples: { candidate: samples, champion: 0 },
  needed: 0,
  window,
  message: `${guard}: nothing to compare with; there is no champion`,
});
