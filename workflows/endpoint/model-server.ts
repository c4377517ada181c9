import { ActivityFailure, TimeoutFailure } from '@temporalio/workflow';
import { z } from 'zod';
import { modelServerInfo } from '../../contracts/serving.ts';
import { announceServer, serverActivities } from '../activities.ts';
import { parseInput } from '../parse.ts';

/** Temporal refuses a task queue of more than 1,000 characters for ever, the task would be tried again and again. */
const modelServerInput = modelServerInfo.extend({
  serverId: z.string().min(1).max(200),
  taskQueue: z.string().min(1).max(300),
});

/**
 * The life of one model server. Its one long activity runs in the server's process and heartbeats: that is the
 * lease. The workflow ends when the lease does; a server that comes back starts it again.
 */
export async function modelServer(argument: unknown): Promise<{ ended: 'left' | 'lost' }> {
  const info = parseInput(modelServerInput, argument, 'the argument of workflow modelServer');
  const lease = serverActivities(info.taskQueue).holdLease({ serverId: info.serverId });
  // The lease is awaited below; a server that is lost before the announcement must not fail the workflow task.
  lease.catch(() => undefined);
  await announceServer(info);
  try {
    await lease;
    return { ended: 'left' };
  } catch (error) {
    if (error instanceof ActivityFailure && error.cause instanceof TimeoutFailure) return { ended: 'lost' };
    throw error;
  }
}
