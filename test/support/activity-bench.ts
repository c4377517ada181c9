import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Client, Connection, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ActivityFailure } from '@temporalio/common';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { OneActivity } from './integration-workflows.ts';
import { startTemporalServer } from './temporal-server.ts';
import { quietRuntime } from './workflow-bench.ts';

/** A process of a test, which waits for its first line and ends with it. */
export class WorkerProcess {
  /** Its standard error so far. */
  words = '';

  private constructor(readonly child: ChildProcess) {
    child.stderr?.on('data', (chunk: Buffer) => {
      this.words = `${this.words}${chunk}`.slice(-20_000);
    });
  }

  /** Resolves when it has printed its ready line; other lines may follow. */
  static async start(
    program: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
  ): Promise<WorkerProcess> {
    const process_ = new WorkerProcess(
      spawn(program, [...args], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } }),
    );
    const { child } = process_;
    if (!child.stdout) throw new Error('no pipe');
    const lines = createInterface(child.stdout);
    const line = await Promise.race([
      once(lines, 'line').then(([text]) => String(text)),
      once(child, 'exit').then(() => undefined),
    ]);
    if (line === undefined) throw new Error(`${program} ended before it was ready: ${process_.words}`);
    lines.on('line', () => undefined);
    return process_;
  }

  /** @returns its exit code, or the signal that ended it */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string | null> {
    const { child } = this;
    if (child.exitCode === null && child.signalCode === null) {
      const exit = once(child, 'exit');
      child.kill(signal);
      await exit;
    }
    return child.exitCode ?? child.signalCode;
  }
}

/** A Temporal server, and a worker whose workflow runs one activity of whatever worker has it. */
export class ActivityBench {
  private constructor(
    readonly address: string,
    readonly client: Client,
    private readonly taskQueue: string,
    /** Stops the worker, then the connections and the server. */
    readonly close: () => Promise<void>,
  ) {}

  static async start(): Promise<ActivityBench> {
    quietRuntime();
    const server = await startTemporalServer();
    const { address } = server;
    const [connection, native] = await Promise.all([
      Connection.connect({ address }),
      NativeConnection.connect({ address }),
    ]);
    const taskQueue = `bench-${randomUUID().slice(0, 8)}`;
    const worker = await Worker.create({
      connection: native,
      taskQueue,
      workflowsPath: fileURLToPath(new URL('./integration-workflows.ts', import.meta.url)),
    });
    const running = worker.run();
    return new ActivityBench(address, new Client({ connection }), taskQueue, async () => {
      worker.shutdown();
      await running;
      await connection.close();
      await native.close();
      await server.stop();
    });
  }

  /** Starts a workflow that runs one activity. */
  start(activity: OneActivity): Promise<WorkflowHandle> {
    const workflowId = `one-${randomUUID()}`;
    return this.client.workflow.start('oneActivity', {
      workflowId,
      taskQueue: this.taskQueue,
      args: [activity],
    });
  }

  /** What an activity answers; throws its own failure. */
  async run(activity: OneActivity): Promise<unknown> {
    const handle = await this.start(activity);
    return handle.result().catch((error: unknown) => {
      const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
      throw cause instanceof ActivityFailure && cause.cause ? cause.cause : error;
    });
  }
}
