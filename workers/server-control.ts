import { setTimeout as sleep } from 'node:timers/promises';
import { Client, WorkflowFailedError } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { registered } from '../activities/index.ts';
import { modelServerActivities } from '../activities/model-server.ts';
import type { ServerUnderControl } from '../activities/model-server-dependencies.ts';
import { modelServerTaskQueue, modelServerWorkflowId, WORKFLOW_TYPES } from '../contracts/names.ts';
import type { ModelServerInfo } from '../contracts/serving.ts';
import type { EventRelay } from '../serving/process/event-relay.ts';
import { connect, type WorkerConnection } from './connection.ts';
import { eventRelay } from './event-relay.ts';
import { HEARTBEAT_THROTTLE } from './options.ts';
import { untilDone } from './retry.ts';
import { logger } from './runtime.ts';
import { installRuntime } from './temporal-runtime.ts';

const LEASE_RETRY_MS = 2_000;
const CONTROL_BACKOFF = { firstMs: 1_000, lastMs: 30_000 };

/** What control works with. */
export type Surroundings = Pick<Parameters<typeof modelServerActivities>[0], 'config' | 'store' | 'token'> & {
  /** Where pushed rows are told of while there is a connection. */
  relay: { current?: EventRelay };
  /** Tells endpoints of failing challengers while there is a connection. */
  incidents: { client?: Client; lastWords?: () => Promise<void> };
};

/** Lets Temporal control a server that runs, until `signal` aborts. It comes and goes; serving does not depend on it. */
export async function controlServer(
  server: ServerUnderControl,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<void> {
  installRuntime();
  await untilDone(
    () => underControl(server, surroundings, signal),
    CONTROL_BACKOFF,
    signal,
    (error) => logger.error({ error }, 'control by Temporal failed; serving goes on, trying again'),
  );
}

/** Connects to Temporal and lets it control the server, until `signal` aborts or that fails. */
async function underControl(
  server: ServerUnderControl,
  surroundings: Surroundings,
  signal: AbortSignal,
): Promise<void> {
  const link = await connect(signal, (address, reason) =>
    logger.warn(`Temporal at ${address} cannot be used (${reason}); serving goes on, routes cannot change`),
  );
  const { relay, incidents, config } = surroundings;
  const client = new Client({ connection: link.connection, namespace: link.namespace });
  relay.current = eventRelay(config, client);
  incidents.client = client;
  try {
    await workUnderLease(server, surroundings, link, signal);
  } finally {
    // While the connection is there: afterwards nobody can be told.
    if (signal.aborted) await incidents.lastWords?.();
    delete relay.current;
    delete incidents.client;
    await link.connection
      .close()
      .catch((error: unknown) => logger.warn({ error }, 'a connection could not be closed'));
  }
}

/** Keeps a worker on the server's own queue and a lease, until `signal` aborts or the worker fails. */
async function workUnderLease(
  server: ServerUnderControl,
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
