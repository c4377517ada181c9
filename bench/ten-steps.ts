import { proxyActivities } from '@temporalio/workflow';
import type { noop } from './noop-workflow.ts';

const activities = proxyActivities<{ noop: typeof noop }>({ startToCloseTimeout: '10s' });

/** Ten activities that do nothing, one after the other. */
export async function tenSteps(): Promise<void> {
  for (let step = 0; step < 10; step += 1) await activities.noop();
}
