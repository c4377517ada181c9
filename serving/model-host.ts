import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { PerennialError } from '../contracts/errors.ts';
import {
  type RouteAck,
  type RouteTable,
  type RouteTableInput,
  routeTable,
  type ServedModel,
  servedModel,
} from '../contracts/serving.ts';
import { LoadedModel, type LoadOptions, type ModelStore } from './loaded-model.ts';
import type { Prediction, PredictionCall } from './prediction.ts';
import { RequestError } from './request-error.ts';
import { RoutesFile } from './routes-file.ts';
import { checkTable, type RoutedModel, ServedEndpoint } from './served-endpoint.ts';
import { stickyPoint } from './sticky-point.ts';

/** What a {@link ModelHost} needs. */
export interface ModelHostOptions extends LoadOptions {
  readonly serverId: string;
  /** Where the models' bytes are. */
  readonly store: ModelStore;
  /** Path of the file that keeps the routes over restarts; its folder is made where it is missing. */
  readonly routesFile: string;
  readonly logger: Logger;
  /** Chooses between several routes; from 0 up to, not including, 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** A model that answers a request, by which table. */
export interface Routed extends Omit<RoutedModel, 'role'> {
  readonly role: Prediction['role'];
  readonly table: RouteTable | undefined;
}

/**
 * Holds the models of one server: which versions are in memory, and which of them answer an endpoint's requests.
 *
 * A change of routes loads the new models, writes the routes file, and only then takes effect, all at once; the old
 * models are freed when their last request is answered. Where any of it fails, the old routes stay in force.
 * It never goes back a generation.
 *
 * @example
 * const host = await ModelHost.create({ serverId: 'a', store, routesFile: '.perennial/routes.json', logger });
 * const ack = await host.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
 */
export class ModelHost {
  readonly #endpoints = new Map<string, ServedEndpoint>();
  readonly #candidates = new Map<string, Map<string, LoadedModel>>();
  readonly #retiring = new Set<Promise<void>>();
  readonly #file: RoutesFile;
  readonly #random: () => number;
  #lastChange: Promise<unknown> = Promise.resolve();

  private constructor(private readonly options: ModelHostOptions) {
    this.#file = new RoutesFile(options.routesFile);
    this.#random = options.random ?? Math.random;
  }

  /**
   * Starts with the routes of the last run. A model that cannot be restored (its artifact is gone) makes its
   * endpoint unready, and is logged; the other endpoints serve.
   */
  static async create(options: ModelHostOptions): Promise<ModelHost> {
    const host = new ModelHost(options);
    const { tables, problem } = await host.#file.read();
    if (problem) options.logger.error(problem);
    for (const table of tables) await host.#restore(table);
    return host;
  }

  /**
   * Puts a traffic table into force.
   *
   * A lower generation than the one in force changes nothing, and the answer names the one in force; the same table
   * again is answered likewise. No routes at all withdraw the endpoint.
   *
   * @throws PerennialError `InputInvalid` for a malformed table; `RolloutFailed` for another table under the
   *   generation in force; `ArtifactMissing`, `ArtifactCorrupt`, `ModelInvalid` where a model cannot be loaded
   */
  applyRoutes(table: RouteTableInput): Promise<RouteAck> {
    return this.#oneAtATime(() => this.#apply(table));
  }

  /**
   * Loads a version that no route points at, so that it can be asked by its version before it takes traffic.
   * Loading the same one again changes nothing. Candidates do not outlive the process.
   *
   * @throws PerennialError `InputInvalid` where the version is routed with other bytes, `ArtifactMissing`,
   *   `ArtifactCorrupt`, `ModelInvalid`
   */
  loadCandidate(endpoint: string, model: ServedModel): Promise<void> {
    return this.#oneAtATime(async () => {
      const served = parsed(servedModel.safeParse(model), `the candidate of "${endpoint}"`);
      const routed = this.#endpoints.get(endpoint)?.version(served.version);
      if (routed && !routed.is(served))
        throw new PerennialError(
          'InputInvalid',
          `version ${served.version} of "${endpoint}" is served with other bytes or another signature; register a new version`,
        );
      const candidates = this.#candidates.get(endpoint) ?? new Map<string, LoadedModel>();
      const previous = candidates.get(served.version);
      const loaded = this.#find(endpoint, served) ?? (await this.#load(served));
      this.#candidates.set(endpoint, candidates.set(served.version, loaded));
      this.#retireUnused(endpoint, previous ? [previous] : []);
    });
  }

  /** Frees a candidate, unless routes point at it by now. One that is not there is no error. */
  unloadCandidate(endpoint: string, version: string): Promise<void> {
    return this.#oneAtATime(async () => {
      const candidates = this.#candidates.get(endpoint);
      const model = candidates?.get(version);
      if (!(candidates && model)) return;
      candidates.delete(version);
      if (candidates.size === 0) this.#candidates.delete(endpoint);
      this.#retireUnused(endpoint, [model]);
    });
  }

  /**
   * The model that answers one request: the version that it asks for, or by the routes in force.
   *
   * @throws RequestError 404 for an unknown endpoint or version, 503 where the endpoint has no model at the moment
   */
  route(call: Pick<PredictionCall, 'endpoint' | 'version' | 'entity' | 'header'>): Routed {
    const { endpoint, version, entity } = call;
    const state = this.#endpoints.get(endpoint);
    if (version !== undefined) {
      const role = state?.role(version) ?? 'candidate';
      return { model: this.version(endpoint, version), role, reason: 'version', table: state?.table };
    }
    const sticky = state?.table.sticky === true && entity !== undefined;
    const point = sticky ? stickyPoint(endpoint, entity) : this.#random();
    const routed = state?.choose({ point, sticky, header: call.header });
    if (!routed) throw this.#nothingToServe(endpoint);
    return { ...routed, table: state?.table };
  }

  /**
   * A loaded version, routed or candidate.
   *
   * @throws RequestError 404 for an unknown endpoint or version, 503 where the endpoint has no model at the moment
   */
  version(endpoint: string, version: string | undefined): LoadedModel {
    if (version === undefined) throw this.#nothingToServe(endpoint);
    const model =
      this.#endpoints.get(endpoint)?.version(version) ?? this.#candidates.get(endpoint)?.get(version);
    if (model) return model;
    throw new RequestError(
      404,
      'no such version of the model is loaded; GET /v2/models/<model> lists those that are',
    );
  }

  #nothingToServe(endpoint: string): RequestError {
    return this.#endpoints.has(endpoint)
      ? new RequestError(
          503,
          `the endpoint "${endpoint}" has no model to serve at the moment; try again later`,
        )
      : new RequestError(
          404,
          `no such model is served; this server serves: ${this.endpoints().join(', ') || 'none'}`,
        );
  }

  /** Names of the endpoints that have routes. */
  endpoints(): string[] {
    return [...this.#endpoints.values()].flatMap(({ table }) =>
      table.routes.length > 0 ? [table.endpoint] : [],
    );
  }

  /** The table in force and whether its models are loaded. */
  state(endpoint: string): ServedEndpoint | undefined {
    return this.#endpoints.get(endpoint);
  }

  /** Versions of an endpoint that are loaded without a route. */
  candidates(endpoint: string): string[] {
    const state = this.#endpoints.get(endpoint);
    return [...(this.#candidates.get(endpoint)?.keys() ?? [])].filter((version) => !state?.version(version));
  }

  /** All tables in force, withdrawn ones included. */
  tables(): RouteTable[] {
    return [...this.#endpoints.values()].map((state) => state.table);
  }

  /** Frees all models when their requests are answered. The routes file stays. */
  close(): Promise<void> {
    return this.#oneAtATime(async () => {
      const models = new Set<LoadedModel>();
      for (const state of this.#endpoints.values()) for (const model of state.models ?? []) models.add(model);
      for (const candidates of this.#candidates.values())
        for (const model of candidates.values()) models.add(model);
      this.#endpoints.clear();
      this.#candidates.clear();
      await Promise.all([...models].map((model) => model.close()));
      await Promise.all(this.#retiring);
    });
  }

  async #apply(input: RouteTableInput): Promise<RouteAck> {
    const table = parsed(routeTable.safeParse(input), 'the route table');
    checkTable(table);
    const { endpoint, generation } = table;
    const current = this.#endpoints.get(endpoint);
    if (current && generation < current.table.generation) {
      this.options.logger.warn(
        { endpoint, generation, inForce: current.table.generation },
        'ignored routes of an older generation',
      );
      return this.#ack(current);
    }
    if (current?.table.generation === generation) {
      if (!isDeepStrictEqual(current.table, table))
        throw new PerennialError(
          'RolloutFailed',
          `"${endpoint}" already has other routes under generation ${generation}; raise the generation with every change`,
        );
      if (current.models) return this.#ack(current);
    }
    const next = new ServedEndpoint(table, await this.#loadAll(table));
    try {
      await this.#file.write([...this.tables().filter((other) => other.endpoint !== endpoint), table]);
    } catch (error) {
      this.#retireUnused(endpoint, next.models ?? []);
      throw error;
    }
    this.#endpoints.set(endpoint, next);
    this.#retireUnused(endpoint, current?.models ?? []);
    const ack = this.#ack(next);
    this.options.logger.info({ endpoint, generation, versions: ack.versions }, 'routes in force');
    return ack;
  }

  async #restore(table: RouteTable): Promise<void> {
    const { endpoint, generation } = table;
    try {
      this.#endpoints.set(endpoint, new ServedEndpoint(table, await this.#loadAll(table)));
    } catch (error) {
      // The generation is kept: the server must not fall behind it, and applying it again loads the models.
      this.#endpoints.set(endpoint, new ServedEndpoint(table, undefined));
      const reason = error instanceof Error ? error.message : String(error);
      this.options.logger.error({ endpoint, generation, reason }, 'the last routes cannot be restored');
    }
  }

  /** The models of all routes, those in memory used again; all or none. */
  async #loadAll(table: RouteTable): Promise<LoadedModel[]> {
    const models: LoadedModel[] = [];
    try {
      for (const { model } of table.routes)
        models.push(this.#find(table.endpoint, model) ?? (await this.#load(model)));
    } catch (error) {
      this.#retireUnused(table.endpoint, models);
      throw error;
    }
    return models;
  }

  #load(model: ServedModel): Promise<LoadedModel> {
    const { store, threads, limits } = this.options;
    return LoadedModel.load(model, store, { threads, limits });
  }

  #find(endpoint: string, served: ServedModel): LoadedModel | undefined {
    const { version } = served;
    const found = [
      this.#endpoints.get(endpoint)?.version(version),
      this.#candidates.get(endpoint)?.get(version),
    ];
    return found.find((model) => model?.is(served));
  }

  /** Closes those models that neither routes nor candidates hold any more. */
  #retireUnused(endpoint: string, models: readonly LoadedModel[]): void {
    const routed = this.#endpoints.get(endpoint)?.models ?? [];
    const candidates = [...(this.#candidates.get(endpoint)?.values() ?? [])];
    for (const model of models) {
      if (routed.includes(model) || candidates.includes(model)) continue;
      const closing: Promise<void> = model
        .close()
        .catch((error: unknown) => this.options.logger.error({ err: error }, 'a model could not be freed'))
        .finally(() => this.#retiring.delete(closing));
      this.#retiring.add(closing);
    }
  }

  #ack({ table, models }: ServedEndpoint): RouteAck {
    return {
      serverId: this.options.serverId,
      endpoint: table.endpoint,
      generation: table.generation,
      versions: (models ?? []).map((model) => model.served.version),
    };
  }

  /** Changes wait for each other: two of them at once could both find that they are the newest. */
  #oneAtATime<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#lastChange.then(change);
    this.#lastChange = result.catch(() => undefined);
    return result;
  }
}

function parsed<T>(
  result:
    | { success: true; data: T }
    | { success: false; error: { issues: readonly { path: PropertyKey[]; message: string }[] } },
  what: string,
): T {
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new PerennialError(
    'InputInvalid',
    `${what} is malformed at ${issue?.path.map(String).join('.') || 'its root'}: ${issue?.message ?? 'wrong shape'}`,
  );
}
