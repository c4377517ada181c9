import { jsonBytes } from '../../contracts/payload-limits.ts';
import { lowerIsBetter, type MetricName } from '../../contracts/spec/evaluation.ts';
import type { TrialRecord } from '../../contracts/trials.ts';

/** Trials that a report names, and what they may take in a payload. */
const REPORTED = 100;
const REPORTED_BYTES = 64 * 1024;

/** The trials that a report names, in the order of their start: of many the best ones and the latest ones. */
export function reportedTrials(records: readonly TrialRecord[], metric: MetricName): TrialRecord[] {
  let trials = [...records].sort((a, b) => a.at - b.at);
  for (let most = REPORTED; trials.length > most || jsonBytes(trials) > REPORTED_BYTES; most /= 2)
    trials = foremost(trials, most, lowerIsBetter(metric) ? 1 : -1);
  return trials.map((trial) => ({ ...trial }));
}

/** Half of them the best ones, half the latest ones, in the order in which they are. */
function foremost(trials: readonly TrialRecord[], most: number, sign: number): TrialRecord[] {
  const loss = ({ value }: TrialRecord): number => (value === null ? Number.POSITIVE_INFINITY : sign * value);
  const best = new Set([...trials].sort((a, b) => loss(a) - loss(b)).slice(0, Math.ceil(most / 2)));
  const latest = trials.filter((trial) => !best.has(trial)).slice(-Math.max(1, Math.floor(most / 2)));
  return trials.filter((trial) => best.has(trial) || latest.includes(trial));
}
