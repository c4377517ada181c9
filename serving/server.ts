import { once } from 'node:events';
import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { Server as TlsServer } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { PerennialError } from '../contracts/errors.ts';
import type { TrafficReport } from '../contracts/rollout-evidence.ts';
import type { RouteAck, RouteTable, RouteTableInput, ServedModel } from '../contracts/serving.ts';
import type { OnlineReader } from '../lib/feature-store/online-store.ts';
import { packageVersion } from '../lib/package-version.ts';
import { type AppOptions, createApp } from './app.ts';
import { CLOSE_GRACE_MS, type CloseOptions } from './close-options.ts';
import { DataPlane } from './data-plane.ts';
import { TrafficEvidence } from './evidence/traffic-evidence.ts';
import { type ExplainerLimits, Explainers } from './explaining/explainers.ts';
import { clientErrorAnswer } from './http/client-error.ts';
import { createHttpServer } from './http/http-server.ts';
import { ServingMetrics } from './http/metrics.ts';
import type { PredictionLog, PredictionLogOptions } from './log/prediction-log.ts';
import { ModelHost, type ModelHostOptions } from './model-host.ts';
import type { PreparedRoutes } from './prepared-routes.ts';
import { requestLimits } from './request-limits.ts';
import { Access, type AccessSettingsInput } from './security/access.ts';
import { RateLimits } from './security/rate-limits.ts';
import { readTls, type TlsSettings, watchTls } from './security/tls.ts';
import type { WatchedFiles } from './security/watched-files.ts';
import { BatchMetrics } from './telemetry/batch-metrics.ts';
import { LogMetrics } from './telemetry/log-metrics.ts';
import { openTracing, type Tracing } from './telemetry/tracing.ts';

const SWEEP_MS = 50;

/** What a {@link ModelServer} needs, beside what its host needs. */
export interface ModelServerOptions extends ModelHostOptions {
  /** Address to listen on, default `127.0.0.1`: reachable from outside only where somebody decided so. */
  readonly host?: string | undefined;
  /** Port, default 0: any free one; {@link ModelServer.url} tells which. */
  readonly port?: number | undefined;
  readonly logger: Logger;
  /** One token with all roles; where it is given, requests must send it as a bearer token. */
  readonly token?: string | undefined;
  /** Who may ask, in full; takes the place of `token`. */
  readonly access?: AccessSettingsInput | undefined;
  /** Files of the certificate; without them it speaks plain HTTP. */
  readonly tls?: TlsSettings | undefined;
  /** Port of a plain socket on loopback beside TLS, which takes the server's own token alone; without it there is none. */
  readonly internalPort?: number | undefined;
  /** Serves anybody who reaches an address that is not a loopback one; default `false`: it refuses to start. */
  readonly allowAnonymous?: boolean | undefined;
  /** See {@link AppOptions.requests}. */
  readonly requests?: AppOptions['requests'];
  /** See {@link AppOptions.replay}. */
  readonly replay?: boolean | undefined;
  /** Takes rows that are pushed; see {@link AppOptions.events}. */
  readonly events?: AppOptions['events'];
  /** Makes the log of its answers, which it then closes. Without it nothing is put on record. */
  readonly predictionLog?: ((policy: PredictionLogOptions['policy']) => Promise<PredictionLog>) | undefined;
  /** The online store of features, which it then closes. Without it the policy of each feature view applies. */
  readonly features?: OnlineReader | undefined;
  /** Of the processes that explain single predictions. */
  readonly explaining?: ExplainerLimits | undefined;
  /** The number of this process among those that share the port; alone it has none. */
  readonly processNumber?: string | undefined;
  /** See {@link AppOptions.allMetrics}. */
  readonly allMetrics?: AppOptions['allMetrics'];
}

/** What works beside the requests; closed after the last of them, where it is to be closed. */
interface Beside {
  readonly evidence: TrafficEvidence;
  readonly explainers: Explainers;
  readonly tracing: Tracing | undefined;
  readonly log: PredictionLog | undefined;
}

/**
 * A model server over HTTP in this process. It knows nothing of Temporal and MLflow: it serves the routes that it was
 * last given, also after a restart.
 *
 * @example
 * const server = await ModelServer.create({ serverId: 'a', store, routesFile: 'routes.json', logger });
 * await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
 * await fetch(`${server.url}/invocations`, { method: 'POST', headers, body });
 * await server.close();
 */
export class ModelServer {
  #closing: Promise<void> | undefined;
  #url = '';
  #watch: WatchedFiles | undefined;
  #internal: Server | undefined;

  private constructor(
    private readonly options: ModelServerOptions,
    /** Predictions without HTTP. */
    readonly dataPlane: DataPlane,
    /** What this process counts. */
    readonly metrics: ServingMetrics,
    /** How often callers may ask. */
    readonly rates: RateLimits,
    private readonly access: Access,
    private readonly host: ModelHost,
    private readonly app: FastifyInstance,
    private readonly beside: Beside,
  ) {}

  /** Restores the last routes, then listens. */
  static async create(options: ModelServerOptions): Promise<ModelServer> {
    const server = await ModelServer.open(options);
    await server.listen();
    return server;
  }

  /**
   * All but to listen.
   *
   * @throws PerennialError `InputInvalid` where keys or certificates cannot be used, or anybody could ask from outside
   */
  static async open(options: ModelServerOptions): Promise<ModelServer> {
    const { host: address = '127.0.0.1', logger, token, events } = options;
    const tls = options.tls && (await readTls(options.tls));
    const access = options.access
      ? await Access.create(options.access, logger)
      : Access.ofToken(token, logger);
    const guarded = access.required || tls?.requestCert === true;
    try {
      checkExposure(address, guarded, options, logger);
      if (options.replay)
        logger.warn({}, 'takes recorded traffic: requests may say at which time they are put on record');
      const version = await packageVersion();
      const batches = new BatchMetrics();
      const host = await ModelHost.create({
        ...options,
        watchRuns: (endpoint, model, waiting) => batches.of(endpoint, model, waiting),
      });
      const dataPlane = new DataPlane(host, { features: options.features, logger });
      const evidence = new TrafficEvidence(options.serverId, (endpoint) => host.state(endpoint)?.table);
      dataPlane.listen(evidence);
      const metrics = new ServingMetrics(dataPlane, { version, process: options.processNumber });
      metrics.add(batches);
      const log = await options.predictionLog?.((endpoint) => host.state(endpoint)?.table.log);
      if (log) {
        dataPlane.listen(log);
        metrics.add(new LogMetrics(() => log.stats()));
      }
      const explainers = new Explainers(options.store, options.explaining);
      const tracing = await openTracing({ serverId: options.serverId, version }, logger);
      const rates = new RateLimits(access.settings.rate);
      // Rows become training data: off this machine nobody pushes them without a token.
      const takesEvents = isLoopback(address) || guarded || events?.token !== undefined;
      const app = createApp({
        dataPlane,
        logger,
        version,
        explainers,
        tracing,
        feedback: log,
        access,
        rates,
        metrics,
        allMetrics: options.allMetrics,
        requests: options.requests,
        replay: options.replay,
        tls,
        ...(takesEvents ? { events } : {}),
      });
      return new ModelServer(options, dataPlane, metrics, rates, access, host, app, {
        evidence,
        explainers,
        tracing,
        log,
      });
    } catch (error) {
      access.close();
      throw error;
    }
  }

  get serverId(): string {
    return this.options.serverId;
  }

  /** Where it listens, for example `http://127.0.0.1:41873`. */
  get url(): string {
    return this.#url;
  }

  /** Where the server itself asks: as `url`, but beside TLS a plain socket on this machine. */
  get internalUrl(): string {
    return this.#internal ? `http://127.0.0.1:${this.options.internalPort ?? 0}` : this.#url;
  }

  /** Begins to accept requests. Where that fails, everything is closed. */
  async listen(): Promise<void> {
    const { host = '127.0.0.1', port = 0, tls, internalPort, logger } = this.options;
    try {
      const url = await this.app.listen({ host, port });
      this.#url = tls ? url.replace(/^http:/, 'https:') : url;
      const { server } = this.app;
      if (tls && server instanceof TlsServer) this.#watch = await watchTls(tls, server, logger);
      if (tls && internalPort !== undefined) {
        const limits = requestLimits.parse(this.options.requests ?? {});
        this.#internal = createHttpServer(limits, undefined, this.app.routing);
        this.#internal.on('clientError', clientErrorAnswer);
        this.#internal.listen({ host: '127.0.0.1', port: internalPort });
        await once(this.#internal, 'listening');
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Puts a traffic table into force; see {@link ModelHost.applyRoutes}. */
  applyRoutes(table: RouteTableInput): Promise<RouteAck> {
    return this.host.applyRoutes(table);
  }

  /** The first half of a change of routes; see {@link ModelHost.prepare}. */
  prepare(table: RouteTableInput): Promise<PreparedRoutes> {
    return this.host.prepare(table);
  }

  /** Takes up tables that are in force elsewhere; see {@link ModelHost.restore}. */
  restore(tables: readonly RouteTable[]): Promise<void> {
    return this.host.restore(tables);
  }

  /** Loads a version without a route, to be asked by its version; see {@link ModelHost.loadCandidate}. */
  loadCandidate(endpoint: string, model: ServedModel): Promise<void> {
    return this.host.loadCandidate(endpoint, model);
  }

  /** Frees a version that {@link loadCandidate} loaded. */
  unloadCandidate(endpoint: string, version: string): Promise<void> {
    return this.host.unloadCandidate(endpoint, version);
  }

  /** Resident bytes, at their most, of the process of a candidate; see {@link ModelHost.candidateMemory}. */
  candidateMemory(endpoint: string, version: string): Promise<number | null> {
    return Promise.resolve(this.host.candidateMemory(endpoint, version));
  }

  /** What this process saw of an endpoint since the generation in force began. */
  observeTraffic(endpoint: string): Promise<TrafficReport> {
    return Promise.resolve(this.beside.evidence.report(endpoint));
  }

  /** The tables in force. */
  tables(): RouteTable[] {
    return this.host.tables();
  }

  /**
   * Says that it is not ready; after a delay stops accepting requests, answers those under way, then frees the models.
   * Every answer from the beginning on ends its connection, so that clients go elsewhere.
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close({ delayMs = 0, graceMs = CLOSE_GRACE_MS }: CloseOptions): Promise<void> {
    const { server } = this.app;
    this.dataPlane.drain();
    server.prependListener('request', (_request, response) => {
      response.shouldKeepAlive = false;
    });
    if (delayMs > 0) await sleep(delayMs);
    // A connection that was busy when closing began is kept alive after its answer; nobody else would end it.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    const deadline = setTimeout(() => server.closeAllConnections(), graceMs);
    try {
      this.#internal?.close();
      await this.app.close();
    } finally {
      this.#internal?.closeAllConnections();
      clearInterval(sweep);
      clearTimeout(deadline);
      this.#watch?.close();
      this.access.close();
    }
    const { explainers, tracing, log } = this.beside;
    explainers.close();
    await tracing?.close();
    await log?.close();
    await this.host.close();
    await this.options.features?.close();
  }
}

/** @throws PerennialError `InputInvalid` */
function checkExposure(
  address: string,
  guarded: boolean,
  { allowAnonymous = false }: ModelServerOptions,
  logger: Logger,
): void {
  if (guarded || isLoopback(address)) return;
  if (!allowAnonymous)
    throw new PerennialError(
      'InputInvalid',
      `anybody who reaches ${address} could ask for predictions: make a key with \`perennial server-key add\`, set PERENNIAL_SECRET_SERVER_TOKEN, or allow it with PERENNIAL_SERVER_ALLOW_ANONYMOUS=true`,
    );
  logger.warn(
    { address },
    'anybody who reaches this address can ask for predictions; nobody can push events',
  );
}

function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || address.startsWith('127.');
}
