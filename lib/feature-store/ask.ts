import { PerennialError } from '../../contracts/errors.ts';
import type {
  FeaturesQuestion,
  KnownView,
  ValuesAnswer,
  ViewsAnswer,
} from '../../contracts/feature-questions.ts';
import type { FeatureRecord, OnlineView, ViewPlan } from '../../contracts/feature-store.ts';
import { nearest } from '../../contracts/issues.ts';
import type { PerennialConfig } from '../config.ts';
import { openStore } from '../store/open-store.ts';
import { keyOf } from './entity-key.ts';
import { FeatureRecords } from './feature-records.ts';
import type { OnlineFeatures } from './online-features.ts';
import { OnlineStoreError } from './online-store.ts';
import { openFeatureStore } from './open-feature-store.ts';
import { plannedView } from './served-views.ts';

/**
 * Answers one question about the features that are kept online.
 *
 * @throws PerennialError `InputInvalid` where there is no such view, or the key does not fit it; `FeaturesUnavailable`
 */
export async function askFeatures(
  config: PerennialConfig,
  question: FeaturesQuestion,
): Promise<ViewsAnswer | ValuesAnswer> {
  const artifacts = await openStore(config);
  const records = await new FeatureRecords(artifacts.documents).all();
  try {
    const store = await openFeatureStore(config, artifacts);
    try {
      const views = knownViews(records, await store.views());
      return question.ask === 'views'
        ? { place: store.backend.place, views }
        : await valuesOf(store, records, views, question);
    } finally {
      await store.close();
    }
  } catch (error) {
    if (!(error instanceof OnlineStoreError)) throw error;
    throw new PerennialError('FeaturesUnavailable', error.message, true, { cause: error });
  }
}

function knownViews(records: readonly FeatureRecord[], online: readonly OnlineView[]): KnownView[] {
  return records.flatMap(({ pipeline, current: latest, definitions }) =>
    Object.entries(definitions)
      .map(([store, { plan }]): KnownView => {
        const current = latest.includes(store);
        return {
          pipeline,
          view: plan.name,
          store,
          entity: plan.entity,
          columns: plan.columns.map(({ name, aggregate, window }) => ({
            name,
            aggregate,
            windowSeconds: (plan.windows[window] ?? 0) / 1e6,
          })),
          current,
          online: online.find((view) => view.store === store) ?? null,
        };
      })
      // Of definitions that nobody uses nothing is left to show.
      .filter((view) => view.current || view.online !== null),
  );
}

async function valuesOf(
  store: OnlineFeatures,
  records: readonly FeatureRecord[],
  views: readonly KnownView[],
  { pipeline, view: name, key, at }: Extract<FeaturesQuestion, { ask: 'values' }>,
): Promise<ValuesAnswer> {
  const found = views.filter((view) => view.pipeline === pipeline && view.view === name);
  const view = found.find(({ current }) => current) ?? found[0];
  const plan = view && planOf(records, view);
  if (!view || !plan) throw unknown(views, pipeline, name);
  if (key.length !== view.entity.length)
    throw new PerennialError(
      'InputInvalid',
      `${pipeline}/${name} is looked up by ${view.entity.join(', ')}: expected ${view.entity.length} value(s), got ${key.length}`,
    );
  const moment = at === null ? Date.now() : Date.parse(at);
  const { values, until } = await store.lookUp(plannedView(view.store, plan), [keyOf(key)], moment);
  return {
    view,
    at: new Date(moment).toISOString(),
    until: new Date(until).toISOString(),
    values: plan.columns.map((column, index) => {
      const value = values[index] ?? Number.NaN;
      return { name: column.name, value: Number.isNaN(value) ? null : value };
    }),
  };
}

const planOf = (records: readonly FeatureRecord[], { pipeline, store }: KnownView): ViewPlan | undefined =>
  records.find((record) => record.pipeline === pipeline)?.definitions[store]?.plan;

function unknown(views: readonly KnownView[], pipeline: string, name: string): PerennialError {
  const names = [...new Set(views.map((view) => `${view.pipeline} ${view.view}`))];
  const hint = nearest(`${pipeline} ${name}`, names);
  return new PerennialError(
    'InputInvalid',
    `no view ${name} of pipeline ${pipeline} is kept online${hint ? `; did you mean ${hint}?` : ''}${names.length > 0 ? ` The views are ${names.join(', ')}` : '; a pipeline with featureViews that was deployed has some'}`,
  );
}
