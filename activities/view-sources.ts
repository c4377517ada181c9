import type { PipelineSpec } from '../contracts/spec/pipeline.ts';
import type { JoinJob } from '../lib/feature-store/join-job.ts';
import { snapshotFiles } from '../lib/incremental/snapshots.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { takenSources } from './taken-sources.ts';

/** Files of the sources that the events of a spec's feature views come from, as they are now. */
export async function viewSources(
  deps: ActivityDependencies,
  spec: PipelineSpec,
  frame: ActivityFrame,
): Promise<JoinJob['sources']> {
  const sql = Object.values(spec.featureViews).map(({ events }) => events);
  const named = (source: string): boolean => sql.some((text) => new RegExp(`\\b${source}\\b`).test(text));
  const taken = await takenSources(deps, { spec, cache: { mode: 'use' } }, frame, named);
  const store = (await deps.store()).within(await frame.scratch());
  const sources: JoinJob['sources'] = [];
  for (const { name, snapshot } of taken) sources.push({ name, files: await snapshotFiles(store, snapshot) });
  return sources;
}
