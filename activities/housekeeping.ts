import type { Client } from '@temporalio/client';
import { artifactDigests } from '../contracts/artifact-digests.ts';
import { backtestProgress } from '../contracts/backtest.ts';
import { durationMs } from '../contracts/durations.ts';
import {
  endpointWorkflowId,
  eventLogWorkflowId,
  QUERIES,
  reproductionWorkflowId,
  retrainingWorkflowId,
  WORKFLOW_TYPES,
} from '../contracts/names.ts';
import type { HousekeepingActivities } from '../contracts/upkeep-activities.ts';
import { garbage, isGarbage } from '../domain/garbage.ts';
import { StepCache } from '../lib/cache/step-cache.ts';
import { openPlanOf } from '../lib/erasure/open-plan.ts';
import { RowCatalogue } from '../lib/erasure/row-catalogue.ts';
import { EventManifests } from '../lib/events/event-manifests.ts';
import { FEATURES } from '../lib/feature-store/feature-records.ts';
import { incrementalHeads } from '../lib/incremental/heads.ts';
import { MONITORING } from '../lib/monitoring/monitor-records.ts';
import { compactPredictions } from '../lib/predictions/compaction.ts';
import { removeExpiredPredictions } from '../lib/predictions/retention.ts';
import { removeDeadScratch } from '../lib/scratch.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { documentsBelow } from '../lib/store/documents.ts';
import { halfWrittenBefore } from '../lib/store/open-store.ts';
import { RunManifests } from '../lib/store/run-manifests.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';

/** Queries that answer with all artifacts that a running workflow refers to. */
const IN_USE: readonly { type: string; queries: readonly string[] }[] = [
  { type: WORKFLOW_TYPES.lifecycle, queries: [QUERIES.outputs, QUERIES.input] },
  { type: WORKFLOW_TYPES.reproduction, queries: [QUERIES.outputs] },
  { type: WORKFLOW_TYPES.endpoint, queries: [QUERIES.endpoint] },
  { type: WORKFLOW_TYPES.eventLog, queries: [QUERIES.batches] },
  { type: WORKFLOW_TYPES.batchScoring, queries: [QUERIES.outputs] },
  { type: WORKFLOW_TYPES.retraining, queries: [QUERIES.retraining] },
];

/** Another team's workflow type may have the same name; ours have ids of their own. */
const ID_PREFIX: Readonly<Record<string, string>> = {
  [WORKFLOW_TYPES.endpoint]: endpointWorkflowId(''),
  [WORKFLOW_TYPES.eventLog]: eventLogWorkflowId(''),
  [WORKFLOW_TYPES.reproduction]: reproductionWorkflowId(''),
  [WORKFLOW_TYPES.retraining]: retrainingWorkflowId(''),
};

/** Deletes what failed and cancelled runs left behind. */
export function housekeepingActivities(deps: ActivityDependencies): HousekeepingActivities {
  return {
    collectGarbage: framed(deps.config, async (policy, frame) => {
      const store = await deps.store();
      const manifests = new RunManifests(store.documents);
      // Blobs before references: what comes into being meanwhile is not in the list, so it cannot be deleted.
      const stored = await store.blobs();
      const asOf = Date.now();
      const began = await firstBacktest(deps.client());
      const blobs = stored.filter(({ touchedAt }) => touchedAt < began);
      const named = await digestsInUse(deps.client());
      for (const digest of await digestsKeptForGood(store)) named.add(digest);
      const open = await openPlanOf(store);
      if (open) named.add(open.plan.sha256);
      const cached = await new StepCache(store).collect(
        durationMs(policy.keepCache),
        asOf,
        new Set(stored.map(({ sha256 }) => sha256)),
      );
      for (const digest of cached.needed) named.add(digest);
      // What took the place of something erased is named by the references to the old one.
      const followed = await store.erasures.followed();
      const inUse = followed(named);
      const runs = (await manifests.all()).map((run) => ({
        ...run,
        artifacts: [...followed(run.artifacts)],
      }));
      const keep = { failedRuns: durationMs(policy.keepFailedRuns), unnamed: durationMs(policy.keepUnnamed) };
      const doomed = garbage(blobs, runs, inUse, keep, asOf);
      const deleted: typeof doomed = [];
      for (const blob of doomed)
        if (await store.remove(blob.sha256, { untouchedSince: blob.touchedAt })) deleted.push(blob);
      const forgotten = runs.filter((run) => isGarbage(run, keep, asOf));
      for (const run of forgotten) await manifests.remove(run);
      const catalogue = new RowCatalogue(store.documents);
      for (const { sha256 } of deleted) await catalogue.forget(sha256, (artifact) => store.touch(artifact));
      await store.sweep(halfWrittenBefore(asOf));
      await removeDeadScratch(deps.config.dataDir);
      await removeExpiredPredictions(deps.config, asOf);
      await compactPredictions(deps.config, { asOf, signal: frame.signal });
      return {
        deletedArtifacts: deleted.length,
        deletedBytes: deleted.reduce((sum, blob) => sum + blob.bytes, 0),
        keptArtifacts: stored.length - deleted.length,
        forgottenRuns: forgotten.length,
        forgottenResults: cached.removed,
      };
    }),
  };
}

/**
 * All rows that an event log or an incremental source ever took: they are the data of every run to come. And what the
 * watching of endpoints refers to: specs, reports of the trend, pictures of alerts, references.
 */
async function digestsKeptForGood(store: ArtifactStore): Promise<Set<string>> {
  const digests = new Set<string>();
  const manifests = new EventManifests(store, store.documents);
  for await (const { manifest } of manifests.heads()) {
    if (manifest === null) continue;
    digests.add(manifest.sha256);
    for (const digest of await manifests.artifacts(manifest)) digests.add(digest);
  }
  for await (const head of incrementalHeads(store.documents))
    for (const digest of artifactDigests(head)) digests.add(digest);
  for (const below of [MONITORING, FEATURES])
    for await (const { value } of documentsBelow(store.documents, below))
      for (const digest of artifactDigests(value)) digests.add(digest);
  return digests;
}

/** Between the clock of the store and that of Temporal. */
const CLOCKS_DIFFER_MS = 60_000;

/**
 * When the first of the running back-tests began. What it makes is named by files that name one another, not by its
 * history: whatever was written or read since may be of it.
 */
async function firstBacktest({ workflow: workflows }: Client): Promise<number> {
  let began = Number.POSITIVE_INFINITY;
  for await (const { workflowId, runId } of workflows.list({
    query: `WorkflowType = '${WORKFLOW_TYPES.backtest}' AND ExecutionStatus = 'Running'`,
  })) {
    const answer = await workflows.getHandle(workflowId, runId).query(QUERIES.progress);
    const ours = backtestProgress.safeParse(answer).data;
    if (ours) began = Math.min(began, Date.parse(ours.began) - CLOCKS_DIFFER_MS);
  }
  return began;
}

/** What running workflows name. One that cannot be asked stops the collection: nothing is deleted on a guess. */
async function digestsInUse({ workflow: workflows }: Client): Promise<Set<string>> {
  const digests = new Set<string>();
  for (const { type, queries } of IN_USE)
    for await (const { workflowId, runId } of workflows.list({
      query: `WorkflowType = '${type}' AND ExecutionStatus = 'Running'`,
    })) {
      if (!workflowId.startsWith(ID_PREFIX[type] ?? '')) continue;
      for (const query of queries)
        for (const digest of artifactDigests(await workflows.getHandle(workflowId, runId).query(query)))
          digests.add(digest);
    }
  return digests;
}
