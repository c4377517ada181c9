import { durationMs } from '../../contracts/durations.ts';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import type { ModelSignature, ServedView } from '../../contracts/serving.ts';
import type { FeatureViews } from '../../contracts/spec/feature-views.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { storeIdOf } from './stored-view.ts';

/** What {@link servedViews} reads. */
export interface TrainedOn {
  readonly pipeline: string;
  readonly featureViews: FeatureViews;
  readonly plans: readonly ViewPlan[];
  readonly signature: ModelSignature;
  /** The training rows as a Parquet file. */
  readonly trainPath: string;
}

/**
 * The views that a model takes inputs of, each input with the median of its training rows: what stands in for it while
 * the online store cannot be asked.
 *
 * @returns without the columns that the model does not use, and without views of which it uses none
 */
export async function servedViews(
  database: Database,
  { pipeline, featureViews, plans, signature, trainPath }: TrainedOn,
): Promise<ServedView[]> {
  const inputs = new Set(signature.inputs.map(({ name }) => name));
  const used = plans
    .map((plan) => ({ plan, columns: plan.columns.filter(({ name }) => inputs.has(name)) }))
    .filter(({ columns }) => columns.length > 0);
  const names = used.flatMap(({ columns }) => columns.map(({ name }) => name));
  if (names.length === 0) return [];
  const medians = await database.row(
    `SELECT ${names.map((name) => `median(${quoteIdent(name)}) AS ${quoteIdent(name)}`).join(', ')} FROM read_parquet(${quoteLiteral(trainPath)})`,
  );
  return used.map(({ plan, columns }): ServedView => {
    const { ttl, unavailable = 'default' } = featureViews[plan.name]?.online ?? {};
    return {
      name: plan.name,
      store: storeIdOf(pipeline, plan),
      entity: plan.entity,
      values: plan.values,
      columns: columns.map(({ name, aggregate, value, window }) => {
        const median = medians[name];
        return {
          input: name,
          aggregate,
          value,
          window: plan.windows[window] ?? 0,
          default: typeof median === 'number' ? median : null,
        };
      }),
      ttlMs: ttl === undefined ? null : durationMs(ttl),
      unavailable,
    };
  });
}
