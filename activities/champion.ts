import { log } from '@temporalio/activity';
import type { TrackingActivities } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import { loggedModelOf } from '../contracts/lineage.ts';
import { artifactRef, MEDIA_TYPES } from '../contracts/refs.ts';
import {
  type LoadableModel,
  SERVING_FILE,
  servingFile,
  VERSION_TAGS,
} from '../contracts/registered-version.ts';
import { type ServedModel, servedModel } from '../contracts/serving.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import {
  collect,
  type MlflowClient,
  MlflowError,
  type ModelVersion,
} from '../packages/mlflow-client-ts/src/index.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';
import { keyOf } from './mlflow-runs.ts';

/** Aliases that Perennial writes. */
export const ALIASES = { champion: 'champion', challenger: 'challenger' } as const;

const undefinedWhereMissing = (error: unknown): undefined => {
  if (error instanceof MlflowError && error.isNotFound) return undefined;
  throw error;
};

/** The version that an alias names; read by alias, since searches answer stale aliases. */
export const versionByAlias = (
  mlflow: MlflowClient,
  name: string,
  alias: string,
): Promise<ModelVersion | undefined> =>
  mlflow.registeredModels.getByAlias({ name, alias }).catch(undefinedWhereMissing);

/** The version that a run registered; `model-versions/create` is not idempotent, so it is looked for first. */
export async function versionByKey(
  mlflow: MlflowClient,
  name: string,
  key: string,
): Promise<ModelVersion | undefined> {
  const filter = `name = '${name}' AND tags.\`${VERSION_TAGS.key}\` = '${keyOf(key)}'`;
  const [found] = await collect(mlflow.modelVersions.search({ filter, limit: 1 }));
  return found;
}

/**
 * A registered version as something that can be loaded; from the artifact store, or where its bytes are gone there,
 * from MLflow.
 *
 * @returns `undefined` where it was not registered by Perennial
 */
export async function loadableModel(
  mlflow: MlflowClient,
  store: ArtifactStore,
  version: ModelVersion,
): Promise<LoadableModel | undefined> {
  const tag = version.tags[VERSION_TAGS.onnx];
  const modelId = loggedModelOf(version);
  if (!modelId || tag === undefined) return undefined;
  const onnx = artifactRef.parse(JSON.parse(tag));
  if (!(await store.has(onnx)))
    await store.putBytes(
      await mlflow.artifacts.downloadBytes({ modelId, path: 'model.onnx' }),
      MEDIA_TYPES.onnx,
    );
  const serving = await mlflow.artifacts.downloadBytes({ modelId, path: SERVING_FILE });
  const explanation = version.tags[VERSION_TAGS.explanation];
  return {
    version: version.version,
    onnx,
    // Versions that were registered before there was one have none.
    ...(explanation === undefined
      ? {}
      : { explanation: servedModel.shape.explanation.parse(JSON.parse(explanation)) }),
    ...servingFile.parse(JSON.parse(Buffer.from(serving).toString('utf8'))),
  };
}

/** What a server needs of a registered version; `null` where there is none that was made here. */
async function servedVersion(
  deps: ActivityDependencies,
  version: ModelVersion | undefined,
): Promise<ServedModel | null> {
  const model = version && (await loadableModel(deps.mlflow(), await deps.store(), version));
  if (!model) return null;
  const { onnx, signature, views, explanation } = model;
  return {
    version: model.version,
    onnx,
    signature,
    ...(views && { views }),
    ...(explanation && { explanation }),
  };
}

/** Takes the alias `challenger` from a version that is one no longer. */
async function dropChallenger(mlflow: MlflowClient, name: string, version: string): Promise<void> {
  const challenger = await versionByAlias(mlflow, name, ALIASES.challenger);
  if (challenger?.version === version)
    await mlflow.registeredModels.deleteAlias({ name, alias: ALIASES.challenger });
}

/** Activities that move aliases. */
export function aliasActivities(
  deps: ActivityDependencies,
): Pick<
  TrackingActivities,
  | 'setChampion'
  | 'currentChampion'
  | 'registeredVersion'
  | 'championTraining'
  | 'retireCandidate'
  | 'tagVersion'
> {
  return {
    setChampion: framed(deps.config, async ({ modelName: name, version }) => {
      const mlflow = deps.mlflow();
      if (version === null) {
        await mlflow.registeredModels
          .deleteAlias({ name, alias: ALIASES.champion })
          .catch(undefinedWhereMissing);
        return;
      }
      await mlflow.registeredModels.setAlias({ name, alias: ALIASES.champion, version });
      // The alias is the promotion; what only describes it must not undo it.
      try {
        await mlflow.modelVersions.setTag({ name, version, key: VERSION_TAGS.outcome, value: 'deployed' });
        await dropChallenger(mlflow, name, version);
      } catch (error) {
        if (error instanceof MlflowError && error.retryable) throw error;
        log.warn(`version ${version} of ${name} is champion, but its tags could not be written`, { error });
      }
    }),

    currentChampion: framed(deps.config, async ({ modelName }) => ({
      model: await servedVersion(deps, await versionByAlias(deps.mlflow(), modelName, ALIASES.champion)),
    })),

    registeredVersion: framed(deps.config, async ({ modelName: name, version }) => {
      const found = await deps.mlflow().modelVersions.get({ name, version }).catch(undefinedWhereMissing);
      return { model: await servedVersion(deps, found), outcome: found?.tags[VERSION_TAGS.outcome] ?? null };
    }),

    championTraining: framed(deps.config, async ({ modelName }) => {
      const version = await versionByAlias(deps.mlflow(), modelName, ALIASES.champion);
      const tag = version?.tags[VERSION_TAGS.training];
      return {
        champion:
          version && tag !== undefined
            ? { version: version.version, table: artifactRef.parse(JSON.parse(tag)) }
            : null,
      };
    }),

    tagVersion: framed(deps.config, async ({ modelName: name, version, tags }) => {
      const { modelVersions } = deps.mlflow();
      await modelVersions.get({ name, version }).catch((error: unknown) => {
        if (undefinedWhereMissing(error) === undefined)
          throw new PerennialError(
            'TrackerRejected',
            `version ${version} of ${name} is not in the MLflow registry, so that it cannot be tagged; if it was deleted, run the pipeline again`,
          );
      });
      // Setting a tag again changes nothing.
      for (const [key, value] of Object.entries(tags))
        await modelVersions.setTag({ name, version, key, value });
    }),

    retireCandidate: framed(deps.config, async ({ modelName: name, run, version, why }) => {
      const mlflow = deps.mlflow();
      const retired =
        version ?? (await versionByKey(mlflow, name, `${run.workflowId}/${run.runId}`))?.version;
      if (retired === undefined) return;
      await mlflow.modelVersions.setTag({ name, version: retired, key: VERSION_TAGS.outcome, value: why });
      await dropChallenger(mlflow, name, retired);
    }),
  };
}
