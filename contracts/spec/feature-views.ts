import { z } from 'zod';
import { duration, durationMs } from '../durations.ts';
import { identifier } from './sources.ts';

const MAX_VIEWS = 20;
const MAX_ENTITY_COLUMNS = 5;
const MAX_WINDOWS = 10;
const MAX_FEATURES = 50;
/** Of all views: they travel with every stage and every route. */
const MAX_COLUMNS = 200;

const columnName = z.string().min(1).max(200);

/** How a view is kept for the model server. */
const onlineSpec = z.strictObject({
  every: duration
    .default('5m')
    .meta({ description: 'How often the online store takes in new events. Default 5m.' }),
  ttl: duration.optional().meta({
    description:
      'For how long materialised values may be used; older ones count as unavailable. Default: for ever.',
  }),
  unavailable: z.enum(['default', 'refuse']).default('default').meta({
    description:
      'While the store cannot be asked: default answers with the median of the training rows, and says so; refuse answers 503.',
  }),
});

/**
 * Features out of the history of an entity: one definition, from which training gets the values as they were known at
 * the time of each row, and the model server those of now.
 *
 * @example
 * events: SELECT tailnum, arrived, arr_delay FROM arrivals
 * entity: tailnum
 * timestamp: arrived
 * windows: [1h, 7d]
 * features: { delay: avg(arr_delay), flights: count(*) }
 */
export const featureView = z.strictObject({
  events: z.string().min(1).meta({
    description:
      'Exactly one SELECT over data.sources, or the name of a .sql file that holds it (the client inlines it): one row for each event.',
  }),
  entity: z
    .union([columnName.transform((name) => [name]), z.array(columnName).min(1).max(MAX_ENTITY_COLUMNS)])
    .meta({
      description:
        'Whose events these are: columns of the events, and under the same names of the table and of requests. Example: tailnum',
    }),
  timestamp: columnName.meta({
    description: 'Column of the events: when an event became known. Only what was known earlier counts.',
  }),
  windows: z
    .array(duration)
    .min(1)
    .max(MAX_WINDOWS)
    .meta({ description: 'How far back is looked, each for every feature. Example: [1h, 7d]' }),
  features: z.record(identifier, z.string().min(1).max(2_000)).meta({
    description:
      'SQL aggregates over the events of a window: count, sum, avg, min, max, stddev, variance or last (the latest value) of an expression, also with FILTER (WHERE …). Example: { delay: avg(arr_delay) }',
  }),
  online: onlineSpec.prefault({}),
});
export type FeatureView = z.infer<typeof featureView>;

export const featureViewsSpec = z.record(identifier, featureView).default({}).meta({
  description: 'Features out of the history of entities, by name; the columns are <view>_<feature>_<window>.',
});
export type FeatureViews = z.infer<typeof featureViewsSpec>;

/** A column that a view adds to the table. */
export interface ViewColumn {
  /** `<view>_<feature>_<window>` */
  readonly name: string;
  readonly feature: string;
  readonly window: string;
}

/**
 * The columns of a view, in the order of its features and windows.
 *
 * @example viewColumns('tailnum', view).map(({ name }) => name) // ['tailnum_delay_1h', 'tailnum_delay_7d']
 */
export const viewColumns = (name: string, { features, windows }: FeatureView): ViewColumn[] =>
  Object.keys(features).flatMap((feature) =>
    windows.map((window) => ({ name: `${name}_${feature}_${window.replace('.', '_')}`, feature, window })),
  );

/** What is wrong with the views of a spec beyond the shape of each. */
export function featureViewIssues(spec: {
  columns: { timestamp?: string | undefined };
  featureViews: FeatureViews;
}): { path: PropertyKey[]; message: string }[] {
  const names = Object.keys(spec.featureViews);
  if (names.length === 0) return [];
  const issues: { path: PropertyKey[]; message: string }[] = [];
  const issue = (path: PropertyKey[], message: string): void => {
    issues.push({ path: ['featureViews', ...path], message });
  };
  if (names.length > MAX_VIEWS) issue([], `${names.length} views, at most ${MAX_VIEWS}`);
  if (spec.columns.timestamp === undefined)
    issue([], 'what was known at the time of a row hangs on its time: views need columns.timestamp');
  const owners = new Map<string, string>();
  for (const [name, view] of Object.entries(spec.featureViews)) {
    const features = Object.keys(view.features);
    if (features.length === 0 || features.length > MAX_FEATURES)
      issue([name, 'features'], `${features.length} features, between 1 and ${MAX_FEATURES} make a view`);
    if (new Set(view.windows.map(durationMs)).size < view.windows.length)
      issue([name, 'windows'], 'two windows are the same; leave one of them out');
    if (new Set(view.entity).size < view.entity.length)
      issue([name, 'entity'], 'a column is named twice; leave it out once');
    for (const column of viewColumns(name, view)) {
      const owner = owners.get(column.name);
      if (owner !== undefined)
        issue(
          [name],
          `its column ${column.name} is also one of ${owner}; name the view or the feature otherwise`,
        );
      owners.set(column.name, name);
    }
  }
  if (owners.size > MAX_COLUMNS)
    issue(
      [],
      `the views have ${owners.size} columns together, at most ${MAX_COLUMNS}; leave out features or windows`,
    );
  return issues;
}
