import { PerennialError } from '../../contracts/errors.ts';
import { makePrivateDir, type PlatformPaths, platformPaths } from './files.ts';
import { ProcessLock } from './lock.ts';
import { capRunningLog } from './logs.ts';
import { mlflowPart } from './mlflow-part.ts';
import { type PlatformOptions, type ResolvedOptions, resolveOptions } from './options.ts';
import { type OwnPartSettings, ownPart } from './own-part.ts';
import { type PartDefinition, SupervisedPart } from './part.ts';
import { PortClaims } from './port-claims.ts';
import { choosePorts, type Ports } from './ports.ts';
import { findPython, findTemporalCli } from './programs.ts';
import { endLeftovers, runningPlatform } from './running.ts';
import {
  PART_NAMES,
  type PartName,
  type PartStatus,
  type PlatformStatus,
  readState,
  writeState,
} from './state.ts';
import { formatStatus } from './status.ts';
import { temporalPart } from './temporal-part.ts';

/** Thrown where a platform already runs on the data directory. Nothing was changed. */
export class PlatformRunningError extends PerennialError {
  /** The platform that runs; `undefined` while it is only starting. */
  constructor(
    readonly running: PlatformStatus | undefined,
    pid: number,
    dataDir: string,
  ) {
    super(
      'InputInvalid',
      `Perennial already runs on ${dataDir} (process ${pid}); "perennial down" stops it.${running ? `\n${formatStatus(running)}` : ''}`,
    );
  }
}

const LOG_CHECK_MS = 60_000;

/**
 * Everything that Perennial needs on one machine, started and watched as child processes: the Temporal dev server,
 * the MLflow server, the worker and the model server. All listen on the loopback interface only.
 *
 * @example
 * const platform = await Platform.start({ dataDir: '.perennial' });
 * platform.stopOnSignals();
 * process.stdout.write(formatStatus(platform.status()));
 * await platform.closed;
 */
export class Platform {
  /** Resolves when the platform has stopped. */
  readonly closed: Promise<void>;
  readonly #options: ResolvedOptions;
  readonly #given: PlatformOptions;
  readonly #paths: PlatformPaths;
  readonly #lock: ProcessLock;
  readonly #ports: Ports;
  readonly #startedAt = new Date().toISOString();
  readonly #parts = new Map<PartName, SupervisedPart>();
  readonly #onExit = (): void => {
    for (const part of this.#parts.values()) part.abandon();
  };
  readonly #logTimer: NodeJS.Timeout;
  #starting: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;
  #resolveClosed: () => void = () => {};
  #released = false;

  private constructor(given: PlatformOptions, options: ResolvedOptions, lock: ProcessLock, ports: Ports) {
    this.#given = given;
    this.#options = options;
    this.#paths = platformPaths(options.dataDir);
    this.#lock = lock;
    this.#ports = ports;
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    // A supervisor that ends in an unforeseen way takes its parts along where it still can.
    process.once('exit', this.#onExit);
    this.#logTimer = setInterval(() => this.#capLogs(), LOG_CHECK_MS);
    this.#logTimer.unref();
  }

  /**
   * Starts the parts and resolves when all of them are ready. What ran before on this data directory goes on where it
   * stopped; parts that a killed supervisor left behind are ended first.
   *
   * @throws PlatformRunningError where one already runs there
   * @throws PerennialError `InputInvalid` for a wrong option or a missing program, `StageFailed` where a part does not
   *   become ready; no part is left running then
   */
  static async start(given: PlatformOptions = {}): Promise<Platform> {
    const options = resolveOptions(given);
    const paths = platformPaths(options.dataDir);
    makePrivateDir(options.dataDir);
    const lock = ProcessLock.acquire(paths.lock);
    if (!(lock instanceof ProcessLock)) {
      throw new PlatformRunningError(runningPlatform(options.dataDir), lock.pid, options.dataDir);
    }
    let platform: Platform | undefined;
    const claims = new PortClaims();
    try {
      await endLeftovers(options.dataDir, options.limits.graceMs);
      const previous = readState(options.dataDir)?.ports ?? {};
      const ports = await choosePorts(given.ports ?? {}, previous, claims);
      platform = new Platform(given, options, lock, ports);
      platform.#starting = platform.#startParts();
      await platform.#starting;
      return platform;
    } catch (error) {
      if (platform) await platform.stop();
      else lock.release();
      throw error;
    } finally {
      claims.release();
    }
  }

  /** What runs where, now. */
  status(): PlatformStatus {
    const { dataDir, namespace, serverId, env } = this.#options;
    const replay = this.#given.replay ?? env.PERENNIAL_REPLAY === '1';
    const temporalUi = this.#temporalUi();
    const mlflowUri = this.#mlflowUri();
    return {
      dataDir,
      ...(this.#released ? {} : { supervisor: this.#lock.owner }),
      startedAt: this.#startedAt,
      temporalAddress: this.#temporalAddress(),
      namespace,
      ...(temporalUi ? { temporalUi } : {}),
      ...(mlflowUri ? { mlflowUri } : {}),
      serverId,
      ...(replay ? { replay } : {}),
      parts: PART_NAMES.flatMap((name) => this.#partStatus(name)),
    };
  }

  /** Stops the model server and the worker, then MLflow, then Temporal. Safe to call more than once. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  /**
   * Stops the platform on Ctrl-C, `kill` and a closed terminal. A second signal of the same kind ends the process at
   * once.
   */
  stopOnSignals(): void {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.once(signal, () => void this.stop());
  }

  async #startParts(): Promise<void> {
    const { parts, dataDir, namespace, env } = this.#options;
    const definitions: PartDefinition[] = [];
    // Programs are looked for before anything starts: a missing one is told at once.
    if (parts.has('temporal')) {
      definitions.push(
        temporalPart(dataDir, findTemporalCli(this.#given.temporalCli, env), this.#ports, namespace, env),
      );
    }
    const python =
      parts.has('mlflow') || parts.has('worker') ? findPython(this.#given.python, env) : undefined;
    if (python && parts.has('mlflow')) definitions.push(mlflowPart(dataDir, python, this.#ports.mlflow, env));
    for (const folder of [this.#paths.temporal, this.#paths.mlflow, this.#paths.logs]) makePrivateDir(folder);
    await this.#startTogether(definitions);
    const settings = this.#ownSettings(python);
    const own = (['worker', 'server'] as const).filter((name) => parts.has(name));
    await this.#startTogether(own.map((name) => ownPart(name, settings)));
  }

  /** Starts parts side by side; the first failure ends the start, and the stop that follows ends the others. */
  async #startTogether(definitions: readonly PartDefinition[]): Promise<void> {
    const { limits } = this.#options;
    const started = definitions.map((definition) => {
      const part = new SupervisedPart(definition, limits, (status, seconds) =>
        this.#changed(status, seconds),
      );
      this.#parts.set(definition.name, part);
      return part;
    });
    await Promise.all(started.map((part) => (this.#isStopping() ? Promise.resolve('') : part.start())));
    if (this.#isStopping()) {
      throw new PerennialError('StageFailed', 'The platform was stopped while it started.');
    }
  }

  #isStopping(): boolean {
    return this.#stopped !== undefined;
  }

  async #stop(): Promise<void> {
    for (const group of [['server', 'worker'], ['mlflow'], ['temporal']] as const) {
      await Promise.all(group.map((name) => this.#parts.get(name)?.stop()));
    }
    await this.#starting.catch(() => undefined);
    clearInterval(this.#logTimer);
    process.removeListener('exit', this.#onExit);
    this.#released = true;
    this.#save();
    this.#lock.release();
    this.#resolveClosed();
  }

  #ownSettings(python: string | undefined): OwnPartSettings {
    const { dataDir, namespace, serverId, sourceRoots, env } = this.#options;
    return {
      dataDir,
      temporalAddress: this.#temporalAddress(),
      namespace,
      mlflowUri: this.#mlflowUri(),
      temporalUi: this.#temporalUi(),
      python,
      serverPort: this.#ports.server,
      serverId,
      sourceRoots,
      resources: this.#given.resources,
      replay: this.#given.replay,
      script: this.#given.script,
      env,
    };
  }

  #temporalAddress(): string {
    return this.#given.temporalAddress ?? `127.0.0.1:${this.#ports.temporal}`;
  }

  #temporalUi(): string | undefined {
    return this.#options.parts.has('temporal') ? `http://127.0.0.1:${this.#ports.temporalUi}` : undefined;
  }

  #mlflowUri(): string | undefined {
    if (this.#given.mlflowUri) return this.#given.mlflowUri;
    return this.#options.parts.has('mlflow') ? `http://127.0.0.1:${this.#ports.mlflow}` : undefined;
  }

  #partStatus(name: PartName): PartStatus[] {
    const part = this.#parts.get(name);
    if (part) return [part.status()];
    const url =
      name === 'temporal'
        ? this.#given.temporalAddress
        : name === 'mlflow'
          ? this.#given.mlflowUri
          : undefined;
    return url ? [{ name, state: 'external', url, since: this.#startedAt, restarts: 0 }] : [];
  }

  #changed(part: PartStatus, seconds: number | undefined): void {
    this.#save();
    this.#given.onEvent?.({ part, seconds });
  }

  /** Written at every change, synchronously: a supervisor that is killed the moment after leaves no unknown child. */
  #save(): void {
    writeState(this.#options.dataDir, { schemaVersion: 1, ports: this.#ports, status: this.status() });
  }

  #capLogs(): void {
    for (const { log } of this.status().parts) if (log) capRunningLog(log);
  }
}
