import { type ChildProcess, fork } from 'node:child_process';
import { setPriority } from 'node:os';
import { type ErrorCode, PerennialError } from '../../contracts/errors.ts';
import type { OwnScript } from './own-script.ts';

/** How long a process without work is kept for the next question. */
const IDLE_MS = 10_000;

/** How processes beside this one are kept. */
export interface AsideOptions {
  /** Milliseconds for which a process without work is kept, default ten seconds. */
  idleMs?: number;
  /** How much others come first, from 0 (not at all, the default) to 19. */
  niceness?: number;
}

/** What a program beside the worker answers: how far it is, as often as it likes; then a result, or why there is none. */
export type AsideAnswer =
  | { progress: unknown }
  | { result: unknown }
  | { failed: { code: ErrorCode; message: string; retryable: boolean } };

/**
 * Processes beside this one for work that would hold its event loop or could crash it. Each takes one question at a
 * time; one that is free is used again, since starting Node takes longer than many a question.
 *
 * @example
 * const judges = new Aside(() => ownScript(import.meta.url, './judge-process.ts'), 'judge');
 * const answer = await judges.ask(question, frame.signal);
 */
export class Aside {
  readonly #free: { child: ChildProcess; timer: NodeJS.Timeout }[] = [];

  /**
   * @param script the program, see {@link answering}
   * @param name of what it does, for messages: "the process that …"
   */
  constructor(
    private readonly script: () => OwnScript,
    private readonly name: string,
    private readonly options: AsideOptions = {},
  ) {}

  /** Ends the processes without work; those with work stay until they have answered. */
  close(): void {
    for (const { child, timer } of this.#free.splice(0)) {
      clearTimeout(timer);
      child.kill('SIGKILL');
    }
  }

  /**
   * @param signal aborting kills the process
   * @param onProgress is told what the program says before its answer
   * @throws PerennialError with the code that the program gave; `StageFailed`, retryable, where it ends without a word
   */
  async ask(
    question: object,
    signal?: AbortSignal,
    onProgress?: (progress: unknown) => void,
  ): Promise<unknown> {
    signal?.throwIfAborted();
    const child = this.#take();
    try {
      const answer = await this.#answer(child, question, signal, onProgress);
      this.#release(child);
      if ('result' in answer) return answer.result;
      const { code, message, retryable } = answer.failed;
      throw new PerennialError(code, message, retryable);
    } catch (error) {
      if (child.connected && !this.#free.some((one) => one.child === child)) child.kill('SIGKILL');
      throw error;
    }
  }

  #take(): ChildProcess {
    const free = this.#free.pop();
    if (free) {
      clearTimeout(free.timer);
      free.child.ref();
      free.child.channel?.ref();
      if (free.child.connected) return free.child;
    }
    const { path, execArgv } = this.script();
    const { PATH, HOME, TMPDIR, NODE_EXTRA_CA_CERTS } = process.env;
    const child = fork(path, [], {
      execArgv,
      env: {
        ...(PATH && { PATH }),
        ...(HOME && { HOME }),
        ...(TMPDIR && { TMPDIR }),
        // Whom this process trusts behind TLS.
        ...(NODE_EXTRA_CA_CERTS && { NODE_EXTRA_CA_CERTS }),
      },
      // Arrays go as memory, not as text.
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    // One that dies while it has no work must not end this process too.
    child.on('error', () => undefined);
    const { niceness } = this.options;
    if (niceness !== undefined && child.pid !== undefined) {
      try {
        setPriority(child.pid, niceness);
      } catch {
        // It is gone already; whoever asks it hears of that.
      }
    }
    return child;
  }

  #release(child: ChildProcess): void {
    const timer = setTimeout(() => {
      this.#free.splice(
        this.#free.findIndex((one) => one.child === child),
        1,
      );
      child.kill('SIGKILL');
    }, this.options.idleMs ?? IDLE_MS);
    // Nobody waits for a process without work.
    timer.unref();
    child.unref();
    child.channel?.unref();
    this.#free.push({ child, timer });
  }

  #answer(
    child: ChildProcess,
    question: object,
    signal: AbortSignal | undefined,
    onProgress: ((progress: unknown) => void) | undefined,
  ): Promise<Exclude<AsideAnswer, { progress: unknown }>> {
    return new Promise((resolve, reject) => {
      const kill = (): void => void child.kill('SIGKILL');
      const leave = (): void => {
        signal?.removeEventListener('abort', kill);
        child.off('message', onMessage).off('error', onError).off('exit', onExit);
      };
      const settle = (problem: string): void => {
        leave();
        reject(
          signal?.aborted
            ? signal.reason
            : new PerennialError('StageFailed', `The process that ${this.name} ${problem}.`, true),
        );
      };
      signal?.addEventListener('abort', kill, { once: true });
      // Node hands messages on as what they were sent as; the program is our own.
      const onMessage = (said: unknown): void => {
        const answer = said as AsideAnswer;
        if ('progress' in answer) {
          onProgress?.(answer.progress);
          return;
        }
        leave();
        resolve(answer);
      };
      const onError = (): void => settle('could not be started');
      const onExit = (code: number | null, end: NodeJS.Signals | null): void =>
        settle(end ? `was ended by ${end} (out of memory?)` : `ended with code ${code} and no answer`);
      child.on('message', onMessage).once('error', onError).once('exit', onExit);
      child.send(question, (error) => {
        if (error) settle('could not be asked');
      });
    });
  }
}

/**
 * The other side: a program that answers questions until nobody is there to ask.
 *
 * @param answer may say how far it is by its second argument
 */
export function answering(
  answer: (question: unknown, progress: (value: unknown) => void) => Promise<unknown>,
): void {
  process.once('disconnect', () => process.exit());
  const tell = (said: AsideAnswer): void => void process.send?.(said);
  process.on('message', async (question) => {
    const said: AsideAnswer = await answer(question, (progress) => tell({ progress })).then(
      (result) => ({ result }),
      (error: unknown) => {
        const known = error instanceof PerennialError;
        return {
          failed: {
            code: known ? error.code : ('StageFailed' as const),
            message: error instanceof Error ? error.message : String(error),
            retryable: known && error.retryable,
          },
        };
      },
    );
    tell(said);
  });
}
