import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { RouteAck, RouteTable, RouteTableInput, ServedModel } from '../contracts/serving.ts';
import { packageVersion } from '../lib/package-version.ts';
import { type AppOptions, createApp } from './app.ts';
import { DataPlane } from './data-plane.ts';
import { type ExplainerLimits, Explainers } from './explaining/explainers.ts';
import { ModelHost, type ModelHostOptions } from './model-host.ts';
import { openTracing, type Tracing } from './telemetry/tracing.ts';

const SWEEP_MS = 50;
/** Longer than any answer takes; a client that sends its request more slowly than that is cut off. */
const CLOSE_GRACE_MS = 10_000;

/** What a {@link ModelServer} needs, beside what its host needs. */
export interface ModelServerOptions extends ModelHostOptions {
  /** Address to listen on, default `127.0.0.1`: reachable from outside only where somebody decided so. */
  readonly host?: string | undefined;
  /** Port, default 0: any free one; {@link ModelServer.url} tells which. */
  readonly port?: number | undefined;
  readonly logger: Logger;
  /** Where it is given, prediction requests must send it as a bearer token. */
  readonly token?: string | undefined;
  /** The largest body in bytes, default 10 MiB. */
  readonly bodyLimit?: number | undefined;
  /** Of the processes that explain single predictions. */
  readonly explaining?: ExplainerLimits | undefined;
  /** Takes rows that are pushed; see {@link AppOptions.events}. */
  readonly events?: AppOptions['events'];
}

/**
 * A model server over HTTP. It knows nothing of Temporal and MLflow: it serves the routes that it was last given,
 * also after a restart.
 *
 * @example
 * const server = await ModelServer.create({ serverId: 'a', store, routesFile: 'routes.json', logger });
 * await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
 * await fetch(`${server.url}/invocations`, { method: 'POST', headers, body });
 * await server.close();
 */
export class ModelServer {
  #closing: Promise<void> | undefined;

  private constructor(
    readonly serverId: string,
    /** Where it listens, for example `http://127.0.0.1:41873`. */
    readonly url: string,
    /** Predictions without HTTP. */
    readonly dataPlane: DataPlane,
    private readonly host: ModelHost,
    private readonly app: FastifyInstance,
    private readonly explainers: Explainers,
    private readonly tracing: Tracing | undefined,
  ) {}

  /** Restores the last routes, then listens. */
  static async create(options: ModelServerOptions): Promise<ModelServer> {
    const { serverId, host: address = '127.0.0.1', port = 0, logger, token, bodyLimit, events } = options;
    const version = await packageVersion();
    const host = await ModelHost.create(options);
    const dataPlane = new DataPlane(host);
    const explainers = new Explainers(options.store, options.explaining);
    const tracing = await openTracing({ serverId, version }, logger);
    const open = isLoopback(address);
    // Rows become training data: off this machine nobody pushes them without a token.
    const app = createApp({
      dataPlane,
      logger,
      version,
      token,
      bodyLimit,
      explainers,
      tracing,
      ...(open || events?.token !== undefined ? { events } : {}),
    });
    try {
      const url = await app.listen({ host: address, port });
      if (token === undefined && !open)
        logger.warn(
          { address },
          'anybody who reaches this address can ask for predictions, and nobody can push events: set a token',
        );
      return new ModelServer(serverId, url, dataPlane, host, app, explainers, tracing);
    } catch (error) {
      await app.close();
      await tracing?.close();
      await host.close();
      throw error;
    }
  }

  /** Puts a traffic table into force; see {@link ModelHost.applyRoutes}. */
  applyRoutes(table: RouteTableInput): Promise<RouteAck> {
    return this.host.applyRoutes(table);
  }

  /** Loads a version without a route, to be asked by its version; see {@link ModelHost.loadCandidate}. */
  loadCandidate(endpoint: string, model: ServedModel): Promise<void> {
    return this.host.loadCandidate(endpoint, model);
  }

  /** Frees a version that {@link loadCandidate} loaded. */
  unloadCandidate(endpoint: string, version: string): Promise<void> {
    return this.host.unloadCandidate(endpoint, version);
  }

  /** The tables in force. */
  tables(): RouteTable[] {
    return this.host.tables();
  }

  /** Stops accepting requests, answers those under way (for at most ten seconds), then frees the models. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { server } = this.app;
    // A connection that was busy when closing began is kept alive after its answer; nobody else would end it.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    const deadline = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
    try {
      await this.app.close();
    } finally {
      clearInterval(sweep);
      clearTimeout(deadline);
    }
    this.explainers.close();
    await this.tracing?.close();
    await this.host.close();
  }
}

function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || address.startsWith('127.');
}
