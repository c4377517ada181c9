import { destination, pino } from 'pino';
import type { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { routeTable } from '../../contracts/serving.ts';
import type { OnlineReader } from '../../lib/feature-store/online-store.ts';
import type { PredictionSettings } from '../../lib/predictions/settings.ts';
import { watchParent } from '../../lib/processes/orphan.ts';
import { openStore } from '../../lib/store/open-store.ts';
import { createPredictionLog } from '../log/prediction-log.ts';
import type { PreparedRoutes } from '../prepared-routes.ts';
import { ModelServer } from '../server.ts';
import { metricFamily } from '../telemetry/metric-source.ts';
import { MonitorMetrics } from '../telemetry/monitor-metrics.ts';
import { Channel } from './channel.ts';
import { relayedEvents } from './event-relay.ts';
import {
  candidatePayload,
  closePayload,
  endpointPayload,
  routesSnapshot,
  type ServingSettings,
  startPayload,
  storeLocation,
  usagePayload,
  versionPayload,
} from './settings.ts';

/** How often processes tell each other what they admitted. */
const USAGE_MS = 100;

/**
 * What a serving process does: models and HTTP. `ServingMember` starts it; all it knows comes through the pipe.
 *
 * @param openFeatures opens the online store, once
 */
export function runServingProcess(
  openFeatures: (settings: ServingSettings) => Promise<OnlineReader | undefined>,
): void {
  const channel = new Channel((message) => {
    process.send?.(message);
  });
  process.on('message', (message) => channel.receive(message));
  // A terminal's Ctrl-C reaches the whole group; the supervisor alone decides.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
  watchParent();

  let running: ModelServer | undefined;
  const prepared = new Map<string, PreparedRoutes>();

  function server(): ModelServer {
    if (running) return running;
    throw new PerennialError('ServerUnavailable', 'this serving process has not started yet', true);
  }

  /** Loads what is in force; what cannot be had is logged, and the rest serves. */
  async function catchUp(
    routes: z.infer<typeof routesSnapshot>,
    log: (reason: string) => void,
  ): Promise<void> {
    await server().restore(routes.tables);
    for (const { endpoint, model } of routes.candidates)
      await server()
        .loadCandidate(endpoint, model)
        .catch((error: unknown) => log(error instanceof Error ? error.message : String(error)));
  }

  async function start(settings: ServingSettings): Promise<(reason: string) => void> {
    const logger = pino(
      {
        level: settings.logLevel,
        base: { process: settings.process },
        serializers: { error: pino.stdSerializers.err },
      },
      destination(2),
    );
    const location = storeLocation(settings.store);
    const store = await openStore(location);
    const { maxRows, events, predictions } = settings;
    running = await ModelServer.open({
      serverId: settings.serverId,
      store,
      logger,
      host: settings.host,
      port: settings.port,
      internalPort: settings.internalPort,
      threads: settings.threads,
      batching: settings.batching,
      ...(maxRows === undefined ? {} : { limits: { maxRows } }),
      access: settings.access,
      tls: settings.tls,
      allowAnonymous: settings.allowAnonymous,
      requests: settings.requests,
      processNumber: settings.processes > 1 ? String(settings.process) : undefined,
      allMetrics: async () =>
        metricFamily
          .array()
          .array()
          .parse(await channel.ask('allMetrics')),
      replay: predictions?.replay,
      features: await openFeatures(settings),
      ...(predictions && {
        predictionLog: (policy) =>
          createPredictionLog({
            config: { ...location, predictions: limitsOf(predictions) },
            serverId: settings.serverId,
            store,
            logger,
            policy,
          }),
      }),
      onIncident: (incident) => channel.tell('incident', incident),
      ...(events && {
        events: {
          sink: relayedEvents(channel, store, {
            dataDir: settings.store.dataDir,
            processes: settings.processes,
          }),
          token: events.token,
        },
      }),
    });
    const { rates, metrics, dataPlane } = running;
    // One process of the server is enough.
    if (settings.process === 0)
      metrics.add(
        new MonitorMetrics(
          store.documents,
          () => dataPlane.endpoints(),
          (error) => logger.warn({ error }, 'the records of the monitor cannot be read'),
        ),
      );
    // Alone it tells nobody, but forgets what it counted.
    setInterval(() => {
      const usage = rates.usage();
      if (usage && settings.processes > 1) channel.tell('usage', usage);
    }, USAGE_MS).unref();
    return (reason) => logger.error({ reason }, 'a candidate cannot be restored');
  }

  let log: (reason: string) => void = () => undefined;

  channel
    .handle('ping', () => undefined)
    .handle('start', async (payload) => {
      const { settings, routes } = startPayload.parse(payload);
      log = await start(settings);
      await catchUp(routes, log);
    })
    .handle('join', async (payload) => {
      await catchUp(routesSnapshot.parse(payload), log);
      await server().listen();
      const { url, internalUrl } = server();
      return { url, internalUrl };
    })
    .handle('prepare', async (payload) => {
      const table = routeTable.parse(payload);
      prepared.set(table.endpoint, await server().prepare(table));
    })
    .handle('commit', (payload) => taken(payload)?.commit())
    .handle('abort', (payload) => taken(payload)?.abort())
    .handle('loadCandidate', async (payload) => {
      const { endpoint, model } = candidatePayload.parse(payload);
      await server().loadCandidate(endpoint, model);
    })
    .handle('unloadCandidate', async (payload) => {
      const { endpoint, version } = versionPayload.parse(payload);
      await server().unloadCandidate(endpoint, version);
    })
    .handle('candidateMemory', (payload) => {
      const { endpoint, version } = versionPayload.parse(payload);
      return server().candidateMemory(endpoint, version);
    })
    .handle('traffic', (payload) => server().observeTraffic(endpointPayload.parse(payload).endpoint))
    .handle('metrics', () => running?.metrics.families())
    .handle('charge', (payload) => running?.rates.charge(usagePayload.parse(payload), performance.now()))
    .handle('close', async (payload) => {
      await running?.close(closePayload.parse(payload));
      // Time for the answer; without the pipe the process ends.
      setImmediate(() => process.disconnect?.());
    });

  channel.tell('hello');

  /** The change that was prepared for an endpoint, once. */
  function taken(payload: unknown): PreparedRoutes | undefined {
    const { endpoint } = endpointPayload.parse(payload);
    const change = prepared.get(endpoint);
    prepared.delete(endpoint);
    return change;
  }
}

function limitsOf({ syncMs, spoolBytes }: NonNullable<ServingSettings['predictions']>): PredictionSettings {
  return { ...(syncMs !== undefined && { syncMs }), ...(spoolBytes !== undefined && { spoolBytes }) };
}
