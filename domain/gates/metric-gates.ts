import type { Interval, MetricBound } from '../../contracts/evaluation-report.ts';
import type { GateResult } from '../../contracts/reports.ts';
import type { MetricGate } from '../../contracts/spec/gates.ts';
import { lowerIsBetter } from '../../contracts/spec/metrics.ts';
import type { Evidence } from './evidence.ts';
import { type Bound, judge, percent, unjudged } from './outcome.ts';

/** The least improvement that a gate asks for: in units of the metric, or as a share of the other's value. */
const leastImprovement = ({ by, margin, byShare }: MetricGate): number =>
  byShare ?? (margin === undefined ? by : -margin);

const boundOf = (
  { metric, confidence, byShare }: MetricGate,
  { bounds = [] }: Evidence,
  of: MetricBound['of'],
): Interval | undefined => {
  const found = bounds.find(
    (bound) =>
      bound.of === of &&
      bound.metric === metric &&
      bound.confidence === confidence &&
      (bound.share ?? false) === (of !== 'test' && byShare !== undefined),
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

/** "Better than X by d", or by a share of X, as a bound on the metric's own scale. */
function improvement(
  gate: MetricGate,
  evidence: Evidence,
  reference: number,
  observed: number | undefined,
): GateResult {
  const { metric, betterThan, byShare } = gate;
  const least = leastImprovement(gate);
  const lower = lowerIsBetter(metric);
  // "Better by d" is a smaller limit where lower is better.
  const step = lower ? -least : least;
  const change = byShare === undefined ? step : step * reference;
  const unit = byShare === undefined ? `${Math.abs(step)}` : `${percent(Math.abs(step))} of it`;
  const shift = step === 0 ? '' : ` ${step < 0 ? '-' : '+'} ${unit}`;
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
 * must be at least d (non-inferiority where d is negative). By a share: the same of the difference divided by the value
 * of X in the same sample, which is above 0: that it is at least s says that the difference is at least s times X.
 */
function surelyBetter(
  gate: MetricGate,
  evidence: Evidence,
  reference: number | undefined,
  observed: number | undefined,
): GateResult {
  const { metric, betterThan = 'champion', byShare } = gate;
  const least = leastImprovement(gate);
  const found = boundOf(gate, evidence, betterThan);
  const inShare = byShare !== undefined;
  const lower = lowerIsBetter(metric);
  const bound = found && (lower ? { low: -found.high, high: -found.low } : found);
  const sign = lower ? -1 : 1;
  return judge(gate, {
    subject: `${metric} improvement over the ${betterThan}${inShare ? ' as a share' : ''}`,
    required: `>= ${least}${withConfidence(gate)}`,
    limit: least,
    direction: 'at_least',
    observed:
      observed === undefined || reference === undefined
        ? undefined
        : (sign * (observed - reference)) / (inShare ? reference : 1),
    judged: bound?.low,
    interval: bound,
    missing: NO_BOUND,
  });
}

/** Of 0 there is no share: nothing is better by one. */
function ofNothing(gate: MetricGate, reference: number, observed: number): GateResult | undefined {
  const { metric, betterThan, byShare } = gate;
  if (byShare === undefined || byShare <= 0 || reference !== 0) return undefined;
  return unjudged(gate, {
    subject: metric,
    required: `better than the ${betterThan} by ${percent(byShare)}`,
    observed,
    note: `that of the ${betterThan} is 0, and of 0 there is no share; ask for an improvement in units with by`,
  });
}

/** Whether the one is better than the other by enough. */
const compared = (gate: MetricGate, evidence: Evidence, reference: number, observed: number): GateResult =>
  ofNothing(gate, reference, observed) ??
  (gate.confidence === undefined
    ? improvement(gate, evidence, reference, observed)
    : surelyBetter(gate, evidence, reference, observed));

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
  const result = compared(gate, evidence, reference, observed);
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
  return compared(gate, evidence, reference, observed);
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
