import type { Worker } from 'node:cluster';
import { z } from 'zod';
import { Channel } from './channel.ts';
import type { WatchedMember } from './evidence-sum.ts';
import type { CountingMember } from './metrics-sum.ts';
import type { RouteMember } from './routes-in-force.ts';
import { forkServing, type ServingFork } from './serving-fork.ts';

/** How patient the supervisor is with serving processes. */
export interface SupervisionLimits {
  /** Between two questions whether it is alive. */
  readonly pingMs: number;
  /** An event loop that does not answer for so long hangs: the process is killed. */
  readonly hangMs: number;
  /** The same while it loads models, which may stop the event loop for long. */
  readonly loadMs: number;
  /** Pause before the first restart; doubled each time. */
  readonly restartMs: number;
  /** The longest pause. */
  readonly maxRestartMs: number;
}

export const DEFAULT_SUPERVISION: SupervisionLimits = {
  pingMs: 1_000,
  hangMs: 10_000,
  loadMs: 120_000,
  restartMs: 100,
  maxRestartMs: 30_000,
};

/** How a serving process ended. */
export interface MemberEnd {
  readonly reason: 'crash' | 'hang' | 'asked';
  /** For the log. */
  readonly how: string;
}

/** What may take as long as loading a model. */
const LOADING: readonly string[] = ['start', 'join', 'prepare', 'loadCandidate'];
const METRICS_MS = 1_000;

/** The supervisor's side of one serving process, from its fork to its end. */
export class ServingMember implements RouteMember, CountingMember, WatchedMember {
  readonly channel: Channel;
  readonly ended: Promise<MemberEnd>;
  /** Until it listens to its pipe, what is sent there is lost. */
  readonly #listens: Promise<unknown>;
  readonly #worker: Worker;
  readonly #limits: SupervisionLimits;
  #loading = 0;
  #silent = 0;
  #reason: MemberEnd['reason'] = 'crash';
  #why = '';

  private constructor({ worker, said }: ServingFork, limits: SupervisionLimits) {
    this.#worker = worker;
    this.#limits = limits;
    this.channel = new Channel((message) => {
      worker.send(message, (error) => {
        if (error) this.channel.close(this.#gone());
      });
    });
    this.#listens = new Promise((resolve) => this.channel.handle('hello', resolve));
    for (const message of said) this.channel.receive(message);
    worker.on('message', (message: unknown) => this.channel.receive(message));
    const pings = setInterval(() => this.#ping(), limits.pingMs);
    this.ended = new Promise((resolve) => {
      const end = (how: string): void => {
        clearInterval(pings);
        this.#why ||= how;
        this.channel.close(this.#gone());
        resolve({ reason: this.#reason, how: this.#why });
      };
      worker.once('exit', (code: number | null, signal: string | null) =>
        end(signal ? `killed by ${signal}` : `exit code ${code ?? '?'}`),
      );
      worker.once('error', (error: Error) => end(error.message));
    });
  }

  /** See {@link forkServing}. */
  static fork(limits: SupervisionLimits, entry?: string): ServingMember {
    return new ServingMember(forkServing(entry), limits);
  }

  get pid(): number | undefined {
    return this.#worker.process.pid;
  }

  async ask(kind: string, payload?: unknown, timeoutMs?: number): Promise<unknown> {
    const loads = LOADING.includes(kind);
    if (loads) this.#loading += 1;
    try {
      await Promise.race([this.#listens, this.ended]);
      return await this.channel.ask(kind, payload, timeoutMs);
    } finally {
      if (loads) this.#loading -= 1;
    }
  }

  counted(): Promise<unknown> {
    return this.channel.ask('metrics', undefined, METRICS_MS);
  }

  traffic(endpoint: string): Promise<unknown> {
    return this.channel.ask('traffic', { endpoint }, METRICS_MS);
  }

  /** Resident bytes of the process that holds a candidate of this one; `null` where that cannot be told. */
  async candidateMemory(endpoint: string, version: string): Promise<number | null> {
    const bytes = await this.channel.ask('candidateMemory', { endpoint, version }, METRICS_MS);
    return z.number().nullable().parse(bytes);
  }

  /** The next end is as it should be. */
  expectEnd(): void {
    this.#reason = 'asked';
  }

  replace(reason: string): void {
    this.#why ||= reason;
    this.#kill();
  }

  /** Ends it for good. */
  kill(): void {
    this.expectEnd();
    this.#kill();
  }

  #ping(): void {
    const patience = this.#loading > 0 ? this.#limits.loadMs : this.#limits.hangMs;
    // Counted in pings and not by the clock: where this very process was stopped, nobody else has been silent.
    if (this.#reason === 'crash' && this.#silent * this.#limits.pingMs >= patience) {
      this.#reason = 'hang';
      this.#why = `its event loop did not answer for ${patience} ms`;
      this.#kill();
      return;
    }
    this.#silent += 1;
    this.ask('ping').then(
      () => {
        this.#silent = 0;
      },
      () => undefined,
    );
  }

  #kill(): void {
    this.#worker.process.kill('SIGKILL');
  }

  #gone(): string {
    return `the serving process ${this.pid ?? ''} ended${this.#why && `: ${this.#why}`}`;
  }
}
