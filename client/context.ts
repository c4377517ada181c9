import { createConnection } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { type ClientConfigProfile, loadClientConfigProfile, toClientOptions } from '@temporalio/envconfig';
import { PerennialError } from '../contracts/errors.ts';
import { DEFAULT_TASK_QUEUE } from '../contracts/names.ts';
import { MlflowClient } from '../packages/mlflow-client-ts/src/index.ts';
import { PerennialClient } from './perennial-client.ts';
import { runningPlatform } from './platform/running.ts';
import type { PlatformStatus } from './platform/state.ts';

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
 * Address and namespace of Temporal: what the environment or a profile of the Temporal environment configuration
 * says wins over a platform that runs on the data directory.
 *
 * @param configured by default read from the environment
 */
export function temporalOf(
  platform: Pick<PlatformStatus, 'temporalAddress' | 'namespace'> | undefined,
  configured: Pick<ClientConfigProfile, 'address' | 'namespace'> = loadClientConfigProfile(),
): { address: string; namespace: string } {
  return {
    address: configured.address || platform?.temporalAddress || 'localhost:7233',
    namespace: configured.namespace || platform?.namespace || 'default',
  };
}

/** Address of a run in the Temporal UI, where one is known. */
export const runLink = (
  { temporalUi, namespace }: Pick<Surroundings, 'temporalUi' | 'namespace'>,
  workflowId: string,
): string | undefined =>
  temporalUi &&
  `${temporalUi}/namespaces/${encodeURIComponent(namespace)}/workflows/${encodeURIComponent(workflowId)}`;

/**
 * Connects to what {@link temporalOf} names.
 *
 * @throws PerennialError `InputInvalid` where no Temporal server answers
 */
export async function connect(dataDir: string, env: NodeJS.ProcessEnv = process.env): Promise<Context> {
  const platform = runningPlatform(dataDir);
  const profile = loadClientConfigProfile();
  const { address, namespace } = temporalOf(platform, profile);
  const nobody = (cause?: unknown): never => {
    throw new PerennialError(
      'InputInvalid',
      `no Temporal server answers at ${address}; start the platform with \`perennial up\`, or set TEMPORAL_ADDRESS`,
      false,
      { cause },
    );
  };
  // gRPC tries a refused port again until its time is over. A part of a platform that runs may come back; where
  // none runs, nothing will.
  if (!platform && (await isRefused(address))) nobody();
  const connection = await Connection.connect({
    ...toClientOptions(profile).connectionOptions,
    address,
    connectTimeout: CONNECT_TIMEOUT_MS,
  }).catch(nobody);
  const mlflowUri = mlflowUriOf(platform, env);
  const taskQueue = env.PERENNIAL_TASK_QUEUE ?? DEFAULT_TASK_QUEUE;
  return {
    dataDir,
    temporalAddress: address,
    namespace,
    temporalUi: platform?.temporalUi,
    mlflowUri,
    perennial: new PerennialClient(new Client({ connection, namespace }), taskQueue),
    mlflow: () => mlflowAt(mlflowUri, env),
    close: () => connection.close(),
  };
}

const mlflowUriOf = (
  platform: Pick<PlatformStatus, 'mlflowUri'> | undefined,
  env: NodeJS.ProcessEnv,
): string | undefined => env.MLFLOW_TRACKING_URI ?? platform?.mlflowUri;

function mlflowAt(trackingUri: string | undefined, env: NodeJS.ProcessEnv): MlflowClient {
  if (trackingUri) return MlflowClient.fromEnv(env, { trackingUri });
  throw new PerennialError(
    'InputInvalid',
    'no MLflow server is known; start the platform with `perennial up`, or set MLFLOW_TRACKING_URI',
  );
}

/**
 * MLflow alone, for commands that need no Temporal.
 *
 * @throws PerennialError `InputInvalid` where no MLflow server is known
 */
export const mlflowOf = (dataDir: string, env: NodeJS.ProcessEnv = process.env): MlflowClient =>
  mlflowAt(mlflowUriOf(runningPlatform(dataDir), env), env);

/** Where MLflow is, for a process that asks it itself. */
export function mlflowEnvironment(
  dataDir: string,
  env: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const uri = mlflowUriOf(runningPlatform(dataDir), env);
  return uri === undefined ? {} : { MLFLOW_TRACKING_URI: uri };
}

/** Whether this machine has nobody at a loopback address. Other hosts may lie behind a proxy. */
function isRefused(address: string): Promise<boolean> {
  const [, host, port] = /^(localhost|127\.0\.0\.1):(\d+)$/.exec(address) ?? [];
  if (host === undefined) return Promise.resolve(false);
  return new Promise((resolve) => {
    const socket = createConnection({ host, port: Number(port) });
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', (error) => resolve('code' in error && error.code === 'ECONNREFUSED'));
  });
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
