import { WorkflowNotFoundError } from '@temporalio/client';
import type { EndpointState } from '../contracts/endpoint.ts';
import { PerennialError } from '../contracts/errors.ts';
import type {
  FeatureActivities,
  FeatureRecord,
  MaterializationResult,
  MaterializedView,
} from '../contracts/feature-store.ts';
import { endpointWorkflowId, featuresScheduleId, QUERIES } from '../contracts/names.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import { type PipelineSpec, pipelineSpec } from '../contracts/spec/pipeline.ts';
import { Suppressions } from '../lib/erasure/suppressions.ts';
import { FeatureRecords, plansBySpec } from '../lib/feature-store/feature-records.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { ensureFeatureSchedule } from './feature-schedule.ts';
import type { ActivityFrame } from './frame.ts';
import { type KeptView, materialized, type ViewSources, viewsOf } from './kept-views.ts';
import { removeSchedule } from './schedule-removal.ts';

type Question = Parameters<FeatureActivities['materializeFeatures']>[0];

/** See {@link FeatureActivities.materializeFeatures}. */
export async function materializeFeatures(
  deps: ActivityDependencies,
  question: Question,
  frame: ActivityFrame,
): Promise<MaterializationResult> {
  const { pipeline, spec, views: wanted } = question;
  const store = await deps.store();
  const records = new FeatureRecords(store.documents);
  const done: MaterializedView[] = [];
  const bring = async (sources: ViewSources, views: readonly KeptView[]): Promise<void> => {
    for (const view of views)
      if (!wanted || wanted.includes(view.plan.name))
        done.push(await materialized(deps, sources, view, question, frame));
  };
  const suppressions = new Suppressions(store);
  const erased = await suppressions.inForce(pipeline);
  let handled: string | undefined;
  if (spec) {
    const specRef = await store.putJson(spec);
    handled = specRef.sha256;
    const { sources, views } = await viewsOf(deps, spec, frame);
    await records.change(pipeline, (record) => withDefinitions(record, spec, specRef, views));
    await bring(sources, views);
    await ensureFeatureSchedule(deps, spec);
  }
  const record = await records.find(pipeline);
  if (!record)
    throw new PerennialError(
      'InputInvalid',
      `no feature views of pipeline ${pipeline} are kept online; run the pipeline with featureViews up to its deployment`,
    );
  const used = await idsInUse(deps, record);
  for (const { specRef, plans } of plansBySpec(record.definitions, used)) {
    if (specRef.sha256 === handled) continue;
    const earlier = pipelineSpec.parse(await store.json(specRef));
    const { sources, views } = await viewsOf(deps, earlier, frame);
    await bring(
      sources,
      views.filter(({ id }) => plans.has(id)),
    );
  }
  requireKnown(wanted, done, record);
  // What was read before somebody was erased may have been written after the store was looked through.
  if ((await suppressions.inForce(pipeline)).join() !== erased.join())
    throw new PerennialError('StageFailed', 'people were erased meanwhile; the sources are read again', true);
  if (used.size === 0) await removeSchedule(deps.client(), featuresScheduleId(pipeline));
  return { views: done, forgotten: await (await deps.features()).forget(pipeline, used) };
}

/** What is on record after a spec came to be deployed. */
function withDefinitions(
  record: FeatureRecord | undefined,
  spec: PipelineSpec,
  specRef: ArtifactRef,
  views: readonly KeptView[],
): FeatureRecord {
  const own = views.map(({ id, plan }) => [id, { plan, specRef }] as const);
  return {
    pipeline: spec.name,
    endpoint: spec.deployment.endpoint,
    current: views.map(({ id }) => id),
    definitions: { ...record?.definitions, ...Object.fromEntries(own) },
  };
}

/** Views of the latest spec, and those that versions with traffic take inputs of. */
async function idsInUse(
  deps: ActivityDependencies,
  { endpoint, current }: FeatureRecord,
): Promise<Set<string>> {
  return new Set([...current, ...(await servedIds(deps, endpoint))]);
}

async function servedIds(deps: ActivityDependencies, endpoint: string): Promise<string[]> {
  try {
    const handle = deps.client().workflow.getHandle(endpointWorkflowId(endpoint));
    const { table } = await handle.query<EndpointState>(QUERIES.endpoint);
    return table.routes.flatMap(({ model }) => (model.views ?? []).map(({ store }) => store));
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw error;
  }
}

function requireKnown(
  wanted: readonly string[] | undefined,
  done: readonly MaterializedView[],
  { definitions }: FeatureRecord,
): void {
  const missing = wanted?.find((name) => !done.some(({ view }) => view === name));
  if (missing === undefined) return;
  const names = [...new Set(Object.values(definitions).map(({ plan }) => plan.name))];
  throw new PerennialError(
    'InputInvalid',
    `there is no view ${missing} that is in use; the views are ${names.join(', ')}`,
  );
}
