import { rm } from 'node:fs/promises';
import {
  type ErasureFindings,
  type FoundRows,
  MAX_LISTED_MODELS,
  type ModelOfPerson,
} from '../contracts/erasure.ts';
import { SEARCH_ATTRIBUTES, WORKFLOW_TYPES } from '../contracts/names.ts';
import type { ArtifactRef } from '../contracts/refs.ts';
import type { ErasureActivities, ErasureStep } from '../contracts/upkeep-activities.ts';
import { ArtifactRows } from '../lib/erasure/artifact-rows.ts';
import { writeCertificate } from '../lib/erasure/certificates.ts';
import {
  forgetPlan,
  isStoredPlan,
  openPlanOf,
  type PlanSteps,
  storePlan,
  takeSteps,
} from '../lib/erasure/open-plan.ts';
import { isStoredRequest, Person } from '../lib/erasure/person.ts';
import type { PersonalStore, SearchTools } from '../lib/erasure/personal-store.ts';
import { PushedRows } from '../lib/erasure/pushed-rows.ts';
import { RowCatalogue } from '../lib/erasure/row-catalogue.ts';
import { Suppressions } from '../lib/erasure/suppressions.ts';
import { type FoundModel, TrainedModels } from '../lib/erasure/trained-models.ts';
import { FeatureRecords } from '../lib/feature-store/feature-records.ts';
import { writtenAnewAside } from '../lib/feature-store/materialize-aside.ts';
import { featureStoreAccess } from '../lib/feature-store/open-feature-store.ts';
import { References } from '../lib/monitoring/references.ts';
import { Secrets } from '../lib/secrets.ts';
import { httpCache } from '../lib/sources/options.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { type MlflowClient, MlflowError } from '../packages/mlflow-client-ts/src/index.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { type ActivityFrame, framed } from './frame.ts';
import { KeptFeatures } from './kept-features.ts';
import { runningOn } from './running-workflows.ts';
import { withDatabase } from './with-database.ts';

/** Running lifecycles that a message names at the most. */
const MAX_RUNNING = 20;
/** The tag of a model version that was trained on somebody who was erased since; its value is the certificate. */
const ERASED_TAG = 'perennial.erasure';
/** What stands in MLflow in place of a copy that showed the person and that nothing took the place of. */
const NOTHING = 'erased\n';

/** Activities that take one person out of all stores. */
export function erasureActivities(deps: ActivityDependencies): ErasureActivities {
  return {
    suppressPerson: framed(deps.config, async ({ request, certificate, at }) => {
      const store = await deps.store();
      const person = await Person.load(store, request, new Secrets(process.env));
      const entries = await new RowCatalogue(store.documents).all();
      const kinds = [...entries.values()].flatMap(({ subject }) => subject);
      await new Suppressions(store).add(person, kinds, certificate, at);
    }),

    planErasure: framed(deps.config, (input, frame) => plan(deps, input, frame)),

    erasePerson: framed(deps.config, async (input, frame) => {
      const store = await deps.store();
      const stores = await storesOf(deps, store, frame);
      const taken = await withTools(frame, (tools) => takeSteps(store, stores, input, tools));
      return { taken };
    }),

    certifyErasure: framed(deps.config, async (facts, frame) => {
      const store = await deps.store();
      const { certificate, complete, findings } = facts;
      // What web addresses answered may hold the person under any pipeline; it can be had again.
      await rm(httpCache(deps.config), { recursive: true, force: true });
      // Files of the feature store keep the bytes of what is deleted.
      if ((await new FeatureRecords(store.documents).all()).length > 0)
        await writtenAnewAside(await featureStoreAccess(deps.config, store), frame.signal);
      // What windows are held against is made anew, of the rows as they are now.
      await new References(store.within(await frame.scratch(), { encrypt: true })).forget();
      await writeCertificate(store, facts);
      const mlflow = deps.mlflow();
      for (const { name, version, aliases } of findings.models)
        if (aliases !== null)
          await mlflow.modelVersions
            .setTag({ name, version, key: ERASED_TAG, value: certificate })
            .catch(unlessGone);
      return { certificate, complete, ...findings };
    }),

    forgetRequest: framed(deps.config, async ({ certificate, artifacts }) => {
      const store = await deps.store();
      // A plan that broke off has to be finished by whoever comes next.
      const open = await openPlanOf(store);
      for (const artifact of artifacts) {
        if (artifact.sha256 === open?.plan.sha256 || !(await isOfErasure(store, artifact))) continue;
        await forgetPlan(store, artifact);
        await store.replace(artifact.sha256, null, { certificate: `${certificate}/request` });
      }
    }),
  };
}

async function plan(
  deps: ActivityDependencies,
  { request, certificate }: ErasureStep,
  frame: ActivityFrame,
): ReturnType<ErasureActivities['planErasure']> {
  const store = await deps.store();
  const person = await Person.load(store, request, new Secrets(process.env));
  const { steps, found, unsearched, models } = await withTools(frame, async (tools) => {
    const artifacts = await artifactRows(deps, store).plan(person, tools);
    const trained = await new TrainedModels(store).of(
      (pipelines) => person.concerns(pipelines),
      artifacts.holds,
    );
    const all = {
      steps: artifacts.steps.map((step): PlanSteps[number] => ({ store: 'artifacts', step })),
      found: [...artifacts.found],
      unsearched: [...artifacts.unsearched, ...trained.unsearched],
      models: trained.models,
    };
    for (const other of await otherStores(deps, store, frame)) {
      const planned = await other.plan(person, tools);
      all.steps.push(...planned.steps.map((step) => ({ store: other.name, step })));
      all.found.push(...planned.found);
      all.unsearched.push(...planned.unsearched);
    }
    return all;
  });
  const pipelines = pipelinesOf(found, models);
  const findings: ErasureFindings = {
    found,
    unsearched,
    pipelines,
    models: await withAliases(deps.mlflow(), models.slice(0, MAX_LISTED_MODELS)),
    modelCount: models.length,
  };
  return {
    plan: await storePlan(store, { certificate, steps }),
    steps: steps.length,
    findings,
    running: await runningLifecycles(deps, pipelines),
  };
}

const pipelinesOf = (found: readonly FoundRows[], models: readonly FoundModel[]): string[] =>
  [
    ...new Set([...found.flatMap(({ pipelines }) => pipelines), ...models.map(({ pipeline }) => pipeline)]),
  ].sort();

/** The aliases that versions have now: whether a model of the person is in production. */
async function withAliases(mlflow: MlflowClient, models: readonly FoundModel[]): Promise<ModelOfPerson[]> {
  const all: ModelOfPerson[] = [];
  for (const model of models) {
    const { name, version } = model;
    const known = await mlflow.modelVersions.get({ name, version }).catch(unlessGone);
    all.push({ ...model, aliases: known ? [...known.aliases] : null });
  }
  return all;
}

/** What reads or keeps rows of these pipelines; one that has just begun does not say yet of which it is. */
async function runningLifecycles(
  { client, config }: ActivityDependencies,
  pipelines: readonly string[],
): Promise<string[]> {
  if (pipelines.length === 0) return [];
  const running: string[] = [];
  const { lifecycle, reproduction, batchScoring, materialization } = WORKFLOW_TYPES;
  for (const type of [lifecycle, reproduction, batchScoring, materialization]) {
    const query = runningOn(config.taskQueue, type);
    for await (const { workflowId, searchAttributes } of client().workflow.list({ query })) {
      const [pipeline] = searchAttributes[SEARCH_ATTRIBUTES.pipeline.name] ?? [];
      if (pipeline === undefined || pipelines.includes(String(pipeline))) running.push(workflowId);
      if (running.length === MAX_RUNNING) return running;
    }
  }
  return running;
}

const artifactRows = (deps: ActivityDependencies, store: ArtifactStore): ArtifactRows =>
  new ArtifactRows(store, async ({ runId, path }, replacement) => {
    await deps.mlflow().artifacts.upload({
      runId,
      path,
      body: replacement ? await store.bytes(replacement) : NOTHING,
      contentType: replacement?.mediaType ?? 'text/plain',
    });
  });

const storesOf = async (
  deps: ActivityDependencies,
  store: ArtifactStore,
  frame: ActivityFrame,
): Promise<PersonalStore[]> => [artifactRows(deps, store), ...(await otherStores(deps, store, frame))];

/** Beside the artifacts. What is kept online follows from all else: it comes last. */
const otherStores = async (
  deps: ActivityDependencies,
  store: ArtifactStore,
  frame: ActivityFrame,
): Promise<PersonalStore[]> => [
  new PushedRows(store),
  ...(await deps.personalStores()),
  new KeptFeatures(deps, frame),
];

const withTools = <T>(frame: ActivityFrame, work: (tools: SearchTools) => Promise<T>): Promise<T> =>
  withDatabase(frame, (database, scratchDir) =>
    work({ database, scratchDir, signal: frame.signal, progress: (done) => frame.report({ done }) }),
  );

/** Whoever starts the workflow could name any artifact as the request. */
async function isOfErasure(store: ArtifactStore, artifact: ArtifactRef): Promise<boolean> {
  if (!(await store.touch(artifact)) || !(await store.isEncrypted(artifact))) return false;
  const value = await store.json(artifact).catch(() => undefined);
  return isStoredRequest(value) || isStoredPlan(value);
}

const unlessGone = (error: unknown): undefined => {
  if (error instanceof MlflowError && error.isNotFound) return undefined;
  throw error;
};
