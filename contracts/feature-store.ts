import { z } from 'zod';

/**
 * Where the values of a view in a row of a request came from: the online store; the request itself; nowhere, since the
 * row has no key; the defaults, since the store could not be asked; or the request was refused for that. Records have
 * the place in this list: add at the end, never change the order.
 */
export const FEATURE_SOURCES = ['looked_up', 'given', 'without_key', 'default', 'refused'] as const;
export type FeatureSource = (typeof FEATURE_SOURCES)[number];

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
