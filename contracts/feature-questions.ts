import { z } from 'zod';
import { onlineView } from './feature-store.ts';

/** What `perennial features` asks the worker's side. */
export const featuresQuestion = z.discriminatedUnion('ask', [
  z.strictObject({ ask: z.literal('views') }),
  z.strictObject({
    ask: z.literal('values'),
    pipeline: z.string(),
    view: z.string(),
    /** One value for each column of the entity, in their order. */
    key: z.array(z.string()).min(1),
    /** ISO 8601; `null`: now. */
    at: z.string().nullable(),
  }),
]);
export type FeaturesQuestion = z.infer<typeof featuresQuestion>;

/** A view that is, or was, kept online. */
export const knownView = z.object({
  pipeline: z.string(),
  view: z.string(),
  store: z.string(),
  entity: z.array(z.string()),
  columns: z.array(z.object({ name: z.string(), aggregate: z.string(), windowSeconds: z.number() })),
  /** Whether it is of the spec that was deployed last; others are kept while versions with traffic use them. */
  current: z.boolean(),
  /** What the store holds of it; `null`: nothing. */
  online: onlineView.nullable(),
});
export type KnownView = z.infer<typeof knownView>;

export const viewsAnswer = z.object({
  /** Where the store lies, without a password. */
  place: z.string(),
  views: z.array(knownView),
});
export type ViewsAnswer = z.infer<typeof viewsAnswer>;

export const valuesAnswer = z.object({
  view: knownView,
  /** As of when, and up to when the store knows events: ISO 8601. */
  at: z.string(),
  until: z.string(),
  values: z.array(z.object({ name: z.string(), value: z.number().nullable() })),
});
export type ValuesAnswer = z.infer<typeof valuesAnswer>;
