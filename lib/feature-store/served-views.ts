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
      ...plannedView(storeIdOf(pipeline, plan), { ...plan, columns }, (name) => medians[name]),
      ttlMs: ttl === undefined ? null : durationMs(ttl),
      unavailable,
    };
  });
}

/** A view as it is looked up. @param store its id in the store, @param standIn what stands in for a column */
export const plannedView = (
  store: string,
  { name, entity, values, windows, columns }: ViewPlan,
  standIn: (column: string) => unknown = () => null,
): ServedView => ({
  name,
  store,
  entity,
  values,
  columns: columns.map((column) => {
    const other = standIn(column.name);
    return {
      input: column.name,
      aggregate: column.aggregate,
      value: column.value,
      window: windows[column.window] ?? 0,
      default: typeof other === 'number' ? other : null,
      ...(column.definition === undefined ? {} : { definition: column.definition }),
    };
  }),
  ttlMs: null,
  unavailable: 'default',
});
