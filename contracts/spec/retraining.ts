import { z } from 'zod';
import { duration, durationMs } from '../durations.ts';
import { cronExpression } from './cron.ts';

const clock = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day such as 22:30');
const OFFSET = /^([+-])(0\d|1[0-4]):([0-5]\d)$/;
const utcOffset = z
  .string()
  .regex(OFFSET, 'an offset such as +02:00')
  .default('+00:00')
  .meta({ description: 'From UTC.' });

/** Minutes of an offset from UTC. @example offsetMinutes('+02:00') // 120 */
export function offsetMinutes(text: string): number {
  const [, sign, hours, minutes] = OFFSET.exec(text) ?? [];
  const total = Number(hours) * 60 + Number(minutes);
  return sign === '-' ? -total : total;
}

/** Why a model may be trained anew. */
export const TRIGGERS = [
  'demand',
  'schedule',
  'new-data',
  'data-drift',
  'prediction-drift',
  'concept-drift',
  'degradation',
  'estimated-degradation',
  'age',
] as const;
export const triggerKind = z.enum(TRIGGERS);
export type TriggerKind = z.infer<typeof triggerKind>;

/** The rows of a retraining, counted back from the moment up to which truth is known. */
export const dataWindow = z
  .strictObject({
    kind: z.enum(['expanding', 'sliding', 'weighted']).default('expanding').meta({
      description:
        'expanding: from the beginning; sliding: the last `length`; weighted: from the beginning (or the last `length`), older rows counting less.',
    }),
    length: duration.optional().meta({ description: 'sliding, weighted: of all three parts together.' }),
    halfLife: duration.optional().meta({ description: 'weighted: the age at which a row counts half.' }),
    validation: duration.default('7d').meta({ description: 'The rows before the test rows.' }),
    test: duration.default('7d').meta({
      description: 'The latest labelled rows: on them candidate and champion are judged.',
    }),
  })
  .superRefine((window, context) => {
    const issue = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (window.kind === 'sliding' && window.length === undefined) issue('length', 'sliding needs a length');
    if (window.kind === 'expanding' && window.length !== undefined)
      issue('length', 'expanding begins at the beginning; take sliding');
    if ((window.kind === 'weighted') !== (window.halfLife !== undefined))
      issue('halfLife', window.kind === 'weighted' ? 'weighted needs a halfLife' : 'only weighted has one');
    if (
      window.length !== undefined &&
      durationMs(window.length) <= durationMs(window.validation) + durationMs(window.test)
    )
      issue('length', 'longer than validation and test together');
  })
  .prefault({});
export type DataWindow = z.output<typeof dataWindow>;

/** When the model of a pipeline is trained anew, and how often at the most. */
export const retrainingSpec = z
  .strictObject({
    on: z
      .strictObject({
        schedule: cronExpression.max(200).optional().meta({
          description:
            'A cron expression (UTC) of five fields, such as 0 3 1 * * for the first of each month at 3.',
        }),
        newData: z
          .strictObject({ poll: duration.default('1h') })
          .optional()
          .meta({ description: 'New or changed sources; looked for so often, or told by signal.' }),
        dataDrift: z.boolean().default(false).meta({
          description: 'Drifted features alone rarely mean a worse model.',
        }),
        predictionDrift: z.boolean().default(false),
        conceptDrift: z.boolean().default(true),
        degradation: z.boolean().default(true).meta({ description: 'A limit of monitoring.quality.' }),
        estimatedDegradation: z.boolean().default(false).meta({
          description: 'As degradation, by the estimate, before the truth is known.',
        }),
        maxAge: duration.optional().meta({ description: 'The champion is older.' }),
      })
      .prefault({}),
    window: dataWindow,
    debounce: z
      .union([duration, z.literal('0s')])
      .default('5m')
      .meta({
        description: 'Reasons that come within are one run; counted from the first.',
      }),
    cooldown: duration.default('1d').meta({ description: 'From the end of a run to the next.' }),
    maxPerDay: z.number().int().min(1).max(100).default(2).meta({ description: 'Runs begun in 24 hours.' }),
    budget: z
      .strictObject({
        time: duration.optional().meta({ description: 'Time of training runs together.' }),
        cost: z.number().positive().optional().meta({ description: 'At the prices of training.resources.' }),
        per: duration.default('30d'),
      })
      .refine(({ time, cost }) => time !== undefined || cost !== undefined, 'one of time and cost')
      .optional(),
    quietHours: z
      .array(z.strictObject({ from: clock, to: clock, utcOffset }))
      .max(10)
      .default([])
      .meta({ description: 'No run begins then; over midnight where to is before from.' }),
    provenAfter: duration.default('14d').meta({
      description:
        'A run has helped where the version that it brought is not told to be bad again, for the same reason, within this time. Longer than a window of monitoring and the delay of the truth.',
    }),
    giveUpAfter: z.number().int().min(1).max(100).default(3).meta({
      description: 'Runs in a row that did not help, after which a person is asked.',
    }),
  })
  .superRefine(({ quietHours }, context) => {
    for (const [i, { from, to }] of quietHours.entries())
      if (from === to)
        context.addIssue({
          code: 'custom',
          path: ['quietHours', i, 'to'],
          message: 'later or earlier than from',
        });
  });
export type RetrainingSpec = z.output<typeof retrainingSpec>;

/** What `retraining` needs of the rest of the spec. */
export function retrainingIssues(spec: {
  columns: { timestamp?: string | undefined };
  monitoring?: object | undefined;
  retraining?: RetrainingSpec | undefined;
}): { path: PropertyKey[]; message: string }[] {
  if (!spec.retraining) return [];
  const issues: { path: PropertyKey[]; message: string }[] = [];
  if (spec.columns.timestamp === undefined)
    issues.push({
      path: ['retraining'],
      message: 'the rows of a retraining are chosen by time: it needs columns.timestamp',
    });
  if (spec.monitoring === undefined)
    issues.push({
      path: ['retraining'],
      message: 'needs monitoring; an empty one (monitoring: {}) watches with the defaults',
    });
  return issues;
}
