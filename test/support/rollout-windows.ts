import type { GuardVerdict, RolloutStep } from '../../contracts/rollout.ts';
import type { EvidenceLedger, TruthReport, VersionTraffic } from '../../contracts/rollout-evidence.ts';
import { type GuardsSpec, guardsSpec, type RolloutSpec, rolloutSpec } from '../../contracts/spec/rollout.ts';
import { emptyLedger, withReport } from '../../domain/rollout/evidence.ts';
import { judgeTraffic, judgeTruth } from '../../domain/rollout/guards.ts';
import { addValue, emptyMoments } from '../../domain/rollout/moments.ts';
import { rolloutSteps } from '../../domain/rollout/plan.ts';
import { addNumber, emptySketch, mergedCounts } from '../../domain/rollout/sketch.ts';
import { noTraffic } from '../../serving/evidence/traffic-sum.ts';

export const SINCE = '2026-03-01T10:00:00.000Z';
export const AT = '2026-03-01T10:20:00.000Z';
export const CANDIDATE = '4';
export const CHAMPION = '3';

export const emptyTraffic = (version: string): VersionTraffic =>
  noTraffic(version, version === CANDIDATE ? 'challenger' : 'champion');

/** How a version of a test answers one request. */
export interface Answer {
  latency?: number;
  failure?: keyof VersionTraffic['failures'];
  number?: number;
  label?: string;
}

/** Counts an answer in, as a server does. */
export function count(traffic: VersionTraffic, { latency = 5, failure, number, label }: Answer): void {
  traffic.requests += 1;
  addNumber(traffic.latency, latency);
  if (failure) {
    traffic.failures[failure] = (traffic.failures[failure] ?? 0) + 1;
    return;
  }
  traffic.rows += 1;
  if (number !== undefined) {
    traffic.numbers.probability ??= emptySketch();
    addNumber(traffic.numbers.probability, number);
  }
  if (label !== undefined) {
    traffic.labels.label = mergedCounts(traffic.labels.label ?? {}, { [label]: 1 });
  }
}

/** A version that answers so many requests. */
export function trafficOfAnswers(
  version: string,
  requests: number,
  answer: (index: number) => Answer = () => ({}),
): VersionTraffic {
  const traffic = emptyTraffic(version);
  for (let i = 0; i < requests; i++) count(traffic, answer(i));
  return traffic;
}

/** One server's evidence of these versions. */
export const ledgerOf = (...versions: VersionTraffic[]): EvidenceLedger =>
  withReport(emptyLedger(7, SINCE), { serverId: 'a', epoch: '1', generation: 7, versions });

export const stepOf = (spec: Parameters<typeof rolloutSpec.parse>[0], index = 0): RolloutStep => {
  const found = rolloutSteps(rolloutSpec.parse(spec))[index];
  if (!found) throw new RangeError('no such step');
  return found;
};
export const CANARY = stepOf({ strategy: 'canary' });

/** The verdicts on a canary whose guards are the defaults where nothing else is said. */
export const verdictsOn = (
  ledger: EvidenceLedger,
  {
    guards = {},
    step = CANARY,
    champion = CHAMPION,
    baseline = null,
  }: {
    guards?: Parameters<typeof guardsSpec.parse>[0];
    step?: RolloutStep;
    champion?: string | null;
    baseline?: EvidenceLedger | null;
  } = {},
): GuardVerdict[] =>
  judgeTraffic({
    guards: guardsSpec.parse(guards),
    step,
    candidate: CANDIDATE,
    champion,
    ledger,
    baseline,
    at: AT,
  });

/** Truth of rows of both versions. */
export const truthOf = (
  metric: 'quality' | 'business',
  candidate: readonly number[],
  champion: readonly number[],
): TruthReport => ({
  since: SINCE,
  until: AT,
  unreadable: 0,
  versions: [
    { version: CANDIDATE, values: candidate },
    { version: CHAMPION, values: champion },
  ].map(({ version, values }) => ({
    version,
    rows: values.length,
    quality: null,
    business: null,
    [metric]: values.reduce(addValue, emptyMoments()),
  })),
});

export const truthVerdicts = (
  truth: TruthReport | null,
  guards: GuardsSpec,
  {
    strategy = 'canary',
    champion = CHAMPION,
  }: { strategy?: RolloutSpec['strategy']; champion?: string | null } = {},
): GuardVerdict[] =>
  judgeTruth({ guards, strategy, task: 'binary', candidate: CANDIDATE, champion, truth, at: AT });
