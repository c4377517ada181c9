import { activityInfo, heartbeat, sleep } from '@temporalio/activity';
import type { ModelServerActivities } from '../contracts/activities.ts';
import { PerennialError } from '../contracts/errors.ts';
import type { TrafficReport } from '../contracts/rollout-evidence.ts';
import type { RouteAck, RouteTable, ServedModel } from '../contracts/serving.ts';
import type { PerennialConfig } from '../lib/config.ts';
import { countersOf } from '../lib/monitoring/server-counters.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import { framed } from './frame.ts';
import { precheck } from './precheck.ts';

/** The part of a model server that its activities need. */
export interface ServerUnderControl {
  readonly serverId: string;
  readonly url: string;
  /** Where it can be asked from this machine with {@link ModelServerDependencies.token}; default `url`. */
  readonly internalUrl?: string;
  applyRoutes(table: RouteTable): Promise<RouteAck>;
  loadCandidate(endpoint: string, model: ServedModel): Promise<void>;
  unloadCandidate(endpoint: string, version: string): Promise<void>;
  /** Resident bytes, at their most, of the process that holds a candidate alone; `null` where that cannot be told. */
  candidateMemory(endpoint: string, version: string): Promise<number | null>;
  /** What the server saw of an endpoint since the generation in force began; all its processes together. */
  observeTraffic(endpoint: string): Promise<TrafficReport>;
}

/** What these activities work with. */
export interface ModelServerDependencies {
  config: PerennialConfig;
  server: ServerUnderControl;
  store: ArtifactStore;
  /** A bearer token with all roles, where the server asks for one. */
  token?: string | undefined;
}

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
