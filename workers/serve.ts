import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { PerennialError } from '../contracts/errors.ts';
import { challengerIncident } from '../contracts/serving.ts';
import { configFromEnv } from '../lib/config.ts';
import { PredictionRoller } from '../lib/predictions/roller.ts';
import { openStore } from '../lib/store/open-store.ts';
import type { EventRelay } from '../serving/process/event-relay.ts';
import { startServing } from '../serving/process/supervisor.ts';
import { IncidentSender } from './incidents.ts';
import { announceReady, logger } from './runtime.ts';
import { drainFromEnv, servingFromEnv } from './serving-options.ts';
import { sweepBeside } from './sweep.ts';

/**
 * Runs a model server until `signal` aborts. It serves its last good routes at once; control by Temporal comes and
 * goes beside that, so that predictions do not depend on it. Temporal's SDK is loaded when the server answers.
 */
export async function runServer(signal: AbortSignal): Promise<void> {
  loadClientConnectConfig(); // one that cannot be read is an error now, not one to wait out
  const { env } = process;
  const config = configFromEnv(env);
  const serverId = env.PERENNIAL_SERVER_ID ?? `server-${randomUUID().slice(0, 8)}`;
  const folder = join(config.dataDir, 'servers', serverId);
  await mkdir(folder, { recursive: true });
  const drain = drainFromEnv(env);
  const relay: { current?: EventRelay } = {};
  const temporal: { client?: Client; lastWords?: () => Promise<void> } = {};
  const incidents = new IncidentSender(() => temporal.client, logger);
  temporal.lastWords = () => incidents.close();
  const server = await startServing({
    ...servingFromEnv(env, config),
    serverId,
    routesFile: join(folder, 'routes.json'),
    logger,
    events: {
      relay: lateRelay(relay),
      token: env.PERENNIAL_SECRET_EVENTS_TOKEN || undefined,
    },
    handlers: { incident: (payload) => incidents.tell(challengerIncident.parse(payload)) },
  });
  announceReady({ url: server.url });
  const roller = PredictionRoller.start({ config, logger });
  try {
    const store = await openStore(config);
    sweepBeside(store);
    const { controlServer } = await import('./server-control.ts');
    await controlServer(
      server,
      { config, store, token: server.internalToken, relay, incidents: temporal },
      signal,
    );
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await server.close(drain);
    await incidents.close();
    await roller.close();
  }
}

/** Where rows are told of once there is a connection to Temporal. */
function lateRelay(relay: { readonly current?: EventRelay }): EventRelay {
  const current = (): EventRelay => {
    if (relay.current) return relay.current;
    throw new PerennialError(
      'ServerUnavailable',
      'Temporal cannot be reached now; send the rows again later: the same batch counts once',
      true,
    );
  };
  return {
    check: () => current().check(),
    append: async (log, batch) => current().append(log, batch),
    send: async (log, batch) => current().send(log, batch),
  };
}
