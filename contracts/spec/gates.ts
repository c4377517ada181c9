import { z } from 'zod';
import {
  fairnessMeasure,
  isRatio,
  lowerIsBetter,
  type MetricName,
  mayBeNegative,
  metricName,
} from './metrics.ts';

/** Samples that must lie beyond a one-sided bound: with fewer it is that of the few worst samples by chance. */
const LEAST_BEYOND = 5;

/** Whether so many bootstrap samples can tell a one-sided bound at the confidence. */
export const carriesBound = (samples: number, confidence: number): boolean =>
  // In whole numbers: 100 × (1 − 0.95) is a little more or less than 5.
  Math.round(samples * (1 - confidence) * 1e6) >= LEAST_BEYOND * 1e6;

/** The fewest samples that do. */
export const samplesFor = (confidence: number): number =>
  Math.ceil(Math.round((LEAST_BEYOND / (1 - confidence)) * 1e6) / 1e6);

const gateConfidence = z.number().min(0.5).max(0.999).optional().meta({
  description:
    'With min, max or betterThan: not the value itself counts, but the one-sided bound of the bootstrap that holds with this confidence.',
});

/** What makes nonsense of a share. */
function shareIssues(gate: {
  metric: MetricName;
  betterThan?: string | undefined;
  by: number;
  margin?: number | undefined;
  byShare?: number | undefined;
}): string[] {
  const { metric, byShare } = gate;
  if (byShare === undefined) return [];
  return [
    ...(gate.betterThan === undefined ? ['needs betterThan'] : []),
    ...(gate.by !== 0 || gate.margin !== undefined
      ? [
          'by and margin are in units of the metric, byShare is a share of it; leave one of them out, or write two gates',
        ]
      : []),
    ...(mayBeNegative(metric)
      ? [`${metric} may be negative, and a share of it says nothing; use by or margin`]
      : []),
    ...(lowerIsBetter(metric) && byShare >= 1 ? [`${metric} is not below 0: below 1`] : []),
  ];
}

const metricGate = z
  .strictObject({
    metric: metricName,
    min: z.number().optional().meta({ description: 'The value must be at least this.' }),
    max: z.number().optional().meta({ description: 'The value must be at most this.' }),
    betterThan: z.enum(['baseline', 'champion']).optional().meta({
      description:
        'baseline: a model that always predicts the base rate (mean, most frequent class) of the training rows. champion: the version in production, judged on the same test rows; passes where there is none.',
    }),
    by: z.number().default(0).meta({
      description:
        'With betterThan: the least improvement, in units of the metric. A negative one allows to be a little worse.',
    }),
    margin: z.number().nonnegative().optional().meta({
      description:
        'With betterThan: by how much it may be worse, in units of the metric; the same as a negative by.',
    }),
    byShare: z.number().gt(-1).max(100).optional().meta({
      description:
        "With betterThan, in place of by: the least improvement as a share of the other's value; 0.1 is 10 % lower for an error, 10 % higher for a metric that is better when higher. A negative one allows to be worse by that share.",
    }),
    confidence: gateConfidence,
    maxGap: z.number().nonnegative().optional().meta({
      description: 'The largest amount by which the test split may be worse than the training split.',
    }),
    slices: z.enum(['declared', 'worst', 'all']).optional().meta({
      description:
        'With min or max: each slice must keep it; those of evaluation.slices, the worst ones that were found, or both.',
    }),
  })
  .superRefine((gate, context) => {
    const issue = (path: string[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    const { min, max, betterThan, maxGap } = gate;
    if ([min, max, betterThan, maxGap].every((part) => part === undefined))
      issue([], 'one of min, max, betterThan, maxGap');
    if (gate.margin !== undefined && betterThan === undefined) issue(['margin'], 'needs betterThan');
    if (gate.margin !== undefined && gate.by !== 0)
      issue(['margin'], 'says the same as a negative by; leave one of them out');
    for (const message of shareIssues(gate)) issue(['byShare'], message);
    if (gate.confidence !== undefined && min === undefined && max === undefined && betterThan === undefined)
      issue(['confidence'], 'needs min, max or betterThan');
    if (gate.slices === undefined) return;
    if (min === undefined && max === undefined) issue(['slices'], 'needs min or max');
    if (betterThan !== undefined || maxGap !== undefined || gate.confidence !== undefined)
      issue(['slices'], 'goes with min and max alone; write the other conditions as a gate of their own');
  });
export type MetricGate = z.infer<typeof metricGate>;

const fairnessGate = z
  .strictObject({
    fairness: fairnessMeasure,
    max: z.number().nonnegative().optional().meta({ description: 'The largest difference.' }),
    min: z.number().min(0).max(1).optional().meta({ description: 'The smallest ratio.' }),
    column: z.string().min(1).optional().meta({
      description: 'One of evaluation.fairness.columns. Default: each of them must keep it.',
    }),
  })
  .superRefine((gate, context) => {
    const [wanted, other] = isRatio(gate.fairness) ? (['min', 'max'] as const) : (['max', 'min'] as const);
    if (gate[wanted] === undefined)
      context.addIssue({ code: 'custom', path: [wanted], message: `${gate.fairness} needs ${wanted}` });
    if (gate[other] !== undefined)
      context.addIssue({
        code: 'custom',
        path: [other],
        message: `a ${isRatio(gate.fairness) ? 'ratio' : 'difference'} has no ${other}; use ${wanted}`,
      });
  });
export type FairnessGate = z.infer<typeof fairnessGate>;

const robustnessGate = z.strictObject({
  robustness: z.enum(['missing', 'shift']).meta({
    description:
      'What happens to one feature at a time, on at most 20,000 rows of the test split. missing: it has no value. shift: numbers and dates go up and down by `by` standard deviations (the worse one counts), true and false change places, text becomes a word that was never seen.',
  }),
  metric: metricName,
  maxLoss: z.number().nonnegative().meta({
    description: 'The largest amount by which the metric may become worse.',
  }),
  feature: z.string().min(1).default('all').meta({ description: 'An input column, or all of them.' }),
  by: z.number().positive().max(100).default(1).meta({ description: 'With shift: standard deviations.' }),
});
export type RobustnessGate = z.infer<typeof robustnessGate>;

const sizeGate = z.strictObject({
  size: z.enum(['model_bytes']).meta({ description: 'model_bytes: the composed ONNX file, in bytes.' }),
  max: z.number().positive(),
});
export type SizeGate = z.infer<typeof sizeGate>;

const latencyGate = z.strictObject({
  latency: z.enum(['p50_ms', 'p95_ms', 'p99_ms']).meta({
    description:
      'Milliseconds in which ONNX Runtime answers one row with one thread: of 1,000 single rows of the test split so many are as fast.',
  }),
  max: z.number().positive().meta({ description: 'In milliseconds.' }),
});
export type LatencyGate = z.infer<typeof latencyGate>;

/** One condition on the test split that the winner must fulfil; its first key tells its kind. */
export const gate = z.union([metricGate, fairnessGate, robustnessGate, sizeGate, latencyGate]);
export type Gate = z.infer<typeof gate>;
