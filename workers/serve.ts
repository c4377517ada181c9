import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, WorkflowFailedError } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { Worker } from '@temporalio/worker';
import { registered } from '../activities/index.ts';
import { modelServerActivities } from '../activities/model-server.ts';
import { modelServerTaskQueue, modelServerWorkflowId, WORKFLOW_TYPES } from '../contracts/names.ts';
import type { ModelServerInfo } from '../contracts/serving.ts';
import { configFromEnv } from '../lib/config.ts';
import { openStore } from '../lib/store/open-store.ts';
import { ModelServer } from '../serving/server.ts';
import { connect, type WorkerConnection } from './connection.ts';
import { eventSink } from './event-sink.ts';
import { IncidentSender } from './incidents.ts';
import { HEARTBEAT_THROTTLE } from './options.ts';
import { untilDone } from './retry.ts';
import { announceReady, logger } from './runtime.ts';
import { sweepBeside } from './sweep.ts';

const LEASE_RETRY_MS = 2_000;
const CONTROL_BACKOFF = { firstMs: 1_000, lastMs: 30_000 };

/**
 * Runs a model server until `signal` aborts. It serves its last good routes at once; control by Temporal comes and
 * goes beside that, so that predictions do not depend on it.
 */
export async function runServer(signal: AbortSignal): Promise<void> {
  loadClientConnectConfig(); // one that cannot be read is an error now, not one to wait out
  const config = configFromEnv(process.env);
  const serverId = process.env.PERENNIAL_SERVER_ID ?? `server-${randomUUID().slice(0, 8)}`;
  const token = process.env.PERENNIAL_SECRET_SERVER_TOKEN;
  const folder = join(config.dataDir, 'servers', serverId);
  await mkdir(folder, { recursive: true });
  const temporal: { client?: Client } = {};
  const store = await openStore(config);
  sweepBeside(store);
  const incidents = new IncidentSender(() => temporal.client, logger);
  const server = await ModelServer.create({
    serverId,
    store,
    routesFile: join(folder, 'routes.json'),
    logger,
    token,
    onIncident: (incident) => incidents.tell(incident),
    events: {
      sink: eventSink(config, store, () => temporal.client),
      token: process.env.PERENNIAL_SECRET_EVENTS_TOKEN ?? token,
    },
    ...(process.env.PERENNIAL_SERVER_HOST ? { host: process.env.PERENNIAL_SERVER_HOST } : {}),
    ...(process.env.PERENNIAL_SERVER_PORT ? { port: Number(process.env.PERENNIAL_SERVER_PORT) } : {}),
  });
  announceReady({ url: server.url });
  try {
    await untilDone(
      () => underControl(server, { config, store, token, temporal }, signal),
      CONTROL_BACKOFF,
      signal,
      (error) => logger.error({ error }, 'control by Temporal failed; serving goes on, trying again'),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await server.close();
    await incidents.close();
  }
}

type Surroundings = Pick<Parameters<typeof modelServerActivities>[0], 'config' | 'store' | 'token'> & {
  /** The client of the connection that there is now. */
  temporal: { client?: Client };
};

/** Connects to Temporal and lets it control the server, until `signal` aborts or that fails. */
async function underControl(
  server: ModelServer,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<void> {
  const link = await connect(signal, (address, reason) =>
    logger.warn(`Temporal at ${address} cannot be used (${reason}); serving goes on, routes cannot change`),
  );
  const { temporal } = surroundings;
  temporal.client = new Client({ connection: link.connection, namespace: link.namespace });
  try {
    await workUnderLease(server, surroundings, link, signal);
  } finally {
    delete temporal.client;
    await link.connection
      .close()
      .catch((error: unknown) => logger.warn({ error }, 'a connection could not be closed'));
  }
}

/** Keeps a worker on the server's own queue and a lease, until `signal` aborts or the worker fails. */
async function workUnderLease(
  server: ModelServer,
  surroundings: Surroundings,
  { connection, namespace }: WorkerConnection,
  signal: AbortSignal,
): Promise<void> {
  const info: ModelServerInfo = {
    serverId: server.serverId,
    url: server.url,
    taskQueue: modelServerTaskQueue(server.serverId),
  };
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue: info.taskQueue,
    maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
    activities: registered(modelServerActivities({ server, ...surroundings })),
  });
  // Aborted when the worker has ended, for whatever reason: without a worker there is no lease to keep.
  const ended = new AbortController();
  const leasing = keepLease(
    new Client({ connection, namespace }),
    info,
    surroundings.config.taskQueue,
    AbortSignal.any([signal, ended.signal]),
  );
  try {
    const running = worker.run();
    const stop = (): void => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    };
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true, signal: ended.signal });
    await running;
  } finally {
    ended.abort();
    await leasing;
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
      if (signal.aborted)
        await handle.terminate('the server was stopped, or its worker failed').catch(() => undefined);
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
