import { z } from 'zod';
import { artifactRef } from './refs.ts';
import { aggregate, columnDefinition } from './serving.ts';
import type { PipelineSpec } from './spec/pipeline.ts';

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
      definition: columnDefinition,
    }),
  ),
  /** The identity of the definition. */
  digest: z.string(),
});
export type ViewPlan = z.infer<typeof viewPlan>;

/**
 * Where the values of a view in a row of a request came from: the online store; the request itself; nowhere, since the
 * row has no key; the defaults, since the store could not be asked; or the request was refused for that. Records have
 * the place in this list: add at the end, never change the order.
 */
export const FEATURE_SOURCES = ['looked_up', 'given', 'without_key', 'default', 'refused'] as const;
export type FeatureSource = (typeof FEATURE_SOURCES)[number];

/** For when values of views are joined with rows: their column that says it, or one moment for all, ISO 8601. */
export const joinMoment = z.union([
  z.strictObject({ column: z.string() }),
  z.strictObject({ at: z.iso.datetime() }),
]);
export type JoinMoment = z.infer<typeof joinMoment>;

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

/** The argument of workflow type `materialization`. */
export const materializationInput = z.strictObject({
  pipeline: z.string().min(1),
  /** Names of views; default: all. */
  views: z.array(z.string()).min(1).optional(),
  /**
   * From when on events are kept, ISO 8601, where that is earlier than the windows need; `null` goes back to what they
   * need. Left out, it stays as it was.
   */
  from: z.iso.datetime({ offset: true }).nullable().optional(),
  /** Up to when events count, ISO 8601; default: when the workflow was meant to start. */
  until: z.iso.datetime({ offset: true }).optional(),
});
export type MaterializationInput = z.infer<typeof materializationInput>;

/** What a materialisation did, and ids of views that nobody uses any more and that are gone. */
export const materializationResult = z.strictObject({
  views: z.array(materializedView),
  forgotten: z.array(z.string()),
});
export type MaterializationResult = z.infer<typeof materializationResult>;

/** The views of a pipeline that are kept online: a document in the artifact store. */
export const featureRecord = z.strictObject({
  pipeline: z.string(),
  endpoint: z.string(),
  /** Ids of the views that are kept up to date whoever uses them: those of the latest candidate or version. */
  current: z.array(z.string()),
  /** Each definition that there ever was, by its id in the store, and the spec that has it. */
  definitions: z.record(z.string(), z.strictObject({ plan: viewPlan, specRef: artifactRef })),
});
export type FeatureRecord = z.infer<typeof featureRecord>;

/** Activities of the online feature store. */
export interface FeatureActivities {
  /**
   * Brings the views of a pipeline up to date in the online store: those of the spec that was deployed last, and those
   * that versions with traffic use; views that nobody uses are deleted.
   *
   * @param input.spec of a candidate: from now on its views are kept, by a schedule
   */
  materializeFeatures(
    input: Omit<MaterializationInput, 'until'> & { until: string; spec?: PipelineSpec },
  ): Promise<MaterializationResult>;
}
