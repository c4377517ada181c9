import type { FairnessResult } from '../../contracts/evaluation-report.ts';
import type { GateResult } from '../../contracts/reports.ts';
import type { FairnessGate, LatencyGate, RobustnessGate, SizeGate } from '../../contracts/spec/gates.ts';
import { isRatio } from '../../contracts/spec/metrics.ts';
import type { Evidence } from './evidence.ts';
import { judge, unjudged, worstOf } from './outcome.ts';

/**
 * Differences between groups, column by column. Groups that are too small, or of one class where both are needed, are
 * not compared.
 */
export function fairnessGate(gate: FairnessGate, { fairness }: Evidence): GateResult[] {
  const { fairness: measure, column: only } = gate;
  const ratio = isRatio(measure);
  const limit = ratio ? gate.min : gate.max;
  const required = `${ratio ? '>=' : '<='} ${limit}`;
  const columns = (fairness ?? []).filter(({ column }) => only === undefined || column === only);
  if (columns.length === 0)
    return [
      unjudged(gate, {
        subject: only === undefined ? measure : `${measure} over ${only}`,
        required,
        note: 'groups were not compared',
      }),
    ];
  const results = columns.map((result) => {
    const { groups, rows } = result.insufficient;
    const small = groups > 0 ? `${groups} groups with too few rows (${rows} in all) are left out` : undefined;
    const ends = result.extremes[measure];
    return judge(gate, {
      subject: `${measure} over ${result.column}`,
      required,
      limit: limit ?? Number.NaN,
      direction: ratio ? 'at_least' : 'at_most',
      observed: result.measures[measure],
      interval: result.intervals[measure],
      ...(ends ? { group: `${ends.low} against ${ends.high}` } : {}),
      note: small,
      missing: [
        `${measure} could not be computed: it takes two groups with enough rows of each class that it looks at`,
        ...(small ? [small] : []),
      ].join('; '),
    });
  });
  return [...worstOf(results, 'columns'), ...notCompared(gate, required, columns)];
}

/** One line for all groups whose rate cannot be had, as for slices that are not gated. They are counted, never named. */
function notCompared(gate: FairnessGate, required: string, columns: readonly FairnessResult[]): GateResult[] {
  const words = columns.flatMap(({ column, oneClass }) => {
    const of = oneClass?.[gate.fairness];
    return of ? [`${of.groups} of ${column} with ${of.rows} rows`] : [];
  });
  if (words.length === 0) return [];
  return [
    unjudged(
      gate,
      {
        subject: `${gate.fairness} of groups of one class`,
        required,
        note: `groups without rows of a class that it needs are not compared: ${words.join(', ')}`,
      },
      'insufficient',
    ),
  ];
}

/** The loss by the feature that costs most. */
export function robustnessGate(gate: RobustnessGate, { robustness = [] }: Evidence): GateResult[] {
  const { metric, maxLoss, feature } = gate;
  const result = robustness.find(
    (one) =>
      one.robustness === gate.robustness &&
      one.metric === metric &&
      (one.robustness === 'missing' || one.by === gate.by),
  );
  const how = gate.robustness === 'missing' ? 'is missing' : `is shifted by ${gate.by} standard deviations`;
  const which = feature === 'all' ? 'a feature' : feature;
  const subject = `${metric} loss where ${which} ${how}`;
  const required = `<= ${maxLoss}`;
  if (!result) return [unjudged(gate, { subject, required, note: 'it was not measured' })];
  const named = result.features.filter((one) => feature === 'all' || one.feature === feature);
  if (result.base === null)
    return [unjudged(gate, { subject, required, note: `${metric} could not be computed` })];
  if (named.length === 0)
    return [
      feature === 'all' && result.tried === 0
        ? unjudged(gate, { subject, required, note: 'no input of the model may be missing' }, 'passed')
        : unjudged(gate, { subject, required, note: `${which} was not changed` }),
    ];
  return worstOf(
    named.map((one) =>
      judge(gate, {
        subject,
        required,
        limit: maxLoss,
        direction: 'at_most',
        observed: one.loss ?? undefined,
        feature: one.feature,
        missing: `${metric} could not be computed where ${one.feature} ${how}`,
      }),
    ),
    'features',
  );
}

/** Bytes of the model file. */
export const sizeGate = (gate: SizeGate, { footprint }: Evidence): GateResult[] => [
  judge(gate, {
    subject: 'model size in bytes',
    required: `<= ${gate.max}`,
    limit: gate.max,
    direction: 'at_most',
    observed: footprint?.modelBytes,
  }),
];

/** Milliseconds of one row. */
export const latencyGate = (gate: LatencyGate, { footprint }: Evidence): GateResult[] => [
  judge(gate, {
    subject: `latency of one row, ${gate.latency.replace('_', ' in ')}`,
    required: `<= ${gate.max}`,
    limit: gate.max,
    direction: 'at_most',
    observed: footprint?.latency?.[gate.latency],
  }),
];
