import { z } from 'zod';
import type { TrackingActivities } from '../contracts/activities.ts';
import { artifactRef, MEDIA_TYPES } from '../contracts/refs.ts';
import { modelSignature, type ServedModel } from '../contracts/serving.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { type MlflowClient, MlflowError, type ModelVersion } from '../packages/mlflow-client-ts/src/index.ts';
import type { ActivityDependencies } from './dependencies.ts';
import { framed } from './frame.ts';

/** Aliases that Perennial writes. */
export const ALIASES = { champion: 'champion', challenger: 'challenger' } as const;

/** Tags of a model version that say what is served. */
export const VERSION_TAGS = {
  key: 'perennial.key',
  onnx: 'perennial.onnx',
  outcome: 'perennial.outcome',
} as const;

/** The file in the model directory that tells a server what the graph's inputs and outputs are. */
export const SERVING_FILE = 'serving.json';

/** What {@link SERVING_FILE} holds. */
export const servingFile = z.object({ signature: modelSignature });

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

/**
 * The champion of a registered model as something that can be loaded; from the artifact store, or where its bytes
 * are gone there, from MLflow.
 *
 * @returns `undefined` where there is no champion, or it was not registered by Perennial
 */
export async function championModel(
  mlflow: MlflowClient,
  store: ArtifactStore,
  name: string,
): Promise<ServedModel | undefined> {
  const version = await versionByAlias(mlflow, name, ALIASES.champion);
  const tag = version?.tags[VERSION_TAGS.onnx];
  // MLflow takes a `model_id` but never gives it back; the source names the logged model.
  const modelId = /^models:\/(m-[0-9a-f]+)$/.exec(version?.source ?? '')?.[1];
  if (!version || !modelId || tag === undefined) return undefined;
  const onnx = artifactRef.parse(JSON.parse(tag));
  if (!(await store.has(onnx)))
    await store.putBytes(
      await mlflow.artifacts.downloadBytes({ modelId, path: 'model.onnx' }),
      MEDIA_TYPES.onnx,
    );
  const serving = await mlflow.artifacts.downloadBytes({ modelId, path: SERVING_FILE });
  const { signature } = servingFile.parse(JSON.parse(Buffer.from(serving).toString('utf8')));
  return { version: version.version, onnx, signature };
}

/** Activities that move aliases. */
export function aliasActivities(
  deps: ActivityDependencies,
): Pick<TrackingActivities, 'setChampion' | 'retireCandidate'> {
  return {
    setChampion: framed(deps.config, async ({ modelName, version }) => {
      const { registeredModels, modelVersions } = deps.mlflow();
      if (version === null) {
        await registeredModels
          .deleteAlias({ name: modelName, alias: ALIASES.champion })
          .catch(undefinedWhereMissing);
        return;
      }
      await registeredModels.setAlias({ name: modelName, alias: ALIASES.champion, version });
      await modelVersions.setTag({ name: modelName, version, key: VERSION_TAGS.outcome, value: 'deployed' });
      const challenger = await versionByAlias(deps.mlflow(), modelName, ALIASES.challenger);
      if (challenger?.version === version)
        await registeredModels.deleteAlias({ name: modelName, alias: ALIASES.challenger });
    }),

    retireCandidate: framed(deps.config, async ({ modelName, version, why }) => {
      const mlflow = deps.mlflow();
      await mlflow.modelVersions.setTag({ name: modelName, version, key: VERSION_TAGS.outcome, value: why });
      const challenger = await versionByAlias(mlflow, modelName, ALIASES.challenger);
      if (challenger?.version === version)
        await mlflow.registeredModels.deleteAlias({ name: modelName, alias: ALIASES.challenger });
    }),
  };
}
