import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { TrafficReport } from '../../contracts/rollout-evidence.ts';
import type { RouteAck, RouteTable, RouteTableInput, ServedModel } from '../../contracts/serving.ts';
import { CLOSE_GRACE_MS, type CloseOptions } from '../close-options.ts';
import type { BatchingLimits } from '../micro-batcher.ts';
import { type RequestLimits, requestLimits } from '../request-limits.ts';
import { type AccessSettingsInput, accessSettings } from '../security/access.ts';
import type { TlsSettings } from '../security/tls.ts';
import type { MetricFamily } from '../telemetry/metric-source.ts';
import type { Handler } from './channel.ts';
import { answerEvents, type EventRelay } from './event-relay.ts';
import { EvidenceSum } from './evidence-sum.ts';
import { MetricsSum } from './metrics-sum.ts';
import { RoutesInForce } from './routes-in-force.ts';
import { DEFAULT_SUPERVISION, ServingMember, type SupervisionLimits } from './serving-member.ts';
import { joined, type ServingSettings, type StoreSettings, usagePayload } from './settings.ts';

/** What {@link startServing} needs. Nothing is read from the environment. */
export interface ServingOptions {
  readonly serverId: string;
  /** Path of the file that keeps the routes over restarts. */
  readonly routesFile: string;
  /** Where the models' bytes are. */
  readonly store: StoreSettings;
  /** Of the supervisor; serving processes write JSON lines to standard error, from `logLevel` on. */
  readonly logger: Logger;
  /** Default `info`. */
  readonly logLevel?: string | undefined;
  /** How many processes serve, default 1. */
  readonly processes?: number | undefined;
  /** Address to listen on, default `127.0.0.1`. */
  readonly host?: string | undefined;
  /** Port, default 0: any free one. */
  readonly port?: number | undefined;
  /** Who may ask, default anybody on this machine. */
  readonly access?: AccessSettingsInput | undefined;
  readonly tls?: TlsSettings | undefined;
  /** Serves anybody who reaches an address that is not a loopback one, default `false`. */
  readonly allowAnonymous?: boolean | undefined;
  /** For each process. */
  readonly requests?: Partial<RequestLimits> | undefined;
  /** Threads of one run of a model, default 1. */
  readonly threads?: number | undefined;
  /** How requests share runs of a model, and how many may wait for it. */
  readonly batching?: BatchingLimits | undefined;
  /** The most rows of one request, default 10,000. */
  readonly maxRows?: number | undefined;
  /** Puts answers on record in segments below the store's data directory; without it nothing is. */
  readonly predictions?: ServingSettings['predictions'];
  /** Takes rows that are pushed. */
  readonly events?: { readonly relay: EventRelay; readonly token?: string | undefined } | undefined;
  /** Answers other questions and news of serving processes, by their kind. */
  readonly handlers?: Readonly<Record<string, Handler>> | undefined;
  readonly supervision?: Partial<SupervisionLimits> | undefined;
  /** The program of the serving processes, default the package's own. */
  readonly entry?: string | undefined;
}

/** Beyond the grace of a drain: a process that is not done then is killed. */
const CLOSE_SLACK_MS = 5_000;
/** A process that served so long starts counting its restarts anew. */
const STABLE_MS = 60_000;

/**
 * Starts a model server of several processes, and waits until all of them accept requests.
 *
 * @throws PerennialError `InputInvalid` for keys, certificates or an address that cannot be used; an `Error` with
 *   `EADDRINUSE` for a port that is taken. Nothing is left running then
 * @example
 * const server = await startServing({ serverId: 'a', routesFile: 'routes.json', store: { dataDir: '.' }, logger });
 * await server.applyRoutes({ endpoint: 'churn', generation: 1, routes: [{ model, weight: 100 }] });
 * await server.close({ delayMs: 5_000 });
 */
export async function startServing(options: ServingOptions): Promise<ServingSupervisor> {
  const supervisor = new ServingSupervisor(options);
  await supervisor.start();
  return supervisor;
}

/**
 * Keeps serving processes alive and makes them answer as one server: they share the socket, change their routes
 * together, and are counted together. One that ends or hangs is replaced; the others serve on.
 */
export class ServingSupervisor {
  /** A token with all roles that only this process knows. */
  readonly internalToken = randomBytes(32).toString('base64url');
  readonly #members = new Set<ServingMember>();
  readonly #serving = new Set<ServingMember>();
  readonly #slots: Promise<void>[] = [];
  readonly #sum = new MetricsSum(() => this.#serving.size);
  readonly #evidence: EvidenceSum;
  readonly #stopping = new AbortController();
  readonly #limits: SupervisionLimits;
  #routes: Promise<RoutesInForce> | undefined;
  #ports: Promise<{ port: number; internalPort: number }> | undefined;
  #where = { url: '', internalUrl: '' };
  #closing: Promise<void> | undefined;

  constructor(private readonly options: ServingOptions) {
    this.#limits = { ...DEFAULT_SUPERVISION, ...options.supervision };
    this.#evidence = new EvidenceSum(options.serverId);
  }

  get serverId(): string {
    return this.options.serverId;
  }

  /** Where it listens, for example `https://127.0.0.1:8443`. */
  get url(): string {
    return this.#where.url;
  }

  /** Where this process itself asks, with {@link internalToken}: never over TLS, always on this machine. */
  get internalUrl(): string {
    return this.#where.internalUrl;
  }

  /** Process ids of those that accept requests. */
  get pids(): number[] {
    return [...this.#serving].flatMap(({ pid }) => pid ?? []);
  }

  /** See {@link startServing}. */
  async start(): Promise<void> {
    const { processes = 1, host = '127.0.0.1', port = 0, serverId, routesFile, logger } = this.options;
    // Forked before anything else: they load their programs while the rest is found out.
    const first = Array.from({ length: processes }, () => this.#fork());
    this.#routes = RoutesInForce.open(serverId, routesFile, logger);
    this.#ports = portsOf(host, port);
    try {
      const starts = first.map((member, index) => this.#bring(member, index));
      for (const start of starts) start.catch(() => undefined);
      await Promise.all(starts);
    } catch (error) {
      this.#stopping.abort();
      for (const member of this.#members) member.kill();
      await Promise.all([...this.#members].map(({ ended }) => ended));
      throw error;
    }
    this.#slots.push(...first.map((member, index) => this.#keep(member, index)));
  }

  /** Puts a traffic table into force in all processes; see `ModelHost.applyRoutes`. */
  async applyRoutes(table: RouteTableInput): Promise<RouteAck> {
    return (await this.#inForce()).apply(table);
  }

  /** Loads a version without a route in all processes, to be asked by its version. */
  async loadCandidate(endpoint: string, model: ServedModel): Promise<void> {
    await (await this.#inForce()).loadCandidate(endpoint, model);
  }

  /** Frees a version that {@link loadCandidate} loaded. */
  async unloadCandidate(endpoint: string, version: string): Promise<void> {
    await (await this.#inForce()).unloadCandidate(endpoint, version);
  }

  /**
   * Resident bytes, at their most, of the process that holds a candidate alone: of the largest where there are several.
   *
   * @returns `null` where that cannot be told
   */
  async candidateMemory(endpoint: string, version: string): Promise<number | null> {
    const each = await Promise.all(
      [...this.#serving].map((member) => member.candidateMemory(endpoint, version).catch(() => null)),
    );
    const known = each.filter((bytes) => bytes !== null);
    return known.length === 0 ? null : Math.max(...known);
  }

  /** What all processes together saw of an endpoint since the generation in force began. */
  async observeTraffic(endpoint: string): Promise<TrafficReport> {
    const table = (await this.tables()).find((each) => each.endpoint === endpoint);
    return this.#evidence.collect(endpoint, table, [...this.#serving]);
  }

  /** The tables in force. */
  async tables(): Promise<RouteTable[]> {
    return (await this.#inForce()).tables();
  }

  /** The metrics of all processes; `metricsPage` writes them as one. */
  metrics(): Promise<MetricFamily[][]> {
    return this.#sum.collect([...this.#serving]);
  }

  /** Drains all processes and ends them; see `ModelServer.close`. One that is not done in time is killed. */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  async #close({ delayMs = 0, graceMs = CLOSE_GRACE_MS }: CloseOptions): Promise<void> {
    this.#stopping.abort();
    const patience = delayMs + graceMs + CLOSE_SLACK_MS;
    await Promise.all(
      [...this.#members].map(async (member) => {
        member.expectEnd();
        const done = new AbortController();
        member.channel.ask('close', { delayMs, graceMs }).catch(() => undefined);
        await Promise.race([
          member.ended,
          sleep(patience, undefined, { signal: done.signal }).then(
            () => member.kill(),
            () => undefined,
          ),
        ]);
        done.abort();
        await member.ended;
      }),
    );
    await Promise.all(this.#slots);
  }

  #inForce(): Promise<RoutesInForce> {
    return this.#routes ?? Promise.reject(new Error('the server has not started'));
  }

  #fork(): ServingMember {
    const member = ServingMember.fork(this.#limits, this.options.entry);
    this.#members.add(member);
    member.channel
      .handle('allMetrics', () => this.metrics())
      .handle('usage', (payload) => {
        const usage = usagePayload.parse(payload);
        for (const other of this.#serving) if (other !== member) other.channel.tell('charge', usage);
      });
    for (const [kind, handler] of Object.entries(this.options.handlers ?? {}))
      member.channel.handle(kind, handler);
    if (this.options.events) answerEvents(member.channel, this.options.events.relay);
    void member.ended.then(async (end) => {
      this.#members.delete(member);
      this.#serving.delete(member);
      (await this.#routes)?.leave(member);
      this.#evidence.ended(member);
      await this.#sum.ended(member, end.reason);
    });
    return member;
  }

  /** Takes a process from its fork to where it accepts requests. */
  async #bring(member: ServingMember, index: number): Promise<void> {
    const routes = await this.#inForce();
    const settings = await this.#settings(index);
    await member.ask('start', { settings, routes: routes.snapshot() });
    this.#where = joined.parse(await routes.join(member));
    this.#serving.add(member);
  }

  /** Replaces a process whenever it ends, with growing pauses. */
  async #keep(first: ServingMember, index: number): Promise<void> {
    const { logger } = this.options;
    const { signal } = this.#stopping;
    let member = first;
    let startedAt = performance.now();
    for (let wait = this.#limits.restartMs; ; wait = Math.min(wait * 2, this.#limits.maxRestartMs)) {
      const { reason, how } = await member.ended;
      if (signal.aborted) return;
      if (performance.now() - startedAt > STABLE_MS) wait = this.#limits.restartMs;
      logger.error(
        { process: index, pid: member.pid, reason, how, restartInMs: wait },
        'a serving process ended',
      );
      await sleep(wait, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      startedAt = performance.now();
      member = this.#fork();
      try {
        await this.#bring(member, index);
        logger.info({ process: index, pid: member.pid }, 'a serving process is back');
      } catch (error) {
        const words = error instanceof Error ? error.message : String(error);
        member.replace(`it could not start: ${words}`);
      }
    }
  }

  async #settings(index: number): Promise<ServingSettings> {
    const { options } = this;
    const { port, internalPort } = await (this.#ports ?? portsOf('127.0.0.1', 0));
    return {
      serverId: options.serverId,
      process: index,
      processes: options.processes ?? 1,
      host: options.host ?? '127.0.0.1',
      port,
      ...(options.tls ? { internalPort } : {}),
      store: options.store,
      access: accessSettings.parse({
        ...options.access,
        internalSha256: createHash('sha256').update(this.internalToken).digest('hex'),
      }),
      tls: options.tls,
      allowAnonymous: options.allowAnonymous ?? false,
      requests: requestLimits.parse(options.requests ?? {}),
      threads: options.threads,
      batching: options.batching ?? {},
      maxRows: options.maxRows,
      logLevel: options.logLevel ?? 'info',
      predictions: options.predictions,
      ...(options.events ? { events: { token: options.events.token } } : {}),
    };
  }
}

/** Processes that share a socket must all name its port, also one that is restarted. */
async function portsOf(host: string, port: number): Promise<{ port: number; internalPort: number }> {
  return {
    port: port === 0 ? await freePort(host) : port,
    internalPort: await freePort('127.0.0.1'),
  };
}

function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ host, port: 0 }, () => {
      const address = probe.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}
