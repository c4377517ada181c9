import { type ChildProcess, fork } from 'node:child_process';
import { setPriority } from 'node:os';
import { PerennialError } from '../../contracts/errors.ts';
import type { ModelSignature } from '../../contracts/serving.ts';
import type { ColumnBatch, OutputColumns } from '../../lib/onnx/tabular-session.ts';
import { ownScript } from '../../lib/processes/own-script.ts';
import { watchMemory } from './memory-watch.ts';
import type { LoadMessage, ProcessMessage } from './model-messages.ts';
import { packed, unpackedOutputs } from './packed-columns.ts';

/** A model that computes elsewhere, once: when it has ended, another one has to be started. */
export interface ModelLink {
  /** Of the process; for logs. */
  readonly pid: number | undefined;
  /** When it last said something, in milliseconds of `performance.now()`. */
  readonly lastHeard: number;
  /** Resolves, in words, when it has ended; never rejects. */
  readonly ended: Promise<string>;
  /**
   * Answers in the order of asking. Stays open for as long as the model is silent; rejects when it ends.
   *
   * @throws PerennialError that the model gave; any other error where it ended
   */
  ask(batch: ColumnBatch): Promise<OutputColumns>;
  /** Ends it at once, whatever it does. */
  kill(): void;
}

/** How a model's process is started. */
export interface LinkOptions {
  /** Milliseconds to load and warm up. */
  readonly loadMs: number;
  /** Resident bytes above which it is ended. */
  readonly memoryBytes: number;
  /** By how much it gives way to others, 0 to 19. */
  readonly nice: number;
}

interface Waiting {
  readonly rows: number;
  resolve(outputs: OutputColumns): void;
  reject(error: Error): void;
}

/**
 * A child process with one loaded model. It inherits no environment, hence no secrets; it listens nowhere, and it
 * leaves when this process does.
 *
 * @example
 * const link = await ProcessLink.start({ bytes, sha256, version, signature, threads: 1 }, { loadMs, memoryBytes, nice: 0 });
 * const outputs = await link.ask(batch);
 * link.kill();
 */
export class ProcessLink implements ModelLink {
  lastHeard = performance.now();
  readonly ended: Promise<string>;
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;
  #loaded: ((problem?: Error) => void) | undefined;
  /** Why it was ended by us. */
  #why: string | undefined;

  private constructor(
    private readonly child: ChildProcess,
    private readonly signature: ModelSignature,
  ) {
    this.ended = new Promise((resolve) => {
      child.once('exit', (code, end) =>
        resolve(this.#why ?? (end ? `ended by ${end}` : `ended with code ${code}`)),
      );
      // Also when it cannot be started or spoken to; a dead one is silent.
      child.on('error', () => {
        child.kill('SIGKILL');
        if (child.pid === undefined) resolve('could not be started');
      });
    });
    child.on('message', (message) => this.#hear(message as ProcessMessage));
    void this.ended.then((how) => this.#end(how));
  }

  /**
   * Starts a process and has it load the model and run it once.
   *
   * @throws PerennialError `ArtifactCorrupt`, `ModelInvalid`
   */
  static async start(load: LoadMessage, { loadMs, memoryBytes, nice }: LinkOptions): Promise<ProcessLink> {
    const { path, execArgv } = ownScript(import.meta.url, './model-process.ts');
    const child = fork(path, [], {
      execArgv,
      env: {},
      // Arrays go as memory, not as text.
      serialization: 'advanced',
      // What the engine prints may quote rows.
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    giveWay(child.pid, nice);
    const link = new ProcessLink(child, load.signature);
    const memory = watchMemory(child.pid, memoryBytes, () =>
      link.#stop(`ended for using more than ${Math.round(memoryBytes / 1e6)} MB of memory`),
    );
    void link.ended.then(() => memory.stop());
    const timer = setTimeout(
      () => link.#stop(`did not load and run the model within ${Math.round(loadMs / 1000)} s`),
      loadMs,
    );
    try {
      await link.#load(load);
      return link;
    } catch (error) {
      link.kill();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  ask(batch: ColumnBatch): Promise<OutputColumns> {
    const message = { id: ++this.#asked, ...packed(batch, this.signature) };
    return new Promise((resolve, reject) => {
      this.#waiting.set(message.id, { rows: batch.rows, resolve, reject });
      this.#send(message);
    });
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  #stop(why: string): void {
    this.#why ??= why;
    this.kill();
  }

  #load(message: LoadMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#loaded = (problem) => (problem ? reject(problem) : resolve());
      void this.ended.then((how) =>
        reject(
          new PerennialError(
            'ModelInvalid',
            `version ${message.version}: its process ${how} while the model was loaded; export the model again, or give it more memory`,
          ),
        ),
      );
      this.#send(message);
    });
  }

  #send(message: object): void {
    // A process that is gone is heard of by its end.
    if (this.child.connected) this.child.send(message, (error) => error && this.kill());
    else this.kill();
  }

  #hear({ id, outputs, failed }: ProcessMessage): void {
    this.lastHeard = performance.now();
    const problem = failed && new PerennialError(failed.code, failed.message, failed.retryable);
    if (id === undefined) {
      this.#loaded?.(problem);
      return;
    }
    const waiting = this.#waiting.get(id);
    if (!waiting) return;
    this.#waiting.delete(id);
    const answer = unpackedOutputs(outputs, waiting.rows, this.signature);
    if (answer) waiting.resolve(answer);
    else
      waiting.reject(
        problem ??
          new PerennialError(
            'ModelInvalid',
            'the outputs are not what the signature says; compose the graph again',
          ),
      );
  }

  #end(how: string): void {
    for (const { reject } of this.#waiting.values()) reject(new Error(`its process ${how}`));
    this.#waiting.clear();
  }
}

/** At once: threads that are started later take it over. */
function giveWay(pid: number | undefined, nice: number): void {
  if (pid === undefined || nice === 0) return;
  try {
    setPriority(pid, nice);
  } catch {
    // It ended already, which is heard of elsewhere.
  }
}
