import type { GuardVerdict, RolloutStep } from '../../contracts/rollout.ts';
import type { EvidenceLedger, TruthReport } from '../../contracts/rollout-evidence.ts';
import { DEFAULT_ROW_METRIC, type GuardsSpec, type RolloutStrategy } from '../../contracts/spec/rollout.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { trafficOf } from './evidence.ts';
import { judgeFailures } from './guards/failure-guards.ts';
import { judgeLatency } from './guards/latency-guard.ts';
import { judgePredictions } from './guards/prediction-guard.ts';
import { judgeMean, type TruthWindow } from './guards/truth-guards.ts';
import type { TrafficWindow } from './guards/window.ts';

/**
 * Holds what the candidate did with its requests against what the champion did. Guards that are turned off are left
 * out. A breach may be found at any look, also before a guard has its minimum; nothing passes before.
 *
 * The order is that of the causes: a candidate that answers NaN is named for that.
 *
 * @param input.champion `null`: there is none, so that only failures are judged
 * @param input.baseline the champion's evidence before a blue-green switch, when it last had traffic of its own
 * @param input.at the moment of the look (ISO 8601)
 */
export function judgeTraffic({
  guards,
  step,
  candidate,
  champion,
  ledger,
  baseline,
  at,
}: {
  guards: GuardsSpec;
  step: RolloutStep;
  candidate: string;
  champion: string | null;
  ledger: EvidenceLedger;
  baseline: EvidenceLedger | null;
  at: string;
}): GuardVerdict[] {
  const switched = step.name === 'blue-green';
  const usual = switched ? baseline : ledger;
  const window: TrafficWindow = {
    candidate: trafficOf(ledger, candidate),
    champion:
      champion === null
        ? null
        : {
            traffic: usual ? trafficOf(usual, champion) : undefined,
            name: switched ? 'the champion before the switch' : 'the champion',
          },
    requests: step.role === 'shadow' ? 'copies of requests' : 'requests',
    window: { since: ledger.since, until: at },
    alpha: guards.falseAlarms,
  };
  const { invalidOutputs, errorRate, latency, predictions } = guards;
  return [
    ...(invalidOutputs ? [judgeFailures('invalidOutputs', invalidOutputs, window)] : []),
    ...(errorRate ? [judgeFailures('errorRate', errorRate, window)] : []),
    ...(latency ? [judgeLatency(latency, window)] : []),
    ...(predictions ? [judgePredictions(predictions, window)] : []),
  ];
}

/**
 * Holds what truth says of the candidate's answers against what it says of the champion's in the same window.
 *
 * @param input.truth `null`: nothing was read yet
 */
export function judgeTruth({
  guards,
  strategy,
  task,
  candidate,
  champion,
  truth,
  at,
}: {
  guards: GuardsSpec;
  strategy: RolloutStrategy;
  task: Task;
  candidate: string;
  champion: string | null;
  truth: TruthReport | null;
  at: string;
}): GuardVerdict[] {
  const window: TruthWindow = {
    candidate,
    champion,
    truth,
    strategy,
    window: { since: truth?.since ?? at, until: truth?.until ?? at },
    alpha: guards.falseAlarms,
  };
  const { quality, business } = guards;
  const verdicts: GuardVerdict[] = [];
  if (quality) {
    const metric = quality.metric ?? DEFAULT_ROW_METRIC[task];
    const better = metric === 'accuracy' ? 'higher' : 'lower';
    verdicts.push(judgeMean({ ...quality, guard: 'quality', metric, better }, window));
  }
  if (business) verdicts.push(judgeMean({ ...business, guard: 'business' }, window));
  return verdicts;
}
