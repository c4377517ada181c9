import type { Client } from '@temporalio/client';
import type { PerennialConfig } from '../lib/config.ts';
import type { PersonalStore } from '../lib/erasure/personal-store.ts';
import type { OnlineFeatures } from '../lib/feature-store/online-features.ts';
import { openFeatureStore } from '../lib/feature-store/open-feature-store.ts';
import { PredictedRows } from '../lib/predictions/predicted-rows.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { openStore } from '../lib/store/open-store.ts';
import { MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';

/** What activities work with. Everything is made when it is first asked for. */
export interface ActivityDependencies {
  config: PerennialConfig;
  store(): Promise<ArtifactStore>;
  mlflow(): MlflowClient;
  /** Stores beside the artifacts that hold rows of people; an erasure goes through all of them. */
  personalStores(): Promise<readonly PersonalStore[]>;
  /** The online feature store. */
  features(): Promise<OnlineFeatures>;
  /** A client of the namespace in which the worker runs. */
  client(): Client;
}

/** Lazy dependencies from a configuration. */
export function dependencies(config: PerennialConfig, client: () => Client): ActivityDependencies {
  let store: Promise<ArtifactStore> | undefined;
  let mlflow: MlflowClient | undefined;
  let features: Promise<OnlineFeatures> | undefined;
  const opened = (): Promise<ArtifactStore> => {
    store ??= openStore(config).catch((error: unknown) => {
      store = undefined;
      throw error;
    });
    return store;
  };
  return {
    config,
    store: opened,
    mlflow: () => {
      mlflow ??= MlflowClient.fromEnv(process.env, { trackingUri: config.mlflowTrackingUri });
      return mlflow;
    },
    features: async () => {
      features ??= opened()
        .then((artifacts) => openFeatureStore(config, artifacts))
        .catch((error: unknown) => {
          features = undefined;
          throw error;
        });
      return features;
    },
    personalStores: async () => [new PredictedRows(await opened(), config)],
    client,
  };
}
