import type { TrafficReport } from '../contracts/rollout-evidence.ts';
import type { RouteAck, RouteTable, ServedModel } from '../contracts/serving.ts';
import type { PerennialConfig } from '../lib/config.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';

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
