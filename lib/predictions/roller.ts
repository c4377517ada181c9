import { type ChildProcess, fork } from 'node:child_process';
import { ownScript } from '../processes/own-script.ts';
import { removeDeadScratch } from '../scratch.ts';
import type { RollAnswer, RollJob } from './roll-job.ts';
import { closedSegments } from './segments.ts';
import { type PredictionConfig, segmentsFolder } from './settings.ts';

/** What a {@link PredictionRoller} needs. */
export interface PredictionRollerOptions {
  readonly config: PredictionConfig;
  /** Milliseconds between two looks for closed segments; default 30 s. */
  readonly everyMs?: number | undefined;
  readonly logger: { warn(facts: object, message: string): void };
}

const EVERY_MS = 30_000;
const EXPIRE_MS = 86_400_000;
/** So long a process has to take away what it began; a block is read and a statement interrupted in less. */
const GRACE_MS = 5_000;

/**
 * Has closed segments rolled by a process of its own, of low priority, that ends when it is done: the serving process
 * never loads the engine. One for each data directory is enough; several take turns.
 *
 * @example
 * const roller = PredictionRoller.start({ config, logger });
 * // … at the end
 * await roller.close();
 */
export class PredictionRoller {
  #timer: NodeJS.Timeout | undefined;
  #child: ChildProcess | undefined;
  #round: Promise<void> | undefined;
  #expiredAt = Number.NEGATIVE_INFINITY;
  #closed = false;
  #failing = '';

  private constructor(private readonly options: PredictionRollerOptions) {}

  static start(options: PredictionRollerOptions): PredictionRoller {
    const roller = new PredictionRoller(options);
    roller.#round = roller.#sweep();
    roller.#plan();
    return roller;
  }

  /**
   * Ends the process that may be at it, and sees to it that none of what it decrypted stays; what it did not finish is
   * done by the next one.
   */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#child?.kill('SIGTERM');
    const killing = setTimeout(() => this.#child?.kill('SIGKILL'), GRACE_MS);
    await this.#round;
    clearTimeout(killing);
    if (this.#child?.signalCode) await this.#sweep();
  }

  /** Scratch files of processes that were killed are not encrypted. */
  async #sweep(): Promise<void> {
    await removeDeadScratch(this.options.config.dataDir).catch((error: unknown) =>
      this.options.logger.warn(
        { reason: error instanceof Error ? error.message : 'unknown' },
        'files of processes that are gone cannot be deleted',
      ),
    );
  }

  #plan(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      this.#round = this.#look().finally(() => this.#plan());
    }, this.options.everyMs ?? EVERY_MS);
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    try {
      const expire = performance.now() - this.#expiredAt >= EXPIRE_MS;
      const waiting = await closedSegments(segmentsFolder(this.options.config));
      if (this.#closed || (waiting.length === 0 && !expire)) return;
      const answer = await this.#ask({ config: this.options.config, expire });
      if (answer?.done && expire) this.#expiredAt = performance.now();
      this.#tell(answer);
    } catch (error) {
      this.#complain(error instanceof Error ? error.message : 'unknown');
    }
  }

  #tell(answer: RollAnswer | undefined): void {
    if (this.#closed) return;
    if (!answer?.done) {
      this.#complain(answer?.message ?? 'the process ended without a word');
      return;
    }
    this.#failing = '';
    if (answer.unreadable.length > 0)
      this.options.logger.warn(
        { segments: answer.unreadable },
        'segments of the prediction log cannot be read and were set aside',
      );
  }

  /** Once for each reason, until it goes well again. */
  #complain(reason: string): void {
    if (reason !== this.#failing)
      this.options.logger.warn({ reason }, 'recorded predictions cannot be archived; they stay on this disk');
    this.#failing = reason;
  }

  #ask(job: RollJob): Promise<RollAnswer | undefined> {
    const { path, execArgv } = ownScript(import.meta.url, './roll-process.ts');
    return new Promise((resolve) => {
      const child = fork(path, [], {
        execArgv,
        env: environment(),
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
      this.#child = child;
      let answer: RollAnswer | undefined;
      child.once('message', (said) => {
        answer = said as RollAnswer;
      });
      child.once('error', () => resolve(undefined));
      child.once('exit', () => resolve(answer));
      child.send(job, () => undefined);
    });
  }
}

/** What Node and the S3 client need; no secrets of pipelines. */
function environment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      /^(PATH|HOME|TMPDIR|TZ|NODE_EXTRA_CA_CERTS|AWS_\w+|https?_proxy|no_proxy)$/i.test(name),
    ),
  );
}
