import type { GuardVerdict } from '../../../contracts/rollout.ts';
import type { VersionTraffic } from '../../../contracts/rollout-evidence.ts';
import type { GuardsSpec } from '../../../contracts/spec/rollout.ts';
import {
  type Bin,
  classBins,
  numberBins,
  populationStability,
  stabilityNoise,
} from '../population-stability.ts';
import { enough, lack, type Measured, nothingToCompare, type TrafficWindow } from './window.ts';
import { countText, figure } from './words.ts';

/** How one output's answers differ. */
interface Shift {
  output: string;
  psi: number;
  noise: number;
  rows: Bin;
}

/**
 * Holds what the candidate answers against what the champion answers, by the population stability index of each
 * output. It is breached where an index exceeds `maxPsi` by more than chance makes of it; the outputs share the false
 * alarms. It says that the answers differ, not which of them are right.
 */
export function judgePredictions(
  { maxPsi, minRows }: Exclude<GuardsSpec['predictions'], false>,
  { candidate, champion, window, alpha }: TrafficWindow,
): GuardVerdict {
  if (champion === null) return nothingToCompare('predictions', window, candidate?.rows ?? 0);
  const shifts = candidate && champion.traffic ? shiftsOf(candidate, champion.traffic, alpha) : [];
  const breached = shifts.filter(({ psi, noise }) => psi > maxPsi + noise);
  const worst = largest(breached) ?? largest(shifts);
  const measured: Measured = {
    candidate: worst?.psi ?? null,
    champion: null,
    limit: maxPsi,
    samples: worst?.rows ?? { candidate: candidate?.rows ?? 0, champion: champion.traffic?.rows ?? 0 },
    needed: minRows,
  };
  const verdict = (state: GuardVerdict['state'], message: string): GuardVerdict => ({
    guard: 'predictions',
    state,
    ...measured,
    window,
    message: `predictions: ${message}`,
  });
  if (!worst) {
    const missing = lack(measured, 'rows', false);
    return verdict(
      'waiting',
      missing ? `so far ${missing}` : 'the two have no output of the same name and kind; nothing to compare',
    );
  }
  const chance = Number.isFinite(worst.noise) ? `, and up to ${figure(worst.noise)} more is chance` : '';
  const facts = `the answers ${shortName(worst.output)} differ by PSI ${figure(worst.psi)} over ${countText(worst.rows.candidate)} rows, against ${countText(worst.rows.champion)} of ${champion.name}; allowed is ${figure(maxPsi)}${chance}`;
  if (breached.length > 0) return verdict('breached', facts);
  if (!enough(measured, false))
    return verdict('waiting', `${facts}; so far ${lack(measured, 'rows', false)}`);
  if (worst.psi > maxPsi) return verdict('waiting', `${facts}; that may still be chance`);
  return verdict('passed', facts);
}

const largest = (shifts: readonly Shift[]): Shift | undefined =>
  shifts.reduce<Shift | undefined>((most, one) => (one.psi > (most?.psi ?? -1) ? one : most), undefined);

/** Of every output that both have. */
function shiftsOf(candidate: VersionTraffic, champion: VersionTraffic, alpha: number): Shift[] {
  const outputs = [
    ...shared(champion.numbers, candidate.numbers, numberBins),
    ...shared(champion.labels, candidate.labels, classBins),
  ];
  return outputs.map(({ output, bins }) => {
    const rows = {
      candidate: bins.reduce((sum, bin) => sum + bin.candidate, 0),
      champion: bins.reduce((sum, bin) => sum + bin.champion, 0),
    };
    const answers = {
      candidate: Math.min(rows.candidate, answered(candidate)),
      champion: Math.min(rows.champion, answered(champion)),
    };
    return {
      output,
      rows,
      psi: rows.candidate > 0 && rows.champion > 0 ? populationStability(bins) : 0,
      noise: stabilityNoise(bins, answers, alpha / outputs.length),
    };
  });
}

/** Requests that were answered: the rows of one may be as good as a single row. */
const answered = ({ requests, failures }: VersionTraffic): number =>
  requests - Object.values(failures).reduce((sum, count) => sum + count, 0);

const shared = <Counts>(
  champion: Readonly<Record<string, Counts>>,
  candidate: Readonly<Record<string, Counts>>,
  binsOf: (champion: Counts, candidate: Counts) => Bin[],
): { output: string; bins: Bin[] }[] =>
  Object.entries(champion).flatMap(([output, usual]) => {
    const own = Object.hasOwn(candidate, output) ? candidate[output] : undefined;
    return own === undefined ? [] : [{ output, bins: binsOf(usual, own) }];
  });

/** A class may have any name, and a reason is bounded. */
const shortName = (name: string): string => (name.length > 80 ? `${name.slice(0, 80)}…` : name);
