import { z } from 'zod';
import { duration, durationMs } from '../durations.ts';
import { METRICS, type MetricName, metricName } from './metrics.ts';
import { sliceSpec } from './slices.ts';
import { moment } from './split.ts';
import type { Task } from './task.ts';

const off = z.literal(false);
const share = z.number().min(0).max(1);

/** What of an endpoint is watched, each by itself. */
export const CHECKS = [
  'data-drift',
  'multivariate-drift',
  'domain-classifier',
  'prediction-drift',
  'label-drift',
  'skew',
  'feature-parity',
  'concept-drift',
  'quality',
  'estimated-quality',
  'operations',
] as const;
export const checkName = z.enum(CHECKS);
export type CheckName = z.infer<typeof checkName>;

/** Windows of the calendar, in UTC; weeks begin on Monday. */
export const CALENDAR_WINDOWS = ['week', 'month'] as const;

/** Whether a window is one of the calendar. */
export const isCalendar = (window: string): window is (typeof CALENDAR_WINDOWS)[number] =>
  CALENDAR_WINDOWS.some((name) => name === window);

export const SEVERITIES = ['info', 'warning', 'critical'] as const;
export const severity = z.enum(SEVERITIES);
export type Severity = z.infer<typeof severity>;

/** How the features of a window are held against the reference's. */
export const driftSpec = z
  .strictObject({
    columns: z.array(z.string().min(1)).min(1).optional().meta({ description: 'Default: all features.' }),
    psi: z.number().positive().default(0.2).meta({
      description: 'A feature has drifted where its population stability index is above.',
    }),
    jensenShannon: share.gt(0).optional().meta({
      description: '… or its Jensen-Shannon distance (base 2, 0 to 1).',
    }),
    wasserstein: z.number().positive().optional().meta({
      description:
        '… or its Wasserstein distance in standard deviations of the reference; numbers and dates.',
    }),
    alpha: z.number().gt(0).lt(0.5).optional().meta({
      description:
        '… or the Kolmogorov-Smirnov (numbers, dates) or chi-square test (categories) rejects at this false discovery rate over all features (Benjamini and Hochberg 1995). With many rows tests reject for differences that do not matter.',
    }),
    newCategories: share.default(0.05).meta({
      description: '… or this share of its rows has categories that the reference does not know.',
    }),
    missing: share.default(0.1).meta({
      description: '… or its share of missing values differs by more.',
    }),
    share: share.gt(0).default(0.3).meta({
      description: 'The share of the features that must have drifted before the data have.',
    }),
    multivariate: z
      .union([off, z.strictObject({ deviations: z.number().positive().default(3) })])
      .default({ deviations: 3 })
      .meta({
        description:
          'Reconstruction error of a principal component analysis: how many standard deviations of the reference’s chunks it may be off.',
      }),
    classifier: z
      .union([off, z.strictObject({ maxAuc: z.number().gt(0.5).lt(1).default(0.7) })])
      .default(false)
      .meta({
        description:
          'A model is trained to tell the window from the reference; its cross-validated ROC AUC must stay below.',
      }),
  })
  .prefault({});
export type DriftSpec = z.infer<typeof driftSpec>;

/** A limit of a metric on the labelled rows of a window. */
export const qualityLimit = z
  .strictObject({
    metric: metricName,
    min: z.number().optional(),
    max: z.number().optional(),
    worseBy: z.number().nonnegative().optional().meta({
      description:
        'By how much it may be worse than on the reference’s labelled rows, in units of the metric.',
    }),
  })
  .refine(
    ({ min, max, worseBy }) => min !== undefined || max !== undefined || worseBy !== undefined,
    'one of min, max, worseBy',
  );
export type QualityLimit = z.infer<typeof qualityLimit>;

/** How changes of the error of the model are looked for, over all windows. */
export const conceptSpec = z.discriminatedUnion('detector', [
  z.strictObject({
    detector: z.literal('adwin').meta({ description: 'Bifet and Gavaldà 2007.' }),
    delta: z.number().gt(0).lt(1).default(0.002).meta({ description: 'Confidence of a cut.' }),
  }),
  z.strictObject({
    detector: z.literal('ddm').meta({
      description: 'Gama et al. 2004, on the share of wrong answers; classification.',
    }),
    warning: z.number().positive().default(2),
    drift: z.number().positive().default(3),
  }),
  z.strictObject({
    detector: z.literal('page-hinkley').meta({ description: 'Page 1954; Gama et al. 2014.' }),
    delta: z.number().nonnegative().default(0.005).meta({ description: 'Magnitude that is tolerated.' }),
    threshold: z.number().positive().default(50),
  }),
]);
export type ConceptSpec = z.infer<typeof conceptSpec>;

const alertSpec = z
  .strictObject({
    after: z.number().int().min(1).max(100).default(1).meta({
      description: 'Windows in a row that must be beyond the limit before an alert is raised.',
    }),
    clearAfter: z.number().int().min(1).max(100).default(1).meta({
      description: 'Windows in a row that must be within it before the alert is over.',
    }),
    severity: z
      .partialRecord(checkName, z.union([severity, z.literal('off')]))
      .default({})
      .meta({
        description:
          'By check. Default: critical for quality and operations, warning for concept-drift, estimated-quality, prediction-drift and skew, info for the others. off: no alert.',
      }),
    remindEvery: duration.default('1d').meta({ description: 'How often an alert that stays is told again.' }),
    silence: z
      .array(z.strictObject({ check: checkName.optional(), from: moment, before: moment }))
      .max(50)
      .default([])
      .meta({ description: 'Times for which nothing is sent; what happens is recorded all the same.' }),
  })
  .prefault({});
export type AlertSpec = z.infer<typeof alertSpec>;

/** How an endpoint is watched. */
export const monitoringSpec = z
  .strictObject({
    window: z
      .union([
        duration,
        z.enum(CALENDAR_WINDOWS),
        z.strictObject({ rows: z.number().int().min(10).max(10_000_000) }),
      ])
      .default('1d')
      .meta({
        description:
          'Predictions that are looked at together: of a duration, of each calendar week or month (UTC), or so many rows.',
      }),
    since: moment.optional().meta({
      description:
        'Where the first window begins. Default: when the first version comes into production. For recorded data.',
    }),
    every: duration.optional().meta({
      description: 'How often it is looked. Default: a duration as window; else 1h.',
    }),
    lateness: duration.optional().meta({
      description:
        'How long after its end a window is looked at. Default: at once; servers on other machines archive what they recorded within 5m.',
    }),
    groundTruthDelay: duration.optional().meta({
      description:
        'When the truth about a prediction is known: quality is looked at for windows that ended so long ago. Default: at once.',
    }),
    minRows: z.number().int().min(1).default(200).meta({
      description: 'A window with fewer rows says insufficient.',
    }),
    minLabels: z.number().int().min(1).default(100).meta({
      description: 'As minRows, of rows whose truth is known.',
    }),
    reference: z
      .union([
        z.literal('training'),
        z.strictObject({ from: moment, before: moment }).refine((one) => one.from < one.before, {
          error: 'later than from',
          path: ['before'],
        }),
      ])
      .default('training')
      .meta({
        description:
          'What windows are held against: the data of the champion (features of its training rows; answers and truth of its test rows), or predictions of a time.',
      }),
    drift: z.union([off, driftSpec]).prefault({}),
    predictions: z
      .union([off, z.strictObject({ psi: z.number().positive().default(0.25) })])
      .default({ psi: 0.25 })
      .meta({ description: 'Population stability index of the answers.' }),
    labels: z
      .union([off, z.strictObject({ psi: z.number().positive().default(0.25) })])
      .default({ psi: 0.25 })
      .meta({ description: 'Population stability index of the truth.' }),
    quality: z
      .union([qualityLimit, z.array(qualityLimit).max(20)])
      .transform((limits) => (Array.isArray(limits) ? limits : [limits]))
      .default([])
      .meta({ description: 'Limits of metrics; the metrics are computed in any case.' }),
    estimate: z
      .union([off, z.strictObject({ worseBy: z.number().nonnegative().optional() })])
      .default({})
      .meta({
        description:
          'Estimates quality from the confidence of the answers (CBPE) where there is no truth yet; classification. worseBy: by how much each metric of quality may be worse than on the reference.',
      }),
    concept: z
      .union([off, conceptSpec])
      .default({ detector: 'adwin', delta: 0.002 })
      .meta({ description: 'Concept drift: a change of the error of the model over time.' }),
    skew: z
      .union([
        off,
        z.strictObject({ maxShare: share.default(0.01), rows: z.number().int().min(1).default(500) }),
      ])
      .default({ maxShare: 0.01, rows: 500 })
      .meta({
        description:
          'Rows of the log are asked again of the model’s file: the share whose answer differs from what was served.',
      }),
    features: z
      .union([
        off,
        z.strictObject({ maxShare: share.default(0.01), rows: z.number().int().min(1).default(1_000) }),
      ])
      .default({ maxShare: 0.01, rows: 1_000 })
      .meta({
        description:
          'Rows whose features were looked up are joined with the sources again: the share whose features differ.',
      }),
    operations: z
      .strictObject({
        maxErrors: share.optional().meta({ description: 'Share of requests that failed or timed out.' }),
        maxInvalid: share
          .optional()
          .meta({ description: 'Share of answers that were no number, or refused inputs.' }),
        maxLatencyP99: duration.optional(),
        minUptime: share.optional().meta({ description: 'Share of the time in which a server was live.' }),
        minRequests: z.number().int().min(0).optional(),
        pricePerHour: z.number().nonnegative().default(0).meta({
          description: 'Of one server, in any currency; for the cost.',
        }),
      })
      .prefault({}),
    slices: z.array(sliceSpec).max(20).default([]).meta({
      description: 'Parts of the rows that are looked at by themselves: quality, and drift of the answers.',
    }),
    alerts: alertSpec,
  })
  .refine(({ window }) => typeof window !== 'string' || isCalendar(window) || durationMs(window) >= 1_000, {
    error: 'a second at the least',
    path: ['window'],
  });
export type MonitoringSpec = z.output<typeof monitoringSpec>;

/** What `monitoring` asks for and the task does not have. */
export function monitoringIssues({
  task,
  monitoring,
}: {
  task: Task;
  monitoring?: MonitoringSpec | undefined;
}): { path: PropertyKey[]; message: string }[] {
  if (!monitoring) return [];
  const metrics: readonly MetricName[] = METRICS[task];
  const issues: { path: PropertyKey[]; message: string }[] = monitoring.quality.flatMap(({ metric }, i) =>
    metrics.includes(metric)
      ? []
      : [
          {
            path: ['monitoring', 'quality', i, 'metric'],
            message: `${metric} does not fit task ${task}; use one of ${metrics.join(', ')}`,
          },
        ],
  );
  if (task === 'regression' && monitoring.concept !== false && monitoring.concept.detector === 'ddm')
    issues.push({
      path: ['monitoring', 'concept', 'detector'],
      message: 'ddm watches a share of wrong answers, which regression has not; take adwin or page-hinkley',
    });
  return issues;
}
