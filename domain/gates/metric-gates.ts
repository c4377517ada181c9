import type { Interval, MetricBound } from '../../contracts/evaluation-report.ts';
import type { GateResult } from '../../contracts/reports.ts';
import type { MetricGate } from '../../contracts/spec/gates.ts';
import { lowerIsBetter } from '../../contracts/spec/metrics.ts';
import type { Evidence } from './evidence.ts';
import { type Bound, judge, percent, unjudged } from './outcome.ts';

/** The least improvement that a gate asks for, in units of the metric. */
const leastImprovement = ({ by, margin }: MetricGate): number => (margin === undefined ? by : -margin);

const boundOf = (
  { metric, confidence }: MetricGate,
  { bounds = [] }: Evidence,
  of: MetricBound['of'],
): Interval | undefined => {
  const found = bounds.find(
    (bound) => bound.of === of && bound.metric === metric && bound.confidence === confidence,
  );
  return found && { low: found.low, high: found.high };
};

const withConfidence = (gate: MetricGate): string =>
  gate.confidence === undefined ? '' : ` with ${percent(gate.confidence)} confidence`;

const NO_BOUND =
  'the bootstrap gave no bound for it: too few samples for the confidence (of many rows fewer are drawn), or it is not defined in more than 1 % of them';

/** A fixed limit, for the value itself or for its bound. */
export function fixedLimit(gate: MetricGate, evidence: Evidence, direction: Bound['direction']): GateResult {
  const { metric, confidence } = gate;
  const limit = direction === 'at_least' ? gate.min : gate.max;
  const observed = evidence.test[metric];
  const bound = boundOf(gate, evidence, 'test');
  return judge(gate, {
    subject: metric,
    required: `${direction === 'at_least' ? '>=' : '<='} ${limit}${withConfidence(gate)}`,
    limit: limit ?? Number.NaN,
    direction,
    observed,
    interval: confidence === undefined ? evidence.intervals?.[metric] : bound,
    ...(confidence === undefined ? {} : { judged: direction === 'at_least' ? bound?.low : bound?.high }),
    ...(observed === undefined ? {} : { missing: NO_BOUND }),
  });
}

/** "Better than X by d" as a bound on the metric's own scale. */
function improvement(
  gate: MetricGate,
  evidence: Evidence,
  reference: number,
  observed: number | undefined,
): GateResult {
  const { metric, betterThan } = gate;
  const least = leastImprovement(gate);
  const lower = lowerIsBetter(metric);
  // "Better by d" is a smaller limit where lower is better.
  const change = lower ? -least : least;
  const shift = change === 0 ? '' : ` ${change < 0 ? '-' : '+'} ${Math.abs(change)}`;
  return judge(gate, {
    subject: metric,
    required: `${lower ? '<=' : '>='} that of the ${betterThan}${shift}`,
    limit: reference + change,
    direction: lower ? 'at_most' : 'at_least',
    observed,
    interval: evidence.intervals?.[metric],
  });
}

/**
 * "Better than X by d" with a confidence: the one-sided bound of the paired difference, counted so that more is better,
 * must be at least d (non-inferiority where d is negative).
 */
function surelyBetter(
  gate: MetricGate,
  evidence: Evidence,
  reference: number | undefined,
  observed: number | undefined,
): GateResult {
  const { metric, betterThan = 'champion' } = gate;
  const least = leastImprovement(gate);
  const found = boundOf(gate, evidence, betterThan);
  const lower = lowerIsBetter(metric);
  const bound = found && (lower ? { low: -found.high, high: -found.low } : found);
  const sign = lower ? -1 : 1;
  return judge(gate, {
    subject: `${metric} improvement over the ${betterThan}`,
    required: `>= ${least}${withConfidence(gate)}`,
    limit: least,
    direction: 'at_least',
    observed: observed === undefined || reference === undefined ? undefined : sign * (observed - reference),
    judged: bound?.low,
    interval: bound,
    missing: NO_BOUND,
  });
}

const NOT_STRICTLY = 'equal to the trivial baseline';

/** A trivial baseline must be beaten strictly: a model that only equals it has learned nothing. */
export function againstBaseline(gate: MetricGate, evidence: Evidence): GateResult {
  const { metric } = gate;
  const observed = evidence.test[metric];
  const reference = evidence.baseline[metric];
  if (reference === undefined || observed === undefined) {
    const who = observed === undefined ? metric : `the ${metric} of the trivial baseline`;
    return unjudged(gate, {
      subject: metric,
      required: 'better than the baseline',
      observed,
      note: `${who} could not be computed`,
    });
  }
  const result =
    gate.confidence === undefined
      ? improvement(gate, evidence, reference, observed)
      : surelyBetter(gate, evidence, reference, observed);
  return leastImprovement(gate) === 0 && result.margin === 0
    ? { ...result, verdict: 'failed', passed: false, note: NOT_STRICTLY }
    : result;
}

/**
 * A champion that cannot be compared is one all the same: an approver decides, and where nobody is asked the gate
 * fails. Only where there is none does it pass by itself.
 */
export function againstChampion(gate: MetricGate, evidence: Evidence, approverDecides: boolean): GateResult {
  const { metric } = gate;
  const { test, champion, championNote } = evidence;
  const observed = test[metric];
  const said = { subject: metric, required: 'not worse than the champion', observed };
  if (observed === undefined) return unjudged(gate, { ...said, note: `${metric} could not be computed` });
  if (champion === null) return unjudged(gate, { ...said, note: 'there is no champion yet' }, 'passed');
  if (championNote !== undefined)
    return unjudged(
      gate,
      {
        ...said,
        note: `the champion cannot be compared: ${championNote}${approverDecides ? '; whoever approves decides' : '; nobody is asked for an approval, so it counts as failed'}`,
      },
      approverDecides ? 'undecided' : 'failed',
    );
  const reference = champion[metric];
  if (reference === undefined)
    return unjudged(gate, {
      ...said,
      note: `the champion cannot be compared: its ${metric} could not be computed`,
    });
  return gate.confidence === undefined
    ? improvement(gate, evidence, reference, observed)
    : surelyBetter(gate, evidence, reference, observed);
}

/** By how much the test rows may be worse than those that were learned from. */
export function generalisation(gate: MetricGate, { test, train }: Evidence): GateResult {
  const { metric } = gate;
  const [onTest, onTrain] = [test[metric], train[metric]];
  const known = onTest !== undefined && onTrain !== undefined;
  return judge(gate, {
    subject: `${metric} gap between train and test`,
    required: `<= ${gate.maxGap}`,
    limit: gate.maxGap ?? Number.NaN,
    direction: 'at_most',
    observed: known ? (lowerIsBetter(metric) ? onTest - onTrain : onTrain - onTest) : undefined,
    missing: `${metric} could not be computed`,
  });
}
