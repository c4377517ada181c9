import { join } from 'node:path';
import type { MaterializationInput, MaterializedView, ViewPlan } from '../contracts/feature-store.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import { materializedAside } from '../lib/feature-store/materialize-aside.ts';
import type { MaterializeJob } from '../lib/feature-store/materialize-job.ts';
import { featureStoreAccess } from '../lib/feature-store/open-feature-store.ts';
import { storeIdOf } from '../lib/feature-store/stored-view.ts';
import { planView } from '../lib/feature-store/view-plan.ts';
import { snapshotRelation } from '../lib/incremental/snapshots.ts';
import { PersonalColumns } from '../lib/privacy/personal-columns.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { viewSources } from './view-sources.ts';
import { withDatabase } from './with-database.ts';

/** Files of each source by its name. */
export type ViewSources = MaterializeJob['sources'];

/** A view of a spec, and what the online store knows it by. */
export interface KeptView {
  readonly id: string;
  readonly plan: ViewPlan;
  /** Whether its records are encrypted. */
  readonly personal: boolean;
}

/** The views of a spec, and the files of the sources that their events come from, as they are now. */
export async function viewsOf(
  deps: ActivityDependencies,
  spec: PipelineSpec,
  frame: ActivityFrame,
): Promise<{ sources: ViewSources; views: KeptView[] }> {
  const sources = await viewSources(deps, spec, frame);
  const personal = new PersonalColumns(spec.privacy);
  const views = await withDatabase(
    frame,
    async (database) => {
      for (const { name, files } of sources) await database.view(name, snapshotRelation(files));
      const found: KeptView[] = [];
      for (const [name, view] of Object.entries(spec.featureViews)) {
        const plan = await planView(database, name, view);
        const columns = await database.columns(`(${view.events}\n)`);
        found.push({
          id: storeIdOf(spec.name, plan),
          plan,
          // Where rows are about people, so are their events, whether they name them or not.
          personal: spec.privacy.subject.length > 0 || personal.among(columns, []).length > 0,
        });
      }
      return found;
    },
    sources.flatMap(({ files }) => files),
  );
  return { sources, views };
}

/** Brings one view of a pipeline up to date in the online store, out of these files. */
export async function materialized(
  deps: ActivityDependencies,
  sources: ViewSources,
  { plan, personal }: KeptView,
  { pipeline, from, until }: Pick<MaterializationInput, 'pipeline' | 'from'> & { until: string },
  frame: ActivityFrame,
): Promise<MaterializedView> {
  const job: MaterializeJob = {
    plan,
    sources,
    access: await featureStoreAccess(deps.config, await deps.store()),
    pipeline,
    until: Date.parse(until),
    personal,
    spillDir: join(await frame.scratch(), 'features-spill'),
    ...(from === undefined ? {} : { from: from === null ? null : Date.parse(from) }),
    ...(frame.duckdbMemory === undefined ? {} : { memoryLimit: frame.duckdbMemory }),
  };
  return materializedAside(job, frame.signal, (complete, changed) =>
    frame.report({ view: plan.name, complete, changed }),
  );
}
