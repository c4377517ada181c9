import { ActivityCancellationType, type ActivityOptions, proxyActivities } from '@temporalio/workflow';

/** The workflows of the package, as a worker of one's own has them. */
export * from '../../workflows/index.ts';

/** The argument of {@link oneActivity}. */
export interface OneActivity {
  type: string;
  input: unknown;
  taskQueue?: string;
  /** Default 1. */
  attempts?: number;
  /** Default 20 s. */
  heartbeatTimeout?: NonNullable<ActivityOptions['heartbeatTimeout']>;
}

/** Runs one activity, as any workflow would; the failure of the last attempt is the answer. */
export async function oneActivity({
  type,
  input,
  taskQueue,
  attempts = 1,
  heartbeatTimeout = '20s',
}: OneActivity): Promise<unknown> {
  const proxy = proxyActivities<Record<string, (input: unknown) => Promise<unknown>>>({
    startToCloseTimeout: '5m',
    heartbeatTimeout,
    retry: { maximumAttempts: attempts, initialInterval: '100ms' },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    ...(taskQueue === undefined ? {} : { taskQueue }),
  });
  return proxy[type]?.(input);
}

/** Looks for new data twice in one workflow: the second time as an attempt that follows one whose answer was lost. */
export async function twoLooks(pipeline: string): Promise<unknown[]> {
  const { 'perennial.lookForNewData': look } = proxyActivities<
    Record<string, (input: unknown) => Promise<unknown>>
  >({ startToCloseTimeout: '1m', heartbeatTimeout: '20s', retry: { maximumAttempts: 1 } });
  return [await look?.({ pipeline }), await look?.({ pipeline })];
}
