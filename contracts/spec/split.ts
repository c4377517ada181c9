import { z } from 'zod';
import { duration, durationMs } from '../durations.ts';

export const moment = z
  .string()
  .regex(
    /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2})?(Z|[+-]\d{2}:\d{2})?)?$/,
    'a date such as 2013-07-01 or a time such as 2013-07-01T00:00:00Z',
  )
  .meta({ description: 'UTC where no offset stands.' });

/** Milliseconds since 1970 of a moment of a split; NaN for a day that the calendar does not have. */
export function momentMs(text: string): number {
  const day = text.slice(0, 10);
  const start = new Date(`${day}T00:00:00Z`);
  // JavaScript takes 30 February for a day in March.
  if (Number.isNaN(start.getTime()) || start.toISOString().slice(0, 10) !== day) return Number.NaN;
  const time = text.slice(11);
  if (time === '') return start.getTime();
  return Date.parse(`${day}T${/(Z|[+-]\d{2}:\d{2})$/.test(time) ? time : `${time}Z`}`);
}

/**
 * By time: each part is the rows with `timestamp` before its bound and not before the previous one; `gap` is left out
 * at the start of validation and of test.
 */
export const timeSplit = z
  .strictObject({
    method: z.literal('time'),
    train: z.strictObject({ from: moment.optional(), before: moment }),
    validation: z.strictObject({ before: moment }),
    test: z.strictObject({ before: moment.optional() }).default({}),
    gap: duration.optional().meta({
      description:
        'Rows of this time after each bound belong to no part, for labels that are known so much later; for example 7d.',
    }),
  })
  .superRefine((split, context) => {
    const bounds: [string, string | undefined][] = [
      ['train.from', split.train.from],
      ['train.before', split.train.before],
      ['validation.before', split.validation.before],
      ['test.before', split.test.before],
    ];
    const known = bounds.flatMap(([path, text]) =>
      text === undefined ? [] : [{ path, at: momentMs(text) }],
    );
    for (const [index, { path, at }] of known.entries()) {
      const issue = (message: string) => context.addIssue({ code: 'custom', path: path.split('.'), message });
      const previous = known[index - 1];
      const gap = split.gap !== undefined && previous?.path !== 'train.from' ? durationMs(split.gap) : 0;
      if (Number.isNaN(at)) issue('the calendar has no such day');
      else if (previous && at <= previous.at + gap)
        issue(`later than split.${previous.path}${gap > 0 ? ` and the gap of ${split.gap}` : ''}`);
    }
  });

const shares = {
  validation: z.number().gt(0).lt(1).default(0.2),
  test: z.number().gt(0).lt(1).default(0.2),
  seed: z
    .number()
    .int()
    .min(0)
    .max(2_147_483_647)
    .optional()
    .meta({ description: 'Another seed gives another split of the same rows.' }),
};
const columns = z
  .union([z.string(), z.array(z.string()).min(1)])
  .transform((value) => (typeof value === 'string' ? [value] : value));

/** By a hash of the entity (or of the whole row where there is none): the same row always falls into the same part. */
export const randomSplit = z.strictObject({ method: z.literal('random'), ...shares });

/**
 * As random, and the shares that each stratum reached are counted. Every row is placed by its own hash, so that it never
 * moves: a stratum of n rows has its share p of a part up to chance, ± 2·√(p(1 − p)/n); no quota is filled up.
 */
export const stratifiedSplit = z.strictObject({
  method: z.literal('stratified'),
  by: columns
    .optional()
    .meta({ description: 'The columns whose values are the strata; by default the target.' }),
  ...shares,
});

/** By a hash of the group: all rows of a group fall into the same part. */
export const groupSplit = z.strictObject({
  method: z.literal('group'),
  by: columns.meta({ description: 'The columns that name the group, for example customer_id.' }),
  ...shares,
});

export const splitSpec = z
  .discriminatedUnion('method', [timeSplit, randomSplit, stratifiedSplit, groupSplit])
  .refine((split) => split.method === 'time' || split.validation + split.test < 1, {
    error: 'validation and test together stay below 1',
  })
  .default({ method: 'random', validation: 0.2, test: 0.2 });
export type SplitSpec = z.infer<typeof splitSpec>;
