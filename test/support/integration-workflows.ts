import { ActivityCancellationType, proxyActivities } from '@temporalio/workflow';

/** The workflows of the package, as a worker of one's own has them. */
export * from '../../workflows/index.ts';

/** The argument of {@link oneActivity}. */
export interface OneActivity {
  type: string;
  input: unknown;
  taskQueue?: string;
}

/** Runs one activity, as any workflow would; the first failure is the answer. */
export async function oneActivity({ type, input, taskQueue }: OneActivity): Promise<unknown> {
  const proxy = proxyActivities<Record<string, (input: unknown) => Promise<unknown>>>({
    startToCloseTimeout: '5m',
    heartbeatTimeout: '20s',
    retry: { maximumAttempts: 1 },
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    ...(taskQueue === undefined ? {} : { taskQueue }),
  });
  return proxy[type]?.(input);
}
