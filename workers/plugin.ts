import { Client } from '@temporalio/client';
import { SimplePlugin } from '@temporalio/plugin';
import type { NativeConnection, Worker, WorkerOptions } from '@temporalio/worker';
import { dependencies } from '../activities/dependencies.ts';
import { createActivities, registered } from '../activities/index.ts';
import { configFromEnv, type PerennialConfig } from '../lib/config.ts';
import { bundleOptions } from './bundle.ts';
import { HEARTBEAT_THROTTLE } from './options.ts';
import { ensureSearchAttributes } from './search-attributes.ts';

/** Options of {@link MlopsPlugin}; what is left out comes from the environment. */
export type MlopsPluginOptions = Partial<Omit<PerennialConfig, 'taskQueue' | 'resources'>>;

/**
 * Gives a Temporal Worker and Client the model lifecycle: activities under `perennial.*` names, search attributes,
 * and the workflows where the worker has none of its own.
 *
 * A worker with workflows of its own adds one line to its workflow module:
 * `export * from 'perennial-mlops/workflow'`.
 *
 * @example
 * const worker = await Worker.create({
 *   connection, taskQueue: 'ml', workflowsPath, plugins: [new MlopsPlugin({ dataDir: '/var/lib/perennial' })],
 * });
 */
export class MlopsPlugin extends SimplePlugin {
  readonly #overrides: MlopsPluginOptions;
  #connection: NativeConnection | undefined;
  #namespace = 'default';

  constructor(options: MlopsPluginOptions = {}) {
    super({ name: 'perennial-mlops' });
    this.#overrides = options;
  }

  override configureWorker(options: WorkerOptions): WorkerOptions {
    const { connection, namespace = 'default' } = options;
    this.#connection = connection;
    this.#namespace = namespace;
    let client: Client | undefined;
    const config: PerennialConfig = {
      ...configFromEnv(process.env),
      ...this.#overrides,
      taskQueue: options.taskQueue,
    };
    const deps = dependencies(config, () => {
      if (!connection)
        throw new Error(
          'MlopsPlugin: create the Worker with a `connection`; activities need a client of the same server',
        );
      client ??= new Client({
        connection,
        namespace,
        ...(options.dataConverter ? { dataConverter: options.dataConverter } : {}),
      });
      return client;
    });
    const own = options.workflowsPath !== undefined || options.workflowBundle !== undefined;
    return super.configureWorker({
      maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
      ...options,
      ...(own ? {} : ownWorkflows(options)),
      activities: { ...options.activities, ...registered(createActivities(deps)) },
    });
  }

  override async runWorker(worker: Worker, next: (worker: Worker) => Promise<void>): Promise<void> {
    if (this.#connection) await ensureSearchAttributes(this.#connection, this.#namespace);
    return super.runWorker(worker, next);
  }
}

/**
 * Our workflows, with their payload converter where the host has none. The SDK loads the converter by `require`,
 * which the early releases of Node 22 cannot do with an ES module; there the SDK's own stays.
 */
function ownWorkflows({ dataConverter }: WorkerOptions): Partial<WorkerOptions> {
  const { workflowsPath, payloadConverterPath } = bundleOptions();
  const settled =
    payloadConverterPath === undefined ||
    dataConverter?.payloadConverterPath !== undefined ||
    !process.features.require_module;
  return {
    workflowsPath,
    ...(settled ? {} : { dataConverter: { ...dataConverter, payloadConverterPath } }),
  };
}
