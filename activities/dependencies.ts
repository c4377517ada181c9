import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { PerennialConfig } from '../lib/config.ts';
import { ArtifactStore } from '../lib/store/artifact-store.ts';
import { MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';

/** What activities work with. Everything is made when it is first asked for. */
export interface ActivityDependencies {
  config: PerennialConfig;
  store(): Promise<ArtifactStore>;
  mlflow(): MlflowClient;
  /** A client of the namespace in which the worker runs. */
  client(): Client;
}

/** Lazy dependencies from a configuration. */
export function dependencies(config: PerennialConfig, client: () => Client): ActivityDependencies {
  let store: Promise<ArtifactStore> | undefined;
  let mlflow: MlflowClient | undefined;
  return {
    config,
    store: () => {
      store ??= ArtifactStore.create(join(config.dataDir, 'artifacts')).catch((error: unknown) => {
        store = undefined;
        throw error;
      });
      return store;
    },
    mlflow: () => {
      mlflow ??= MlflowClient.fromEnv(process.env, { trackingUri: config.mlflowTrackingUri });
      return mlflow;
    },
    client,
  };
}
