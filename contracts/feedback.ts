import { z } from 'zod';

/** The most that one request or file of feedback may hold; files are read in parts. */
export const FEEDBACK_LIMITS = { records: 10_000, bytes: 10 * 1024 * 1024, metrics: 50 } as const;

/** ISO 8601 with an offset or in UTC; a day alone is its beginning in UTC. */
export const eventMoment = z.union(
  [z.iso.datetime({ offset: true, local: true }), z.iso.date()],
  'expected ISO 8601, such as 2026-11-22T10:00:00Z',
);

/**
 * What turned out to be true: about a row that was predicted, by the id of the request, or about an entity at a time.
 *
 * @example { "requestId": "Qx3f-1a", "row": 0, "label": "yes" }
 * @example { "entity": "customer-17", "at": "2026-11-22T10:00:00Z", "value": 1, "metrics": { "revenue": 12.3 } }
 */
export const feedback = z
  .strictObject({
    requestId: z
      .string()
      .regex(/^[\x21-\x7e]{1,200}$/, 'expected 1 to 200 printable ASCII characters without spaces')
      .nullish()
      .meta({ description: "The id of the request, as the answer's header x-request-id said." }),
    row: z.number().int().min(0).max(1_000_000).nullish().meta({
      description: 'Row of the request, counted from 0; left out: all of its rows.',
    }),
    entity: z.string().min(1).max(500).nullish().meta({
      description: 'Whom or what the prediction was about, as the header perennial-entity said. Needs `at`.',
    }),
    at: eventMoment.nullish().meta({
      description: 'When it was so. Without an offset: UTC.',
    }),
    value: z.union([z.number(), z.boolean()]).nullish().meta({ description: 'The true number.' }),
    label: z
      .union([z.string().max(500), z.boolean()])
      .nullish()
      .meta({ description: 'The true class.' }),
    metrics: z
      .record(z.string().regex(/^\w{1,50}$/, 'expected letters, digits and _'), z.number())
      .refine((metrics) => Object.keys(metrics).length <= FEEDBACK_LIMITS.metrics, 'too many metrics')
      .refine(
        (metrics) =>
          new Set(Object.keys(metrics).map((name) => name.toLowerCase())).size ===
          Object.keys(metrics).length,
        'names of metrics must differ in more than their case',
      )
      .nullish()
      .meta({ description: 'Further numbers, such as the revenue that followed.' }),
  })
  .refine(
    ({ requestId, entity }) => (requestId == null) !== (entity == null),
    'give either requestId or entity',
  )
  .refine(({ entity, at }) => entity == null || at != null, 'an entity needs `at`: the time that it is about')
  .refine(
    ({ value, label, metrics }) => value != null || label != null || Object.keys(metrics ?? {}).length > 0,
    'give a value, a label or metrics',
  );
export type Feedback = z.infer<typeof feedback>;

/** What feedback is answered with. */
export const feedbackAnswer = z.strictObject({ endpoint: z.string(), accepted: z.number().int() });
export type FeedbackAnswer = z.infer<typeof feedbackAnswer>;
