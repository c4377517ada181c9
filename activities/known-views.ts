import type { ViewPlan } from '../contracts/feature-store.ts';
import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { JoinJob } from '../lib/feature-store/join-job.ts';
import { storeIdOf } from '../lib/feature-store/stored-view.ts';
import { planView } from '../lib/feature-store/view-plan.ts';
import { snapshotRelation } from '../lib/incremental/snapshots.ts';
import { PersonalColumns } from '../lib/privacy/personal-columns.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { viewSources } from './view-sources.ts';
import { withDatabase } from './with-database.ts';

/** A view of a spec, and what the online store knows it by. */
export interface KnownView {
  id: string;
  plan: ViewPlan;
  /** Whether its events have columns that the spec names as personal. */
  personal: boolean;
}

/** The views of a spec, and the files of the sources that their events come from. */
export async function knownViews(
  deps: ActivityDependencies,
  spec: PipelineSpec,
  frame: ActivityFrame,
): Promise<{ sources: JoinJob['sources']; known: KnownView[] }> {
  const sources = await viewSources(deps, spec, frame);
  const personal = new PersonalColumns(spec.privacy);
  const known = await withDatabase(
    frame,
    async (database) => {
      for (const { name, files } of sources) await database.view(name, snapshotRelation(files));
      const views: KnownView[] = [];
      for (const [name, view] of Object.entries(spec.featureViews)) {
        const plan = await planView(database, name, view);
        const columns = await database.columns(`(${view.events}\n)`);
        views.push({
          id: storeIdOf(spec.name, plan),
          plan,
          personal: personal.among(columns, []).length > 0,
        });
      }
      return views;
    },
    sources.flatMap(({ files }) => files),
  );
  return { sources, known };
}
