import type { GateResult, MetricValues } from '../contracts/reports.ts';
import { type Gate, lowerIsBetter, type MetricName } from '../contracts/spec/evaluation.ts';

/** The numbers that gates look at. */
export interface Evidence {
  test: MetricValues;
  train: MetricValues;
  baseline: MetricValues;
  /** The version in production on the same test rows, or `null` where there is none. */
  champion: MetricValues | null;
  /** Why the champion cannot be compared, where it cannot. */
  championNote?: string | undefined;
}

interface Bound {
  condition: string;
  limit: number;
  direction: 'at_least' | 'at_most';
  observed: number | undefined;
}

/** By how much `observed` keeps the bound; negative where it does not. */
const marginOf = (observed: number, bound: Bound): number =>
  bound.direction === 'at_least' ? observed - bound.limit : bound.limit - observed;

function judge(gate: Gate, bound: Bound): GateResult {
  if (bound.observed === undefined)
    return {
      gate,
      condition: bound.condition,
      passed: false,
      observed: null,
      limit: bound.limit,
      margin: null,
      note: `${gate.metric} could not be computed`,
    };
  const margin = marginOf(bound.observed, bound);
  return {
    gate,
    condition: bound.condition,
    passed: margin >= 0,
    observed: bound.observed,
    limit: bound.limit,
    margin,
  };
}

/** "Better than X by d" as a bound on the metric's own scale. */
function improvement(
  gate: Gate,
  metric: MetricName,
  name: string,
  reference: number,
  observed: number | undefined,
): Bound {
  const lower = lowerIsBetter(metric);
  const limit = lower ? reference - gate.by : reference + gate.by;
  // "Better by d" is a smaller limit where lower is better.
  const change = lower ? -gate.by : gate.by;
  const shift = change === 0 ? '' : ` ${change < 0 ? '-' : '+'} ${Math.abs(change)}`;
  return {
    condition: `${metric} ${lower ? '<=' : '>='} that of the ${name}${shift}`,
    limit,
    direction: lower ? 'at_most' : 'at_least',
    observed,
  };
}

/** A condition that could not be looked at; it is not kept, unless there is nothing to keep it against. */
const unjudged = (
  gate: Gate,
  condition: string,
  observed: number | undefined,
  note: string,
  passed = false,
): GateResult => ({ gate, condition, passed, observed: observed ?? null, limit: null, margin: null, note });

/** A champion that cannot be compared is one all the same; only where there is none does the gate pass by itself. */
function againstChampion(gate: Gate, { test, champion, championNote }: Evidence): GateResult {
  const { metric } = gate;
  const observed = test[metric];
  const condition = `${metric} not worse than the champion`;
  if (observed === undefined) return unjudged(gate, condition, observed, `${metric} could not be computed`);
  if (champion === null) return unjudged(gate, condition, observed, 'there is no champion yet', true);
  const reference = champion[metric];
  return reference === undefined
    ? unjudged(
        gate,
        condition,
        observed,
        `the champion cannot be compared: ${championNote ?? `its ${metric} could not be computed`}`,
      )
    : judge(gate, improvement(gate, metric, 'champion', reference, observed));
}

/**
 * Judges one gate. A gate with several conditions (`min` and `betterThan`, say) gives one result for each.
 * A trivial baseline must be beaten strictly: a model that only equals it has learned nothing. A metric that could
 * not be computed passes no gate.
 */
function judgeGate(gate: Gate, evidence: Evidence): GateResult[] {
  const { metric } = gate;
  const observed = evidence.test[metric];
  const results: GateResult[] = [];
  if (gate.min !== undefined)
    results.push(
      judge(gate, {
        condition: `${metric} >= ${gate.min}`,
        limit: gate.min,
        direction: 'at_least',
        observed,
      }),
    );
  if (gate.max !== undefined)
    results.push(
      judge(gate, { condition: `${metric} <= ${gate.max}`, limit: gate.max, direction: 'at_most', observed }),
    );
  if (gate.betterThan === 'baseline') {
    const reference = evidence.baseline[metric];
    if (reference === undefined || observed === undefined) {
      const who = observed === undefined ? metric : `the ${metric} of the trivial baseline`;
      results.push(
        unjudged(gate, `${metric} better than the baseline`, observed, `${who} could not be computed`),
      );
    } else {
      const result = judge(gate, improvement(gate, metric, 'baseline', reference, observed));
      results.push(
        gate.by === 0 && result.margin === 0
          ? { ...result, passed: false, note: 'equal to the trivial baseline' }
          : result,
      );
    }
  }
  if (gate.betterThan === 'champion') results.push(againstChampion(gate, evidence));
  if (gate.maxGap !== undefined) {
    const train = evidence.train[metric];
    const gap =
      train === undefined || observed === undefined
        ? undefined
        : lowerIsBetter(metric)
          ? observed - train
          : train - observed;
    results.push(
      judge(gate, {
        condition: `${metric} gap between train and test <= ${gate.maxGap}`,
        limit: gate.maxGap,
        direction: 'at_most',
        observed: gap,
      }),
    );
  }
  return results;
}

/**
 * Judges all gates on the evidence of the test split.
 *
 * @example
 * judgeGates([{ metric: 'roc_auc', min: 0.85, by: 0 }], evidence).passed
 */
export function judgeGates(
  gates: readonly Gate[],
  evidence: Evidence,
): { passed: boolean; results: GateResult[] } {
  const results = gates.flatMap((gate) => judgeGate(gate, evidence));
  return { passed: results.every((result) => result.passed), results };
}

/** One line for people about each gate that failed: which, and by how much. */
export function failedGates(results: readonly GateResult[]): string[] {
  return results
    .filter((result) => !result.passed)
    .map((result) =>
      result.observed === null || result.margin === null
        ? `${result.condition}: ${result.note ?? 'not computed'}`
        : `${result.condition}: was ${result.observed.toFixed(4)}, limit ${result.limit?.toFixed(4)}, ${result.note ?? `short by ${Math.abs(result.margin).toFixed(4)}`}`,
    );
}
