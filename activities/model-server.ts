import { activityInfo, heartbeat, sleep } from '@temporalio/activity';
import type { ModelServerActivities } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import { countersOf } from '../lib/monitoring/server-counters.ts';
import { framed } from './frame.ts';
import type { ModelServerDependencies } from './model-server-dependencies.ts';
import { precheck } from './precheck.ts';

const LEASE_HEARTBEAT_MS = 2_000;
/** Milliseconds that the page of metrics has. */
const COUNTERS_MS = 5_000;

/** Activities that run in a model server's own process, on its own queue. */
export function modelServerActivities(deps: ModelServerDependencies): ModelServerActivities {
  return {
    holdLease: async () => {
      // `sleep` rejects when the server shuts down or the workflow is cancelled: the lease is given back.
      for (;;) {
        heartbeat(activityInfo().attempt);
        await sleep(LEASE_HEARTBEAT_MS);
      }
    },
    applyRoutes: framed(deps.config, ({ table }) => deps.server.applyRoutes(table)),
    precheck: framed(deps.config, (input, frame) => precheck(deps, input, frame.signal)),
    observeTraffic: framed(deps.config, ({ endpoint }) => deps.server.observeTraffic(endpoint)),
    readCounters: framed(deps.config, ({ endpoint }, { signal }) => readCounters(deps, endpoint, signal)),
  };
}

/** From the server's own page, which has the sums over its processes. */
async function readCounters(
  { server, token }: ModelServerDependencies,
  endpoint: string,
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const response = await fetch(`${server.internalUrl ?? server.url}/metrics`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal: AbortSignal.any([signal, AbortSignal.timeout(COUNTERS_MS)]),
  });
  if (!response.ok)
    throw new PerennialError('ServerUnavailable', `the server's metrics answer ${response.status}`, true);
  return countersOf(await response.text(), endpoint);
}
