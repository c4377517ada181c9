import { PerennialError } from '../../contracts/errors.ts';
import type { IncidentKind } from '../../contracts/serving.ts';
import { RESTARTS, type RestartPolicy, restartDelay } from '../../domain/restarts.ts';
import type { ColumnBatch, OutputColumns } from '../../lib/onnx/tabular-session.ts';
import type { ModelRunner } from '../model-runner.ts';
import { ChallengerFailure } from './challenger-failure.ts';
import type { ModelLink } from './model-link.ts';

/** However short the endpoint's deadline: a machine that is busy can keep a sound process silent for so long. */
const SILENCE_FLOOR_MS = 1_000;
/** Looks at a process that is silent before it counts as hanging. */
const LOOKS = 4;
/** A timer that is so late says that this thread was held, for example by the champion: who waited is not to blame. */
const HELD_MS = 100;
/** How long one that is closed may take for what it has been asked. */
const CLOSE_MS = 10_000;

/** What an {@link IsolatedRunner} needs. */
export interface IsolationOptions {
  /** Starts another process with the model. */
  readonly start: () => Promise<ModelLink>;
  /** Requests that it may have at a time; more are refused at once. */
  readonly maxRequests: number;
  /** Rows of them all; a larger one is taken where there is no other. */
  readonly maxRows: number;
  readonly restarts?: RestartPolicy | undefined;
  /** Told when a process has started, ended, or is not tried again. */
  readonly onChange?:
    | ((what: { event: 'started' | 'ended' | 'given-up'; pid?: number | undefined; reason?: string }) => void)
    | undefined;
}

/** Where it stands; what it is not able to do, it says to those who ask. */
type State =
  | { name: 'running'; link: ModelLink }
  | { name: 'starting' }
  | { name: 'waiting'; timer: NodeJS.Timeout }
  | { name: 'given-up' }
  | { name: 'closed' };

/**
 * A version in a process of its own: it may crash, hang or eat memory without hurting any other. Who asks gets an
 * answer or a {@link ChallengerFailure} within the deadline. A process that is silent for too long is killed; one that
 * ended is started again, each time after a longer wait, until that is not worth while.
 *
 * The champion computes on this thread, and while it does, an answer lies unread in the pipe. So nothing is judged
 * before the pipe has been read, and silence is counted in looks at it, not by the clock.
 */
export class IsolatedRunner implements ModelRunner {
  /** Silence of so many milliseconds, while it has something to do, means that it hangs; at least a second counts. */
  patienceMs = 5_000;
  #state: State = { name: 'starting' };
  #failure: { kind: IncidentKind; reason: string } | undefined;
  readonly #ends: number[] = [];
  #requests = 0;
  #rows = 0;
  /** Requests that somebody still waits for. */
  #awaited = 0;
  #busySince = 0;
  /** When it last gave a sign, as far as the looks have seen, and how many have seen none since. */
  #sign = 0;
  #looks = 0;
  #watch: NodeJS.Timeout | undefined;
  #idle: (() => void) | undefined;

  private constructor(private readonly options: IsolationOptions) {}

  /**
   * Starts the process and waits until it has loaded the model.
   *
   * @throws PerennialError `ArtifactMissing`, `ArtifactCorrupt`, `ModelInvalid`
   */
  static async create(options: IsolationOptions): Promise<IsolatedRunner> {
    const runner = new IsolatedRunner(options);
    runner.#running(await options.start());
    return runner;
  }

  /** Starts the process beside everything else, and again where it cannot be started. */
  static background(options: IsolationOptions): IsolatedRunner {
    const runner = new IsolatedRunner(options);
    void runner.#start();
    return runner;
  }

  /** Whether a request would reach the model now. */
  get available(): boolean {
    return this.#state.name === 'running';
  }

  /** Whether it will answer, now or later. */
  get usable(): boolean {
    return this.#state.name !== 'given-up' && this.#state.name !== 'closed';
  }

  /** Of the process that there is now. */
  get pid(): number | undefined {
    return this.#state.name === 'running' ? this.#state.link.pid : undefined;
  }

  /** @throws ChallengerFailure, or the PerennialError that the model gave */
  async run(batch: ColumnBatch, deadline = Number.POSITIVE_INFINITY): Promise<OutputColumns> {
    const state = this.#state;
    if (state.name !== 'running') throw this.#unable(state.name);
    const { maxRequests, maxRows } = this.options;
    if (this.#requests >= maxRequests || (this.#requests > 0 && this.#rows + batch.rows > maxRows))
      throw new ChallengerFailure('overload', 'it has as many requests as it can take');
    const timeout = deadline - performance.now();
    if (timeout <= 0) throw new ChallengerFailure('deadline', 'it had no time left');
    this.#awaited += 1;
    try {
      return await this.#ask(state.link, batch, timeout);
    } finally {
      this.#awaited -= 1;
      if (this.#awaited === 0) this.#idle?.();
    }
  }

  /** Waits, for ten seconds at most, for answers that somebody waits for, then ends the process. */
  async close(): Promise<void> {
    const state = this.#state;
    if (state.name === 'closed') return;
    this.#state = { name: 'closed' };
    clearTimeout(this.#watch);
    if (state.name === 'waiting') clearTimeout(state.timer);
    if (state.name !== 'running') return;
    if (this.#awaited > 0) {
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        new Promise<void>((resolve) => {
          this.#idle = resolve;
        }),
        new Promise<void>((resolve) => {
          timer = setTimeout(resolve, CLOSE_MS);
        }),
      ]);
      clearTimeout(timer);
    }
    state.link.kill();
    await state.link.ended;
  }

  #unable(name: Exclude<State['name'], 'running'>): ChallengerFailure {
    if (name === 'closed') return new ChallengerFailure(undefined, 'it is not served any more');
    if (!this.#failure) return new ChallengerFailure(undefined, 'it is being started');
    const { kind, reason } = this.#failure;
    const next =
      name === 'given-up'
        ? 'it is not started again before the next change of routes'
        : 'it is being started again';
    return new ChallengerFailure(kind, `${next}: ${reason}`);
  }

  #ask(link: ModelLink, batch: ColumnBatch, timeout: number): Promise<OutputColumns> {
    this.#enter(batch.rows);
    return new Promise((resolve, reject) => {
      // A timer counts whole milliseconds and may be early by one.
      const wait = Math.max(1, Math.floor(timeout));
      const due = performance.now() + wait;
      const expired = (): void => {
        const held = performance.now() - due > HELD_MS;
        // By then the pipe has been read.
        setImmediate(() =>
          reject(
            held
              ? new ChallengerFailure(undefined, 'the serving process was busy beyond its time')
              : new ChallengerFailure('deadline', 'it did not answer in its time'),
          ),
        );
      };
      const timer = Number.isFinite(timeout) ? setTimeout(expired, wait) : undefined;
      link
        .ask(batch)
        .then(resolve, (error: unknown) => {
          if (error instanceof PerennialError) reject(error);
          else
            reject(
              new ChallengerFailure(
                this.#failure?.kind ?? 'crash',
                this.#failure?.reason ?? 'its process ended',
              ),
            );
        })
        .finally(() => {
          clearTimeout(timer);
          this.#leave(batch.rows);
        });
    });
  }

  #enter(rows: number): void {
    if (this.#requests === 0) this.#busySince = performance.now();
    this.#requests += 1;
    this.#rows += rows;
    this.#watch ??= this.#lookLater();
  }

  #leave(rows: number): void {
    this.#requests -= 1;
    this.#rows -= rows;
  }

  get #patience(): number {
    return Math.max(this.patienceMs, SILENCE_FLOOR_MS);
  }

  #lookLater(): NodeJS.Timeout {
    // The look itself comes after the pipe has been read.
    return setTimeout(() => setImmediate(() => this.#look()), Math.ceil(this.#patience / LOOKS));
  }

  #look(): void {
    this.#watch = undefined;
    const state = this.#state;
    if (state.name !== 'running' || this.#requests === 0) return;
    const sign = Math.max(this.#busySince, state.link.lastHeard);
    this.#looks = sign === this.#sign ? this.#looks + 1 : 1;
    this.#sign = sign;
    const silent = performance.now() - sign;
    if (this.#looks < LOOKS || silent < this.#patience) {
      this.#watch = this.#lookLater();
      return;
    }
    this.#failure = {
      kind: 'deadline',
      reason: `its process said nothing for ${Math.round(silent)} ms and was ended`,
    };
    this.#state = { name: 'starting' };
    state.link.kill();
  }

  #running(link: ModelLink): void {
    this.#state = { name: 'running', link };
    this.options.onChange?.({ event: 'started', pid: link.pid });
    void link.ended.then((how) => this.#onEnd(link, how));
  }

  #onEnd(link: ModelLink, how: string): void {
    if (this.#state.name === 'closed') return;
    // Where it was killed for its silence, that has been written down.
    if (this.#state.name === 'running') this.#failure = { kind: 'crash', reason: `its process ${how}` };
    this.options.onChange?.({ event: 'ended', pid: link.pid, reason: this.#failure?.reason ?? how });
    this.#again();
  }

  #again(): void {
    const now = performance.now();
    this.#ends.push(now);
    const delay = restartDelay(this.#ends, now, this.options.restarts ?? RESTARTS);
    if (delay === undefined) {
      this.#state = { name: 'given-up' };
      this.options.onChange?.({ event: 'given-up', reason: this.#failure?.reason ?? '' });
      return;
    }
    const timer = setTimeout(() => void this.#start(), delay);
    timer.unref();
    this.#state = { name: 'waiting', timer };
  }

  async #start(): Promise<void> {
    this.#state = { name: 'starting' };
    try {
      const link = await this.options.start();
      // Closed meanwhile.
      if (this.#isClosed()) link.kill();
      else this.#running(link);
    } catch (error) {
      if (this.#isClosed()) return;
      this.#failure = {
        kind: 'crash',
        reason: error instanceof PerennialError ? error.message : 'its process could not be started',
      };
      this.options.onChange?.({ event: 'ended', reason: this.#failure.reason });
      this.#again();
    }
  }

  #isClosed(): boolean {
    return this.#state.name === 'closed';
  }
}
