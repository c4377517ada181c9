import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, WorkflowFailedError } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { registered } from '../activities/index.ts';
import { modelServerActivities } from '../activities/model-server.ts';
import { modelServerTaskQueue, modelServerWorkflowId, WORKFLOW_TYPES } from '../contracts/names.ts';
import type { ModelServerInfo } from '../contracts/serving.ts';
import { configFromEnv } from '../lib/config.ts';
import { ArtifactStore } from '../lib/store/artifact-store.ts';
import { ModelServer } from '../serving/server.ts';
import { connect } from './connection.ts';
import { HEARTBEAT_THROTTLE } from './options.ts';
import { announceReady, logger } from './runtime.ts';

const LEASE_RETRY_MS = 2_000;

/**
 * Runs a model server until `signal` aborts. It serves its last good routes at once; control by Temporal comes and
 * goes beside that, so that predictions do not depend on it.
 */
export async function runServer(signal: AbortSignal): Promise<void> {
  const config = configFromEnv(process.env);
  const serverId = process.env.PERENNIAL_SERVER_ID ?? `server-${randomUUID().slice(0, 8)}`;
  const token = process.env.PERENNIAL_SECRET_SERVER_TOKEN;
  const folder = join(config.dataDir, 'servers', serverId);
  await mkdir(folder, { recursive: true });
  const store = await ArtifactStore.create(join(config.dataDir, 'artifacts'));
  const server = await ModelServer.create({
    serverId,
    store,
    routesFile: join(folder, 'routes.json'),
    logger,
    token,
    ...(process.env.PERENNIAL_SERVER_HOST ? { host: process.env.PERENNIAL_SERVER_HOST } : {}),
    ...(process.env.PERENNIAL_SERVER_PORT ? { port: Number(process.env.PERENNIAL_SERVER_PORT) } : {}),
  });
  announceReady({ url: server.url });
  try {
    await underControl(server, { config, store, token }, signal);
  } finally {
    await server.close();
  }
}

type Surroundings = Pick<Parameters<typeof modelServerActivities>[0], 'config' | 'store' | 'token'>;

/** Keeps a worker on the server's own queue and a lease, for as long as the server lives. */
async function underControl(
  server: ModelServer,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<void> {
  const { config } = surroundings;
  const info: ModelServerInfo = {
    serverId: server.serverId,
    url: server.url,
    taskQueue: modelServerTaskQueue(server.serverId),
  };
  const link = await connect(signal, (address) =>
    logger.warn(`Temporal at ${address} does not answer; serving goes on, routes cannot change`),
  ).catch(() => undefined);
  if (!link) return;
  const worker = await Worker.create({
    connection: link.connection,
    namespace: link.namespace,
    taskQueue: info.taskQueue,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    activities: registered(modelServerActivities({ server, ...surroundings })),
  });
  const client = new Client({ connection: link.connection, namespace: link.namespace });
  signal.addEventListener('abort', () => worker.shutdown(), { once: true });
  const leasing = keepLease(client, info, config.taskQueue, signal);
  try {
    await worker.run();
  } finally {
    await leasing;
    await link.connection.close();
  }
}

/** Starts the server's workflow, and again whenever it has ended: after an outage, the lease was lost. */
async function keepLease(
  client: Client,
  info: ModelServerInfo,
  taskQueue: string,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const handle = await client.workflow.start(WORKFLOW_TYPES.modelServer, {
        workflowId: modelServerWorkflowId(info.serverId),
        taskQueue,
        args: [info],
        memo: { server: info },
        workflowIdConflictPolicy: 'TERMINATE_EXISTING',
        staticSummary: `Model server ${info.serverId} at ${info.url}`,
      });
      await Promise.race([handle.result(), aborted(signal)]);
      if (signal.aborted) await handle.terminate('the server was stopped').catch(() => undefined);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof WorkflowFailedError))
        logger.warn({ error }, 'the lease could not be taken; serving goes on');
    }
    await sleep(LEASE_RETRY_MS, undefined, { signal }).catch(() => undefined);
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
