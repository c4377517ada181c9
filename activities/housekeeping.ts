import type { Client } from '@temporalio/client';
import type { HousekeepingActivities } from '../contracts/activities.ts';
import { artifactDigests } from '../contracts/artifact-digests.ts';
import { durationMs } from '../contracts/durations.ts';
import { endpointWorkflowId, QUERIES, WORKFLOW_TYPES } from '../contracts/names.ts';
import { garbage, isGarbage } from '../domain/garbage.ts';
import { RunManifests } from '../lib/store/run-manifests.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';
import { removeDeadScratch } from './scratch.ts';

/** Queries that answer with all artifacts that a running workflow refers to. */
const IN_USE: readonly { type: string; queries: readonly string[] }[] = [
  { type: WORKFLOW_TYPES.lifecycle, queries: [QUERIES.outputs, QUERIES.input] },
  { type: WORKFLOW_TYPES.endpoint, queries: [QUERIES.endpoint] },
];

/** Deletes what failed and cancelled runs left behind. */
export function housekeepingActivities(deps: ActivityDependencies): HousekeepingActivities {
  return {
    collectGarbage: framed(deps.config, async (policy) => {
      const store = await deps.store();
      const manifests = new RunManifests(store.root);
      // Blobs before references: what comes into being meanwhile is not in the list, so it cannot be deleted.
      const blobs = await store.blobs();
      const asOf = Date.now();
      const inUse = await digestsInUse(deps.client());
      const runs = await manifests.all();
      const keep = { failedRuns: durationMs(policy.keepFailedRuns), unnamed: durationMs(policy.keepUnnamed) };
      const doomed = garbage(blobs, runs, inUse, keep, asOf);
      const deleted: typeof doomed = [];
      for (const blob of doomed)
        if (await store.remove(blob.sha256, { untouchedSince: blob.touchedAt })) deleted.push(blob);
      const forgotten = runs.filter((run) => isGarbage(run, keep, asOf));
      for (const run of forgotten) await manifests.remove(run);
      await removeDeadScratch(deps.config);
      return {
        deletedArtifacts: deleted.length,
        deletedBytes: deleted.reduce((sum, blob) => sum + blob.bytes, 0),
        keptArtifacts: blobs.length - deleted.length,
        forgottenRuns: forgotten.length,
      };
    }),
  };
}

/** What running workflows name. One that cannot be asked stops the collection: nothing is deleted on a guess. */
async function digestsInUse({ workflow: workflows }: Client): Promise<Set<string>> {
  const digests = new Set<string>();
  for (const { type, queries } of IN_USE)
    for await (const { workflowId, runId } of workflows.list({
      query: `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`,
    })) {
      // Another team's workflow type may have the same name; ours have ids of their own.
      if (type === WORKFLOW_TYPES.endpoint && !workflowId.startsWith(endpointWorkflowId(''))) continue;
      for (const query of queries)
        for (const digest of artifactDigests(await workflows.getHandle(workflowId, runId).query(query)))
          digests.add(digest);
    }
  return digests;
}
