import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { PerennialError } from '../../contracts/errors.ts';
import { openLog, readLog, sizeOf } from './logs.ts';
import {
  identityOf,
  isAlive,
  type ProcessIdentity,
  sendSignal,
  signalGroup,
  waitForEnd,
} from './process-identity.ts';
import type { PartName, PartState, PartStatus } from './state.ts';

/** What a part is: a program, and how one knows that it is ready. */
export interface PartDefinition {
  readonly name: PartName;
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly log: string;
  /** The address where it is known before the start. */
  readonly url?: string;
  /** Work before each start, such as a database migration. */
  readonly prepare?: () => Promise<void>;
  /**
   * Called every few milliseconds until it answers something else than `undefined`: the part is ready, and this is
   * its address (`''` where it has none).
   *
   * @param output what the process has written to its log so far
   */
  readonly probe: (output: string) => Promise<string | undefined>;
}

/** How patient the supervisor is. */
export interface SupervisionLimits {
  /** From the start of a process until it must be ready. */
  readonly readyTimeoutMs: number;
  /** From SIGTERM to SIGKILL. */
  readonly graceMs: number;
  /** Crashes in a row after which a part is given up. */
  readonly maxRestarts: number;
  /** Pause before the first restart; doubled each time, up to 30 s. */
  readonly restartDelayMs: number;
  /** A part that was ready for so long starts counting its crashes anew. */
  readonly stableAfterMs: number;
}

const POLL_MS = 25;
const MAX_DELAY_MS = 30_000;
/** Programs choose further ports themselves, which another program may take before they listen. */
const PORT_TAKEN = /address already in use|EADDRINUSE/i;
const MOST_STARTS = 3;

/**
 * One child process that is kept alive: started, probed until it is ready, restarted with growing pauses when it
 * ends by itself, stopped by SIGTERM and, after a grace period, SIGKILL.
 *
 * The child leads a process group of its own: Ctrl-C in the terminal reaches the supervisor only, which then stops
 * the parts in the right order. It writes straight to its log file, so it does not need the supervisor to live.
 */
export class SupervisedPart {
  readonly #definition: PartDefinition;
  readonly #limits: SupervisionLimits;
  readonly #onChange: (status: PartStatus, seconds: number | undefined) => void;
  #child: ChildProcess | undefined;
  #identity: ProcessIdentity | undefined;
  #url: string | undefined;
  #state: PartState = 'stopped';
  #since = new Date();
  #note: string | undefined;
  #restarts = 0;
  #crashesInARow = 0;
  #stopping = false;
  #wake: (() => void) | undefined;
  #supervision: Promise<void> = Promise.resolve();

  constructor(
    definition: PartDefinition,
    limits: SupervisionLimits,
    onChange: (status: PartStatus, seconds: number | undefined) => void,
  ) {
    this.#definition = definition;
    this.#limits = limits;
    this.#onChange = onChange;
    this.#url = definition.url;
  }

  /**
   * Starts the process and waits until it is ready. From then on a crash is repaired in the background.
   *
   * @returns the address of the part, `''` where it has none
   * @throws PerennialError `StageFailed` where it ends first or is not ready in time; nothing is left running then
   */
  async start(): Promise<string> {
    this.#stopping = false;
    const begin = performance.now();
    const launch = this.#firstLaunch();
    this.#supervision = launch.then(
      () => undefined,
      () => undefined,
    );
    const url = await launch;
    this.#become('ready', undefined, (performance.now() - begin) / 1_000);
    this.#supervision = this.#supervise();
    return url;
  }

  /** Ends the process and stops watching it. Safe to call at any time and more than once. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#wake?.();
    await this.#end();
    await this.#supervision;
    this.#become('stopped', undefined);
  }

  /** Kills what is left, without waiting: for the last moment of the supervisor. */
  abandon(): void {
    if (this.#identity) signalGroup(this.#identity, 'SIGTERM');
  }

  status(): PartStatus {
    return {
      name: this.#definition.name,
      state: this.#state,
      since: this.#since.toISOString(),
      restarts: this.#restarts,
      log: this.#definition.log,
      ...(this.#url ? { url: this.#url } : {}),
      ...(this.#identity ? { process: this.#identity } : {}),
      ...(this.#note ? { note: this.#note } : {}),
    };
  }

  /** Starts again where a port was taken just then. */
  async #firstLaunch(): Promise<string> {
    for (let times = 1; ; times++) {
      try {
        return await this.#launch();
      } catch (error) {
        const mayPass = error instanceof Error && PORT_TAKEN.test(error.message);
        if (!mayPass || this.#stopping || times === MOST_STARTS) throw error;
        await this.#pause(this.#limits.restartDelayMs);
      }
    }
  }

  /** One process from its start to readiness. On failure it is ended before the error is thrown. */
  async #launch(): Promise<string> {
    const { name, log, prepare } = this.#definition;
    await prepare?.();
    if (this.#stopping)
      throw new PerennialError('StageFailed', `The ${name} process was stopped before it started.`);
    const offset = sizeOf(log);
    const child = this.#spawn();
    const exited = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) =>
        resolve(signal ? `was ended by ${signal}` : `ended with exit code ${code}`),
      );
    });
    let ended: string | undefined;
    void exited.then((how) => {
      ended = how;
    });
    const deadline = performance.now() + this.#limits.readyTimeoutMs;
    while (ended === undefined && !this.#stopping) {
      const url = await this.#definition.probe(readLog(log, offset)).catch(() => undefined);
      if (url !== undefined && ended === undefined) {
        this.#url = url || undefined;
        return url;
      }
      if (performance.now() > deadline) {
        await this.#end();
        ended = `was not ready within ${Math.round(this.#limits.readyTimeoutMs / 1_000)} s`;
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    await this.#end();
    const words = lastLines(readLog(log, offset));
    throw new PerennialError(
      'StageFailed',
      `The ${name} process ${ended ?? 'was stopped while it started'}.${words ? ` Its last words: ${words}` : ''} All of them are in ${log}.`,
      true,
    );
  }

  #spawn(): ChildProcess {
    const { command, args, cwd, env, log } = this.#definition;
    const file = openLog(log);
    try {
      const child = spawn(command, args, {
        cwd,
        env,
        detached: true,
        shell: false,
        stdio: ['ignore', file, file],
      });
      this.#child = child;
      this.#identity = child.pid === undefined ? undefined : identityOf(child.pid);
      // What the process started must not outlive it; a group keeps its number as long as it has a member.
      child.once('exit', () => {
        if (child.pid !== undefined) sendSignal(-child.pid, 'SIGKILL');
      });
      this.#become('starting', undefined);
      return child;
    } finally {
      closeSync(file);
    }
  }

  async #supervise(): Promise<void> {
    let readySince = performance.now();
    while (!this.#stopping) {
      const how = await this.#untilExit();
      if (this.#stopping) return;
      if (performance.now() - readySince >= this.#limits.stableAfterMs) this.#crashesInARow = 0;
      let problem = `It ${how}.`;
      while (!this.#stopping) {
        this.#identity = undefined;
        if (this.#crashesInARow >= this.#limits.maxRestarts) {
          this.#become(
            'failed',
            `${problem} It is not started again after ${this.#crashesInARow} restarts; see ${this.#definition.log}, then run "perennial down" and "perennial up".`,
          );
          return;
        }
        const delay = Math.min(this.#limits.restartDelayMs * 2 ** this.#crashesInARow, MAX_DELAY_MS);
        this.#crashesInARow += 1;
        this.#become('restarting', problem);
        await this.#pause(delay);
        if (this.#stopping) return;
        this.#restarts += 1;
        const begin = performance.now();
        try {
          await this.#launch();
        } catch (error) {
          problem = error instanceof Error ? error.message : String(error);
          continue;
        }
        if (this.#stopping) return;
        readySince = performance.now();
        this.#become('ready', undefined, (readySince - begin) / 1_000);
        break;
      }
    }
  }

  #untilExit(): Promise<string> {
    const child = this.#child;
    if (!child) return Promise.resolve('did not start');
    return new Promise((resolve) => {
      const report = (code: number | null, signal: NodeJS.Signals | null): void =>
        resolve(signal ? `was ended by ${signal}` : `ended with exit code ${code}`);
      if (child.exitCode !== null || child.signalCode !== null) report(child.exitCode, child.signalCode);
      else child.once('exit', report);
    });
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async #end(): Promise<void> {
    const identity = this.#identity;
    if (identity && isAlive(identity)) await endGroup(identity, this.#limits.graceMs);
    this.#identity = undefined;
  }

  #become(state: PartState, note: string | undefined, seconds?: number): void {
    this.#state = state;
    this.#since = new Date();
    this.#note = note;
    this.#onChange(this.status(), seconds);
  }
}

/** Asks a process group to leave and, after the grace period, makes it. */
export async function endGroup(identity: ProcessIdentity, graceMs: number): Promise<void> {
  // The leader alone is asked: a model server or worker ends its own children in its own order.
  if (!isAlive(identity)) return;
  sendSignal(identity.pid, 'SIGTERM');
  if (await waitForEnd(identity, graceMs)) return;
  signalGroup(identity, 'SIGKILL');
  await waitForEnd(identity, 5_000);
}

/** The end of a log in one line, short enough for a message. */
function lastLines(output: string): string {
  return output.trim().split('\n').slice(-5).join(' | ').slice(-600);
}
