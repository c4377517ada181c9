import { Client } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { dependencies } from '../activities/dependencies.ts';
import { createActivities, registered } from '../activities/index.ts';
import { resourceTaskQueue } from '../contracts/names.ts';
import { configFromEnv } from '../lib/config.ts';
import { removeDeadScratch } from '../lib/scratch.ts';
import { workflowBundle } from './bundle.ts';
import { connect } from './connection.ts';
import { ensureHousekeeping } from './housekeeping.ts';
import { HOUSE_OPTIONS } from './options.ts';
import { announceReady, logger } from './runtime.ts';
import { ensureSearchAttributes } from './search-attributes.ts';
import { sweepBeside } from './sweep.ts';
import { installRuntime } from './temporal-runtime.ts';

/** Runs the worker of lifecycles until `signal` aborts. */
export async function runWorker(signal: AbortSignal): Promise<void> {
  installRuntime();
  const config = configFromEnv(process.env);
  const { connection, namespace } = await connect(signal, (address, reason) =>
    logger.warn(`Temporal at ${address} cannot be used yet (${reason}); trying again`),
  );
  try {
    await ensureSearchAttributes(connection, namespace);
    await removeDeadScratch(config.dataDir);
    const client = new Client({ connection, namespace });
    const deps = dependencies(config, () => client);
    sweepBeside(deps.store());
    const common = {
      connection,
      namespace,
      activities: registered(createActivities(deps)),
      ...HOUSE_OPTIONS,
    };
    const { taskQueue, resources = [] } = config;
    const workers = [
      await Worker.create({ ...common, taskQueue, workflowBundle: await workflowBundle() }),
      // What is sent to a class is an activity; workflows stay on the queue of the run.
      ...(await Promise.all(
        resources.map((name) => Worker.create({ ...common, taskQueue: resourceTaskQueue(taskQueue, name) })),
      )),
    ];
    await ensureHousekeeping(client, taskQueue);
    await runTogether(workers, signal);
  } finally {
    await connection.close();
  }
}

/** Runs workers until `signal` aborts; where one of them ends by itself, the others end too. */
async function runTogether(workers: readonly Worker[], signal: AbortSignal): Promise<void> {
  const stop = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const running = workers.map((worker) => worker.run().finally(stop));
  announceReady();
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  // All have ended before the connection is closed, also where one has failed.
  const ends = await Promise.allSettled(running);
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
}
