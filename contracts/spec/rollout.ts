import { z } from 'zod';
import { duration, durationMs } from '../durations.ts';
import type { Task } from './task.ts';

/** How a candidate takes the place of the version that serves. */
export const STRATEGIES = ['direct', 'blue-green', 'canary', 'shadow', 'ab'] as const;
export const rolloutStrategy = z.enum(STRATEGIES);
export type RolloutStrategy = z.infer<typeof rolloutStrategy>;

/** Scores of one row with its truth; their mean is the metric. What is no mean of rows has no test that looks often. */
export const ROW_METRICS = {
  binary: ['accuracy', 'log_loss', 'brier_score'],
  multiclass: ['accuracy', 'log_loss'],
  regression: ['mean_absolute_error', 'mean_squared_error'],
} as const satisfies Record<Task, readonly string[]>;
export const rowMetric = z.enum([
  ...new Set([...ROW_METRICS.binary, ...ROW_METRICS.multiclass, ...ROW_METRICS.regression]),
]);
export type RowMetric = z.infer<typeof rowMetric>;

const share = z.number().gt(0).lt(100);
const minRequests = (fewest: number) =>
  z.number().int().min(1).max(1_000_000_000).default(fewest).meta({
    description: 'Requests to the candidate, and to the champion, below which nothing is decided.',
  });
const minLabels = z.number().int().min(10).max(1_000_000_000).default(200).meta({
  description: 'Predictions of the candidate, and of the champion, whose truth must be known.',
});
const off = z.literal(false);

/** Guards hold the candidate against the champion in the same window. `false` turns one off. */
export const guardsSpec = z
  .strictObject({
    errorRate: z
      .union([
        off,
        z.strictObject({ maxIncrease: z.number().min(0).lt(1).default(0.01), minRequests: minRequests(100) }),
      ])
      .default({ maxIncrease: 0.01, minRequests: 100 })
      .meta({
        description: 'Share of requests that it failed, above the champion’s by at most maxIncrease.',
      }),
    invalidOutputs: z
      .union([
        off,
        z.strictObject({
          maxIncrease: z.number().min(0).lt(1).default(0.001),
          minRequests: minRequests(100),
        }),
      ])
      .default({ maxIncrease: 0.001, minRequests: 100 })
      .meta({ description: 'Share of requests that it answered with NaN or infinity.' }),
    latency: z
      .union([
        off,
        z.strictObject({
          maxRatio: z.number().gt(1).max(1000).default(2),
          allowance: duration.default('5ms'),
          minRequests: minRequests(200),
        }),
      ])
      .default({ maxRatio: 2, allowance: '5ms', minRequests: 200 })
      .meta({
        description: '99th percentile of the latency: at most maxRatio times the champion’s, plus allowance.',
      }),
    predictions: z
      .union([
        off,
        z.strictObject({ maxPsi: z.number().positive().default(0.25), minRows: minRequests(500) }),
      ])
      .default({ maxPsi: 0.25, minRows: 500 })
      .meta({
        description: 'Population stability index of what it answers against what the champion answers.',
      }),
    quality: z
      .union([
        off,
        z.strictObject({
          metric: rowMetric
            .optional()
            .meta({ description: 'Default: brier_score, log_loss or mean_absolute_error by task.' }),
          maxLoss: z.number().min(0).default(0).meta({
            description: 'By how much it may be worse, in units of the metric.',
          }),
          minLabels,
        }),
      ])
      .default(false)
      .meta({ description: 'A metric on the predictions whose truth is known.' }),
    business: z
      .union([
        off,
        z.strictObject({
          metric: z
            .string()
            .regex(/^\w{1,50}$/, 'the name of a metric of the feedback: letters, digits and _'),
          better: z.enum(['higher', 'lower']).default('higher'),
          maxLoss: z.number().min(0).default(0).meta({
            description: 'By how much its mean may be worse, in units of the metric.',
          }),
          minLabels,
        }),
      ])
      .default(false)
      .meta({ description: 'The mean of a number that feedback carries, such as revenue.' }),
    falseAlarms: z.number().gt(0).max(0.5).default(0.01).meta({
      description:
        'How probable it is at the most that a guard rolls a candidate back that is as good as the champion, however often it looks; for each guard and step.',
    }),
  })
  .prefault({});
export type GuardsSpec = z.infer<typeof guardsSpec>;
export const GUARDS = [
  'errorRate',
  'invalidOutputs',
  'latency',
  'predictions',
  'quality',
  'business',
] as const;
export const guardName = z.enum(GUARDS);
export type GuardName = z.infer<typeof guardName>;

const step = z.strictObject({
  share: share.meta({ description: 'Percentage of the requests that the candidate answers.' }),
  hold: duration.default('10m').meta({ description: 'How long at the least.' }),
  minRequests: minRequests(100),
});
const DEFAULT_STEPS = [
  { share: 5, hold: '10m', minRequests: 100 },
  { share: 25, hold: '10m', minRequests: 100 },
  { share: 50, hold: '10m', minRequests: 100 },
];

/** How a candidate that was approved comes into production. */
export const rolloutSpec = z
  .strictObject({
    strategy: rolloutStrategy.default('direct').meta({
      description:
        'direct: all requests at once. blue-green: loaded beside the champion, then all requests at once, with the way back kept warm. canary: a growing share. shadow: copies of requests, answers nobody. ab: a share, until one of the two is significantly better.',
    }),
    steps: z
      .array(step)
      .min(1)
      .max(20)
      .default(DEFAULT_STEPS)
      .meta({ description: 'canary: its steps, with growing shares.' }),
    share: share.or(z.literal(100)).optional().meta({
      description:
        'shadow: percentage of requests that are copied (default 100); ab: that it answers (default 50).',
    }),
    hold: duration.default('10m').meta({
      description: 'blue-green and shadow: how long it is watched at the least.',
    }),
    minRequests: minRequests(100),
    end: duration
      .default('14d')
      .meta({ description: 'ab: when it is undecided if nothing was significant.' }),
    undecided: z.enum(['rollback', 'promote']).default('rollback').meta({
      description: 'ab and probation: what happens where nothing could be decided by the end.',
    }),
    guards: guardsSpec,
    probation: z
      .strictObject({
        for: duration.default('30d').meta({ description: 'How long truth is waited for at the most.' }),
        share: share.optional().meta({
          description:
            'Percentage of the requests that the candidate answers meanwhile; the champion answers the others. Default: as in the last step; direct and blue-green: 90.',
        }),
        look: duration.default('1h').meta({ description: 'How often it is looked for.' }),
      })
      .optional()
      .meta({
        description:
          'After the steps the roll-out stays open until guards.quality and guards.business have their labels.',
      }),
    patience: duration.default('1d').meta({
      description:
        'How long a step waits for its requests and labels before the candidate is rolled back for the lack of them.',
    }),
    busy: z.enum(['queue', 'supersede']).default('queue').meta({
      description: 'Where another roll-out is under way: wait for its end, or take its place.',
    }),
    wait: duration.default('1h').meta({
      description: 'How long the run waits for the end of the roll-out, which goes on without it.',
    }),
  })
  .superRefine((rollout, context) => {
    const issue = (path: PropertyKey[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    const { strategy, steps, guards, probation } = rollout;
    for (const [i, { share: own }] of steps.entries())
      if (i > 0 && own <= (steps[i - 1]?.share ?? 0))
        issue(['steps', i, 'share'], `the shares must grow; ${own} follows ${steps[i - 1]?.share}`);
    const judged = guards.quality !== false || guards.business !== false;
    if (probation && !judged)
      issue(['probation'], 'needs guards.quality or guards.business: what is waited for');
    if (judged && !probation && (strategy === 'direct' || strategy === 'blue-green'))
      issue(
        ['guards'],
        `${strategy} leaves the champion no requests to compare with by truth; add probation, or turn guards.quality and guards.business off`,
      );
    if (strategy === 'ab' && !judged)
      issue(['guards'], 'ab needs guards.quality or guards.business: what the two are compared by');
    if (strategy === 'ab' && probation)
      issue(['probation'], 'ab waits for its labels itself, until end; leave it out');
    if (strategy === 'ab' && rollout.share === 100)
      issue(['share'], 'ab leaves the champion a share; at most 99');
    if (rollout.share !== undefined && strategy !== 'shadow' && strategy !== 'ab')
      issue(
        ['share'],
        `${strategy} has no share of its own; use ${strategy === 'canary' ? 'steps' : 'strategy canary'}`,
      );
    if (strategy === 'shadow' && guards.business !== false)
      issue(['guards', 'business'], 'a shadow answers nobody, so that nothing follows from its answers');
    if (durationMs(rollout.patience) < 1000) issue(['patience'], 'at least 1s');
  })
  .prefault({});
export type RolloutSpec = z.infer<typeof rolloutSpec>;

/** The metric that the guard `quality` uses where the spec names none. */
export const DEFAULT_ROW_METRIC = {
  binary: 'brier_score',
  multiclass: 'log_loss',
  regression: 'mean_absolute_error',
} as const satisfies Record<Task, RowMetric>;

/** What of a roll-out does not fit the task. */
export function rolloutIssues({
  task,
  deployment: { rollout, serving },
}: {
  task: Task;
  deployment: { rollout: RolloutSpec; serving: { log: { sample: number } } };
}): { path: PropertyKey[]; message: string }[] {
  const { quality, business } = rollout.guards;
  if (serving.log.sample === 0 && (quality !== false || business !== false))
    return [
      {
        path: ['deployment', 'serving', 'log', 'sample'],
        message:
          '0 puts no prediction on record, so that guards.quality and guards.business never have truth',
      },
    ];
  const known: readonly string[] = ROW_METRICS[task];
  return quality !== false && quality.metric !== undefined && !known.includes(quality.metric)
    ? [
        {
          path: ['deployment', 'rollout', 'guards', 'quality', 'metric'],
          message: `${quality.metric} is no metric of single rows of task ${task}; one of ${known.join(', ')}`,
        },
      ]
    : [];
}
