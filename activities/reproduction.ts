import { z } from 'zod';
import { PerennialError } from '../contracts/errors.ts';
import type { ModelLineage } from '../contracts/lineage.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import type { ErasedSince, ReproductionPlan } from '../contracts/reproduction.ts';
import type { LineageActivities } from '../contracts/upkeep-activities.ts';
import { chainOfLineage } from '../domain/reproduction.ts';
import { snapshotFiles } from '../lib/incremental/snapshots.ts';
import { artifactStates } from '../lib/lineage/artifact-states.ts';
import { lineageEnvironment } from '../lib/lineage/environment.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { ActivityDependencies } from './dependencies.ts';
import type { ActivityFrame } from './frame.ts';
import { findOrCreateRun } from './mlflow-runs.ts';
import { runUrl } from './tracking.ts';
import { lineageOfVersion, specOfThen } from './version-lineage.ts';

type OpenInput = Parameters<LineageActivities['openReproduction']>[0];
type CloseInput = Parameters<LineageActivities['closeReproduction']>[0];

/** The tag of the MLflow run of a reproduction: which version it makes again. */
const REPRODUCES_TAG = 'perennial.reproduces';

/**
 * What a version is made again from: its spec, pinned to the snapshots of then, with the one candidate that won, and
 * what the result is held against. All snapshots are read and compared with their digests first: one that is gone ends
 * it at once, with its name.
 *
 * @throws PerennialError `InputInvalid` where there is no such version or it has no lineage, `ArtifactMissing`,
 *   `ArtifactCorrupt`, `ArtifactErased`, `SpecInvalid`
 */
export async function openReproduction(
  deps: ActivityDependencies,
  { modelName, version, startedBy, run }: OpenInput,
  frame: ActivityFrame,
): Promise<ReproductionPlan> {
  const mlflow = deps.mlflow();
  const lineage = await lineageOfVersion(mlflow, modelName, version);
  const store = (await deps.store()).within(await frame.scratch());
  for (const source of lineage.data.sources) await requireSnapshot(store, `${modelName}/${version}`, source);
  const experimentId = await mlflow.experiments.getOrCreate({ name: String(lineage.spec.content.name) });
  const { runId } = await findOrCreateRun(mlflow, experimentId, `${run.workflowId}/${run.runId}`, {
    name: run.workflowId,
    tags: {
      [REPRODUCES_TAG]: `${modelName}/${version}`,
      'perennial.pipeline': String(lineage.spec.content.name),
      'perennial.workflow_id': run.workflowId,
      'perennial.workflow_run_id': run.runId,
      ...(startedBy ? { 'perennial.started_by': startedBy } : {}),
      'mlflow.note.content': `Makes version ${version} of ${modelName} again, from the snapshots of run ${lineage.run.workflowId}.`,
    },
  });
  return {
    spec: { ...pinnedSpec(lineage, `${modelName}/${version}`) },
    tracking: { experimentId, runId, url: runUrl(deps.config.mlflowUi, experimentId, runId) },
    target: {
      chain: chainOfLineage(lineage),
      test: lineage.evaluation.test,
      validation: lineage.evaluation.validation,
      libraries: lineage.training.libraries ?? null,
    },
    erased: await erasedSince(store, lineage),
    environment: { was: lineage.environment, is: await lineageEnvironment(deps.config.python) },
    asOf: lineage.createdAt,
  };
}

/** Writes the verdict into the MLflow run and closes it; without a verdict, that it failed. */
export async function closeReproduction(
  deps: ActivityDependencies,
  { tracking: { runId }, result, status }: CloseInput,
): Promise<void> {
  const mlflow = deps.mlflow();
  if (result) {
    await mlflow.artifacts.upload({
      runId,
      path: 'reproduction.json',
      body: JSON.stringify(result, null, 2),
      contentType: 'application/json',
    });
    await mlflow.runs.logBatch({ runId, tags: { 'perennial.verdict': result.verdict } });
  }
  await mlflow.runs.finish({ runId, status });
}

/** Reads a snapshot as a run would, and says in whose name it cannot be read. */
async function requireSnapshot(
  store: ArtifactStore,
  of: string,
  { name, snapshot: artifact }: { name: string; snapshot: ArtifactRef },
): Promise<void> {
  try {
    await snapshotFiles(store, { artifact });
  } catch (error) {
    if (!(error instanceof PerennialError)) throw error;
    throw new PerennialError(
      error.code,
      `${of} cannot be made again: of source ${name}, ${error.message.replace(/; .*$/s, '')}; bring it back with \`perennial restore\`, or train a new version with \`perennial run\``,
      error.retryable,
      { cause: error },
    );
  }
}

async function erasedSince(store: ArtifactStore, lineage: ModelLineage): Promise<ErasedSince> {
  const { sources } = lineage.data;
  const digests = new Map<string, string[]>();
  for (const { name, snapshot } of sources)
    digests.set(snapshot.sha256, [...(digests.get(snapshot.sha256) ?? []), name]);
  const states = await artifactStates(store, [...digests.keys()]);
  const touched = states.filter(({ certificates }) => certificates.length > 0);
  const certificates = [...new Set(touched.flatMap((state) => state.certificates))];
  return {
    // A certificate is of one person.
    people: certificates.length,
    sources: touched.flatMap(({ sha256 }) => digests.get(sha256) ?? []),
    certificates,
  };
}

/**
 * The spec of then: its sources are their snapshots, and its candidates are the trials that the model is made of, with
 * their parameters, each trained once.
 */
function pinnedSpec(lineage: ModelLineage, of: string): object {
  const { trials } = lineage.training;
  const { content } = lineage.spec;
  const { ensemble, ...training } = trainingOf.parse(content).training;
  const { crossValidation, budget } = training;
  // Folds have iterations of their own, of which the lineage knows nothing: they end by themselves again, unless the
  // time of the search ended them.
  const untimed = crossValidation !== undefined && budget?.time === undefined && budget?.cost === undefined;
  return specOfThen(lineage, of, {
    ...content,
    data: pinned(content.data, lineage),
    candidates: trials.map(({ name, candidate, parameters, iterations }) => ({
      ...candidate,
      ...(trials.length > 1 ? { name } : {}),
      search: false,
      parameters: withoutNull(parameters),
      // Where it was stopped, early or by a budget, it is stopped again.
      ...(untimed ? {} : { maxIterations: Math.max(1, iterations) }),
    })),
    training: {
      ...training,
      ...(trials.length > 1 ? { ensemble: { ...ensemble, size: trials.length } } : {}),
      budget: { trials: trials.length },
    },
  });
}

const trainingOf = z.looseObject({
  training: z.looseObject({
    ensemble: z.looseObject({}).optional(),
    crossValidation: z.looseObject({}).optional(),
    budget: z.looseObject({ time: z.string().optional(), cost: z.number().optional() }).optional(),
  }),
});

/** Parsed specs have no short forms. */
const sourcesOf = z.looseObject({ sources: z.record(z.string(), z.looseObject({})) });

function pinned(data: unknown, lineage: ModelLineage): object {
  const parsed = sourcesOf.parse(data);
  const pins = new Map(lineage.data.sources.map(({ name, snapshot }) => [name, snapshot.sha256]));
  const sources = Object.entries(parsed.sources).map(([name, source]) => [
    name,
    { ...source, pin: pins.get(name) },
  ]);
  return { ...parsed, sources: Object.fromEntries(sources) };
}

/** What a trainer reports as not set is not given. */
const withoutNull = <T>(values: Record<string, T | null>): Record<string, T> =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]): [string, T][] => (value === null ? [] : [[name, value]])),
  );
