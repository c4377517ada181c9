import { z } from 'zod';
import { aggregate } from './serving.ts';

/** A view as the engine works with it. */
export const viewPlan = z.strictObject({
  name: z.string(),
  /** One SELECT over the sources: key of the entity, time in microseconds of Unix time, and one column for each value. */
  eventsSql: z.string(),
  entity: z.array(z.string()).min(1),
  /** How many values an event has. */
  values: z.number().int().positive(),
  /** In microseconds. */
  windows: z.array(z.number().int().positive()).min(1),
  columns: z.array(
    z.strictObject({
      name: z.string(),
      aggregate,
      /** The place of its value among those of an event. */
      value: z.number().int().nonnegative(),
      /** The place of its window among `windows`. */
      window: z.number().int().nonnegative(),
    }),
  ),
  /** The identity of the definition. */
  digest: z.string(),
});
export type ViewPlan = z.infer<typeof viewPlan>;

/** What the online store holds of a view. */
export const onlineView = z.strictObject({
  /** See `servedView.store`. */
  store: z.string(),
  pipeline: z.string(),
  view: z.string(),
  entity: z.array(z.string()),
  /** The columns that it gives, with their defaults left out. */
  columns: z.array(z.string()),
  /** Events of [from, until) are there, ISO 8601. */
  from: z.string(),
  until: z.string(),
  materializedAt: z.string(),
  events: z.number().int().nonnegative(),
});
export type OnlineView = z.infer<typeof onlineView>;

/** What one materialisation of a view did. */
export const materializedView = onlineView.extend({
  /** Stretches of time whose events had changed, and the records that were written and removed for it. */
  changed: z.number().int().nonnegative(),
  written: z.number().int().nonnegative(),
  removed: z.number().int().nonnegative(),
  seconds: z.number().nonnegative(),
});
export type MaterializedView = z.infer<typeof materializedView>;
