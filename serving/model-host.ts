import { PerennialError } from '../contracts/errors.ts';
import {
  type ChallengerIncident,
  type RouteAck,
  type RouteTable,
  type RouteTableInput,
  type ServedModel,
  servedModel,
} from '../contracts/serving.ts';
import { keyColumnsOf } from '../domain/routing.ts';
import type { CallRows } from './call-rows.ts';
import { Candidates } from './candidates.ts';
import { IncidentDigest } from './isolation/incident-digest.ts';
import { peakResidentBytes } from './isolation/memory-watch.ts';
import type { LoadedModel } from './loaded-model.ts';
import { ModelShelf, type ModelShelfOptions } from './model-shelf.ts';
import type { Prediction, PredictionCall } from './prediction.ts';
import type { PreparedRoutes } from './prepared-routes.ts';
import { RequestError } from './request-error.ts';
import { parsed, readTable } from './route-change.ts';
import { RoutesFile } from './routes-file.ts';
import type { RoutedModel, ServedEndpoint } from './served-endpoint.ts';
import { stickyPoint } from './sticky-point.ts';
import { TablesInForce } from './tables-in-force.ts';

/** What a {@link ModelHost} needs. */
export interface ModelHostOptions extends ModelShelfOptions {
  readonly serverId: string;
  /**
   * Path of the file that keeps the routes over restarts; its folder is made where it is missing. Without it nothing is
   * kept: whoever drives {@link ModelHost.prepare} and {@link ModelHost.restore} does so.
   */
  readonly routesFile?: string | undefined;
  /** Chooses between several routes; from 0 up to, not including, 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Told once a second, at most, of each way in which each version beside the champion fails. Must not throw. */
  readonly onIncident?: ((incident: ChallengerIncident) => void) | undefined;
}

/** A model that answers a request, by which table. */
export interface Routed extends Omit<RoutedModel, 'role'> {
  readonly role: Prediction['role'];
  readonly table: RouteTable | undefined;
  /** Whom or what the rows are about, where the routing asked for it. */
  readonly entity: string | undefined;
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
  /** Where failures of challengers are told; sums them up for `onIncident`. */
  readonly incidents: IncidentDigest | undefined;
  readonly #tables = new TablesInForce();
  readonly #shelf: ModelShelf;
  readonly #candidates: Candidates;
  readonly #file: RoutesFile | undefined;
  readonly #random: () => number;
  #lastChange: Promise<unknown> = Promise.resolve();
  #closed = false;

  private constructor(private readonly options: ModelHostOptions) {
    const { serverId, routesFile, random = Math.random, onIncident } = options;
    this.#shelf = new ModelShelf(options);
    this.#candidates = new Candidates(this.#shelf);
    this.#file = routesFile === undefined ? undefined : new RoutesFile(routesFile);
    this.#random = random;
    this.incidents = onIncident && new IncidentDigest(serverId, onIncident);
  }

  /** Starts with the routes of the last run, where there is a file of them; see {@link restore}. */
  static async create(options: ModelHostOptions): Promise<ModelHost> {
    const host = new ModelHost(options);
    const { tables, problem } = (await host.#file?.read()) ?? { tables: [] };
    if (problem) options.logger.error(problem);
    await host.restore(tables);
    return host;
  }

  /**
   * Takes up tables that were in force before. A champion that cannot be restored (its artifact is gone) makes its
   * endpoint unready, and is logged; the other endpoints serve. The others of a table are started in the background:
   * the champion stands in for them until they are loaded.
   */
  restore(tables: readonly RouteTable[]): Promise<void> {
    return this.#oneAtATime(async () => {
      for (const table of tables) await this.#restore(table);
    });
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
  applyRoutes(input: RouteTableInput): Promise<RouteAck> {
    return this.#oneAtATime(async () => {
      const prepared = await this.#prepare(input);
      const { endpoint } = prepared.table;
      try {
        if (prepared.changes)
          await this.#file?.write([
            ...this.tables().filter((other) => other.endpoint !== endpoint),
            prepared.table,
          ]);
      } catch (error) {
        await prepared.abort();
        throw error;
      }
      return prepared.commit();
    });
  }

  /**
   * The first half of {@link applyRoutes}, for whoever lets several processes change together: loads everything and
   * changes nothing. The routes file is the caller's.
   *
   * @throws PerennialError as {@link applyRoutes}
   */
  prepare(input: RouteTableInput): Promise<PreparedRoutes> {
    return this.#oneAtATime(() => this.#prepare(input));
  }

  /**
   * Loads a version that no route points at, so that it can be asked by its version before it takes traffic. It
   * computes in a process of its own. Loading the same one again changes nothing. Candidates do not outlive the process.
   *
   * @throws PerennialError `InputInvalid` where the version is routed with other bytes, `ArtifactMissing`,
   *   `ArtifactCorrupt`, `ModelInvalid`
   */
  loadCandidate(endpoint: string, model: ServedModel): Promise<void> {
    return this.#oneAtATime(async () => {
      const served = parsed(servedModel.safeParse(model), `the candidate of "${endpoint}"`);
      const state = this.#tables.get(endpoint);
      await this.#candidates.load(endpoint, served, state?.version(served.version));
      // It is asked what it will be asked by its endpoint's clients.
      if (state) this.#candidates.get(endpoint, served.version)?.takeKeys(keyColumnsOf(state.table));
    });
  }

  /** Frees a candidate, unless routes point at it by now. One that is not there is no error. */
  unloadCandidate(endpoint: string, version: string): Promise<void> {
    return this.#oneAtATime(async () => this.#candidates.unload(endpoint, version));
  }

  /**
   * Resident bytes, at their most so far, of the process that holds a candidate and nothing else.
   *
   * @returns `null` where that cannot be told: on other systems than Linux, and of a version that also is the champion
   *   and computes in the process that serves
   */
  candidateMemory(endpoint: string, version: string): number | null {
    return peakResidentBytes(this.#candidates.get(endpoint, version)?.pid);
  }

  /**
   * The model that answers one request: the version that it asks for, or by the routes in force.
   *
   * @param rows of the request; read only where the table finds the entity in a column
   * @throws RequestError 404 for an unknown endpoint or version, 503 where the endpoint has no model at the moment; 400
   *   where the rows were read and do not fit the champion
   */
  route(call: Pick<PredictionCall, 'endpoint' | 'version' | 'entity' | 'header'>, rows?: CallRows): Routed {
    const { endpoint, version } = call;
    const state = this.#tables.get(endpoint);
    if (version !== undefined) {
      const role = state?.role(version) ?? 'candidate';
      const model = this.version(endpoint, version);
      return { model, role, reason: 'version', table: state?.table, entity: call.entity };
    }
    let { entity } = call;
    const routed = state?.choose({
      header: (name) => call.header(name),
      place: () => {
        const { sticky, entityColumn } = state.table;
        if (!sticky) return { point: this.#random(), sticky };
        if (entityColumn !== undefined && state.champion)
          entity ??= rows?.shared(state.champion, entityColumn);
        if (entity === undefined) return { point: this.#random(), sticky: false };
        return { point: stickyPoint(endpoint, entity), sticky };
      },
    });
    if (!(state && routed)) throw this.#nothingToServe(endpoint);
    return { ...routed, table: state.table, entity };
  }

  /**
   * A loaded version, routed or candidate.
   *
   * @throws RequestError 404 for an unknown endpoint or version, 503 where the endpoint has no model at the moment
   */
  version(endpoint: string, version: string | undefined): LoadedModel {
    if (version === undefined) throw this.#nothingToServe(endpoint);
    const model = this.#tables.get(endpoint)?.version(version) ?? this.#candidates.get(endpoint, version);
    if (model) return model;
    throw new RequestError(
      404,
      'no such version of the model is loaded; GET /v2/models/<model> lists those that are',
    );
  }

  #nothingToServe(endpoint: string): RequestError {
    return this.#tables.get(endpoint)
      ? new RequestError(
          503,
          `the endpoint "${endpoint}" has no model to serve at the moment; try again later`,
        )
      : new RequestError(404, 'no such model is served; GET /v2/models lists those that are');
  }

  /** Names of the endpoints that have routes. */
  endpoints(): string[] {
    return this.#tables.endpoints();
  }

  /** The table in force and whether its models are loaded. */
  state(endpoint: string): ServedEndpoint | undefined {
    return this.#tables.get(endpoint);
  }

  /** Versions of an endpoint that are loaded without a route. */
  candidates(endpoint: string): string[] {
    const state = this.#tables.get(endpoint);
    return this.#candidates.versions(endpoint).filter((version) => !state?.version(version));
  }

  /** All tables in force, withdrawn ones included. */
  tables(): RouteTable[] {
    return this.#tables.tables();
  }

  /** Frees all models when their requests are answered. The routes file stays. */
  close(): Promise<void> {
    return this.#oneAtATime(async () => {
      this.#closed = true;
      this.#shelf.release(this.#tables.clear());
      this.#candidates.clear();
      await this.#shelf.emptied();
      this.incidents?.close();
    });
  }

  async #prepare(input: RouteTableInput): Promise<PreparedRoutes> {
    const table = readTable(input);
    const { endpoint, generation } = table;
    const current = this.#tables.overtaker(table);
    if (current && current.table.generation > generation)
      this.options.logger.warn(
        { endpoint, generation, inForce: current.table.generation },
        'ignored routes of an older generation',
      );
    if (current)
      return { table, changes: false, commit: () => this.#ack(current), abort: () => Promise.resolve() };
    let models: readonly LoadedModel[] | undefined = await this.#takeAll(table);
    const handedOver = (): readonly LoadedModel[] => {
      const taken = models ?? [];
      models = undefined;
      return taken;
    };
    return {
      table,
      changes: true,
      commit: () => this.#commit(table, models && handedOver()),
      abort: async () => this.#shelf.release(handedOver()),
    };
  }

  /** @param models loaded for the table; `undefined` where it was committed or aborted before */
  #commit(table: RouteTable, models: readonly LoadedModel[] | undefined): RouteAck {
    const { endpoint, generation } = table;
    const current = this.#tables.get(endpoint);
    const overtaker = this.#tables.overtaker(table);
    if (this.#closed || overtaker || !models) {
      this.#shelf.release(models ?? []);
      if (!this.#closed && overtaker) return this.#ack(overtaker);
      throw new PerennialError(
        'ServerUnavailable',
        'the server is closing, or the change was given up',
        true,
      );
    }
    const ack = this.#ack(this.#tables.enforce(table, models));
    this.#shelf.release(current?.models ?? []);
    this.options.logger.info({ endpoint, generation, versions: ack.versions }, 'routes in force');
    return ack;
  }

  async #restore(table: RouteTable): Promise<void> {
    const { endpoint, generation } = table;
    const current = this.#tables.get(endpoint);
    // What is in force already stays: a process takes up tables when it begins to load, and again when it has loaded.
    if (current?.models && current.table.generation >= generation) return;
    try {
      this.#tables.enforce(table, await this.#takeAll(table, 'background'));
      this.#shelf.release(current?.models ?? []);
    } catch (error) {
      // The generation is kept: the server must not fall behind it, and applying it again loads the models.
      this.#tables.enforce(table, undefined);
      this.#shelf.release(current?.models ?? []);
      const reason = error instanceof Error ? error.message : String(error);
      this.options.logger.error({ endpoint, generation, reason }, 'the last routes cannot be restored');
    }
  }

  /** The models of all routes, those in memory used again; all or none. */
  async #takeAll({ endpoint, routes }: RouteTable, start?: 'background'): Promise<LoadedModel[]> {
    const taken = await Promise.allSettled(
      routes.map(({ model, role }) => this.#shelf.take(endpoint, model, role, start)),
    );
    const models = taken.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failed = taken.find((one) => one.status === 'rejected');
    if (!failed) return models;
    this.#shelf.release(models);
    throw failed.reason;
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
