import type { WorkerOptions } from '@temporalio/worker';

/**
 * How long the SDK may keep a heartbeat back. By itself it sends one in 80 % of the time-out: a cancellation would
 * be heard, and a checkpoint be safe, only after 12 s, and a lease of 10 s would hang on 2 s of slack.
 */
export const HEARTBEAT_THROTTLE = '2s';

/** How every worker of lifecycles runs; the benchmark runs with the same. */
export const HOUSE_OPTIONS = {
  /** Time that running activities have to end when the worker is stopped; trainers write a checkpoint in it. */
  shutdownGraceTime: '10s',
  maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE,
  workflowTaskPollerBehavior: { type: 'autoscaling' },
  activityTaskPollerBehavior: { type: 'autoscaling' },
} as const satisfies Partial<WorkerOptions>;
