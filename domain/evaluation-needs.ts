import type { EvaluationSpec } from '../contracts/spec/evaluation.ts';
import type { Gate } from '../contracts/spec/gates.ts';
import type { MetricName } from '../contracts/spec/metrics.ts';

/** Of a spec's evaluation what decides what is measured. */
type Asking = Pick<EvaluationSpec, 'gates'> & { metric: MetricName };

const distinct = <T>(values: readonly T[]): T[] => [...new Set(values)];

/** Metrics that are told of each slice: the one that chooses, and those that gates on slices ask for. */
export const sliceMetrics = ({ metric, gates = [] }: Asking): MetricName[] =>
  distinct([
    metric,
    ...gates.flatMap((gate) =>
      'metric' in gate && !('robustness' in gate) && gate.slices !== undefined ? [gate.metric] : [],
    ),
  ]);

/** Confidences of one-sided bounds that gates ask for. @param of the value itself, or its difference */
export const boundConfidences = (
  gates: readonly Gate[] = [],
  of: 'test' | 'champion' | 'baseline',
): number[] =>
  distinct(
    gates.flatMap((gate) => {
      if (!('metric' in gate) || 'robustness' in gate || gate.confidence === undefined) return [];
      const asks = of === 'test' ? gate.min !== undefined || gate.max !== undefined : gate.betterThan === of;
      return asks ? [gate.confidence] : [];
    }),
  );

/** As {@link boundConfidences}, of gates that ask for a difference as a share of the other's value. */
export const shareConfidences = (gates: readonly Gate[] = [], of: 'champion' | 'baseline'): number[] =>
  boundConfidences(
    gates.filter((gate) => 'byShare' in gate && gate.byShare !== undefined),
    of,
  );

/** A change of features that gates ask for. */
export interface AskedPerturbation {
  robustness: 'missing' | 'shift';
  by: number;
  metrics: MetricName[];
  features: string[] | 'all';
}

/** What gates on robustness ask for, each change once. */
export function askedPerturbations(gates: readonly Gate[] = []): AskedPerturbation[] {
  const asked = new Map<string, AskedPerturbation>();
  for (const gate of gates) {
    if (!('robustness' in gate)) continue;
    const { robustness, metric, feature } = gate;
    const by = robustness === 'missing' ? 0 : gate.by;
    const known = asked.get(`${robustness} ${by}`) ?? { robustness, by, metrics: [], features: [] };
    known.metrics = distinct([...known.metrics, metric]);
    known.features =
      feature === 'all' || known.features === 'all' ? 'all' : distinct([...known.features, feature]);
    asked.set(`${robustness} ${by}`, known);
  }
  return [...asked.values()];
}

/** Whether a gate asks how long an answer takes. */
export const asksLatency = (gates: readonly Gate[] = []): boolean => gates.some((gate) => 'latency' in gate);
