import { type Client, ScheduleAlreadyRunning } from '@temporalio/client';
import { HOUSEKEEPING_SCHEDULE, WORKFLOW_TYPES } from '../contracts/names.ts';

/** Has the artifact store tidied once a day; a schedule that exists, also a changed or paused one, is left as it is. */
export async function ensureHousekeeping(client: Client, taskQueue: string): Promise<void> {
  try {
    await client.schedule.create({
      scheduleId: HOUSEKEEPING_SCHEDULE,
      spec: { intervals: [{ every: '24h' }], jitter: '10m' },
      action: { type: 'startWorkflow', workflowType: WORKFLOW_TYPES.housekeeping, taskQueue, args: [{}] },
      policies: { overlap: 'SKIP', catchupWindow: '1h' },
    });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
  }
}
