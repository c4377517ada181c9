import { join } from 'node:path';
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
import { FeatureRecords } from '../lib/feature-store/feature-records.ts';
import { materializedAside } from '../lib/feature-store/materialize-aside.ts';
import type { MaterializeJob } from '../lib/feature-store/materialize-job.ts';
import { featureStoreAccess } from '../lib/feature-store/open-feature-store.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { ensureFeatureSchedule } from './feature-schedule.ts';
import type { ActivityFrame } from './frame.ts';
import { type KnownView, knownViews } from './known-views.ts';
import { removeSchedule } from './schedule-removal.ts';

type Question = Parameters<FeatureActivities['materializeFeatures']>[0];

/** Files of each source by its name. */
type Sources = MaterializeJob['sources'];

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
  let handled: string | undefined;
  if (spec) {
    const specRef = await store.putJson(spec);
    handled = specRef.sha256;
    const { sources, known } = await knownViews(deps, spec, frame);
    await records.change(pipeline, (record) => withDefinitions(record, spec, specRef, known));
    done.push(...(await materialized(deps, sources, known, question, frame)));
    await ensureFeatureSchedule(deps, spec);
  }
  const record = await records.find(pipeline);
  if (!record)
    throw new PerennialError(
      'InputInvalid',
      `no feature views of pipeline ${pipeline} are kept online; run the pipeline with featureViews up to its deployment`,
    );
  const used = await idsInUse(deps, record);
  for (const { specRef, ids } of bySpec(record, used).values()) {
    if (specRef.sha256 === handled) continue;
    const earlier = pipelineSpec.parse(await store.json(specRef));
    const { sources, known } = await knownViews(deps, earlier, frame);
    const still = known.filter(({ id }) => ids.has(id));
    done.push(...(await materialized(deps, sources, still, question, frame)));
  }
  requireKnown(wanted, done, record);
  if (used.size === 0) await removeSchedule(deps.client(), featuresScheduleId(pipeline));
  return { views: done, forgotten: await (await deps.features()).forget(pipeline, used) };
}

/** Brings views up to date, one after the other. */
async function materialized(
  deps: ActivityDependencies,
  sources: Sources,
  views: readonly KnownView[],
  { pipeline, views: wanted, from, until }: Question,
  frame: ActivityFrame,
): Promise<MaterializedView[]> {
  const access = await featureStoreAccess(deps.config, await deps.store());
  const spillDir = join(await frame.scratch(), 'features-spill');
  const done: MaterializedView[] = [];
  for (const { plan, personal } of views) {
    if (wanted && !wanted.includes(plan.name)) continue;
    const job = {
      ...{ plan, sources, access, pipeline, until: Date.parse(until), personal, spillDir },
      ...(from === undefined ? {} : { from: from === null ? null : Date.parse(from) }),
      ...(frame.duckdbMemory === undefined ? {} : { memoryLimit: frame.duckdbMemory }),
    };
    done.push(
      await materializedAside(job, frame.signal, (complete, changed) =>
        frame.report({ view: plan.name, complete, changed }),
      ),
    );
  }
  return done;
}

/** What is on record after a spec came to be deployed. */
function withDefinitions(
  record: FeatureRecord | undefined,
  spec: PipelineSpec,
  specRef: ArtifactRef,
  known: readonly KnownView[],
): FeatureRecord {
  const own = known.map(({ id, plan }) => [id, { plan, specRef }] as const);
  return {
    pipeline: spec.name,
    endpoint: spec.deployment.endpoint,
    current: known.map(({ id }) => id),
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

/** Ids in use by the spec that has them. */
function bySpec(
  { definitions }: FeatureRecord,
  used: ReadonlySet<string>,
): Map<string, { specRef: ArtifactRef; ids: Set<string> }> {
  const found = new Map<string, { specRef: ArtifactRef; ids: Set<string> }>();
  for (const id of used) {
    const specRef = definitions[id]?.specRef;
    if (!specRef) continue;
    const { ids } = found.get(specRef.sha256) ?? { ids: new Set() };
    found.set(specRef.sha256, { specRef, ids: ids.add(id) });
  }
  return found;
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
