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
  const sign = gate.by < 0 ? '+' : '-';
  const shift =
    gate.by === 0
      ? ''
      : lower
        ? ` ${sign} ${Math.abs(gate.by)}`
        : ` ${gate.by < 0 ? '-' : '+'} ${Math.abs(gate.by)}`;
  return {
    condition: `${metric} ${lower ? '<=' : '>='} that of the ${name}${shift}`,
    limit,
    direction: lower ? 'at_most' : 'at_least',
    observed,
  };
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
      results.push({
        gate,
        condition: `${metric} better than the baseline`,
        passed: false,
        observed: observed ?? null,
        limit: null,
        margin: null,
        note:
          observed === undefined
            ? `${metric} could not be computed`
            : 'the trivial baseline has no value for this metric',
      });
    } else {
      const result = judge(gate, improvement(gate, metric, 'baseline', reference, observed));
      results.push(
        gate.by === 0 && result.margin === 0
          ? { ...result, passed: false, note: 'equal to the trivial baseline' }
          : result,
      );
    }
  }
  if (gate.betterThan === 'champion') {
    const reference = evidence.champion?.[metric];
    const comparable = reference !== undefined && observed !== undefined;
    results.push(
      comparable
        ? judge(gate, improvement(gate, metric, 'champion', reference, observed))
        : {
            gate,
            condition: `${metric} not worse than the champion`,
            passed: observed !== undefined && evidence.champion === null,
            observed: observed ?? null,
            limit: null,
            margin: null,
            note:
              observed === undefined
                ? `${metric} could not be computed`
                : evidence.champion
                  ? `the champion cannot be compared: ${evidence.championNote ?? `its ${metric} could not be computed`}`
                  : 'there is no champion yet',
          },
    );
  }
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
