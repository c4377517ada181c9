import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { PerennialError } from '../contracts/errors.ts';
import { DEFAULT_TASK_QUEUE } from '../contracts/names.ts';
import { MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';
import { PerennialClient } from './perennial-client.ts';
import { runningPlatform } from './platform/running.ts';

/** Where a command works: the platform of the data directory where one runs, else what the environment says. */
export interface Surroundings {
  dataDir: string;
  /** `host:port` of the Temporal frontend. */
  temporalAddress: string;
  namespace: string;
  temporalUi: string | undefined;
  mlflowUri: string | undefined;
}

/** Connections of one command; close them at its end. */
export interface Context extends Surroundings {
  perennial: PerennialClient;
  mlflow(): MlflowClient;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Connects. `TEMPORAL_ADDRESS` or a profile of the Temporal environment configuration wins over a platform that
 * runs on `dataDir`.
 *
 * @throws PerennialError `InputInvalid` where no Temporal server answers
 */
export async function connect(dataDir: string, env: NodeJS.ProcessEnv = process.env): Promise<Context> {
  const platform = runningPlatform(dataDir);
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  const address =
    env.TEMPORAL_ADDRESS ?? connectionOptions.address ?? platform?.temporalAddress ?? 'localhost:7233';
  const connection = await Connection.connect({
    ...connectionOptions,
    address,
    connectTimeout: CONNECT_TIMEOUT_MS,
  }).catch((cause: unknown) => {
    throw new PerennialError(
      'InputInvalid',
      `no Temporal server answers at ${address}; start the platform with \`perennial up\`, or set TEMPORAL_ADDRESS`,
      false,
      { cause },
    );
  });
  const mlflowUri = env.MLFLOW_TRACKING_URI ?? platform?.mlflowUri;
  const taskQueue = env.PERENNIAL_TASK_QUEUE ?? DEFAULT_TASK_QUEUE;
  return {
    dataDir,
    temporalAddress: address,
    namespace,
    temporalUi: platform?.temporalUi,
    mlflowUri,
    perennial: new PerennialClient(new Client({ connection, namespace }), taskQueue),
    mlflow: () => {
      if (!mlflowUri)
        throw new PerennialError(
          'InputInvalid',
          'no MLflow server is known; start the platform with `perennial up`, or set MLFLOW_TRACKING_URI',
        );
      return MlflowClient.fromEnv(env, { trackingUri: mlflowUri });
    },
    close: () => connection.close(),
  };
}

/** Runs work with a connection that is closed at its end. */
export async function withContext<T>(dataDir: string, work: (context: Context) => Promise<T>): Promise<T> {
  const context = await connect(dataDir);
  try {
    return await work(context);
  } finally {
    await context.close();
  }
}
