import { Client } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { dependencies } from '../activities/dependencies.ts';
import { createActivities, registered } from '../activities/index.ts';
import { configFromEnv } from '../lib/config.ts';
import { removeDeadScratch } from '../lib/scratch.ts';
import { workflowBundle } from './bundle.ts';
import { connect } from './connection.ts';
import { ensureHousekeeping } from './housekeeping.ts';
import { HOUSE_OPTIONS } from './options.ts';
import { announceReady, logger } from './runtime.ts';
import { ensureSearchAttributes } from './search-attributes.ts';
import { sweepBeside } from './sweep.ts';

/** Runs the worker of lifecycles until `signal` aborts. */
export async function runWorker(signal: AbortSignal): Promise<void> {
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
    const worker = await Worker.create({
      connection,
      namespace,
      taskQueue: config.taskQueue,
      workflowBundle: await workflowBundle(),
      activities: registered(createActivities(deps)),
      ...HOUSE_OPTIONS,
    });
    await ensureHousekeeping(client, config.taskQueue);
    const running = worker.run();
    announceReady();
    if (signal.aborted) worker.shutdown();
    signal.addEventListener('abort', () => worker.shutdown(), { once: true });
    await running;
  } finally {
    await connection.close();
  }
}
