import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';

/**
 * Every time-out and retry policy of the house, by the kind of work. Errors that cannot be mended by trying
 * again are raised as non-retryable by the activities themselves.
 */
export const POLICIES = {
  /** Bulk work on data: minutes, heartbeats, a few attempts for what is transient (a full disk, a killed worker). */
  data: {
    startToCloseTimeout: '2h',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '1m', maximumAttempts: 5 },
  },
  /** Work that a run can do without: tried twice, then the run goes on without it. */
  optional: {
    startToCloseTimeout: '15m',
    scheduleToCloseTimeout: '30m',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10s', maximumAttempts: 2 },
  },
  /** Training in a process of its own; the spec says how long. */
  training: {
    heartbeatTimeout: '15s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s', maximumAttempts: 4 },
  },
  /** Asking the estimator: seconds. Where it does not answer, the search goes on without. */
  proposal: {
    startToCloseTimeout: '2m',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumAttempts: 3 },
  },
  /** Calls to MLflow: an outage of any length is waited for. */
  tracker: {
    startToCloseTimeout: '10m',
    heartbeatTimeout: '20s',
    retry: {
      initialInterval: '500ms',
      backoffCoefficient: 1.5,
      maximumInterval: '10s',
      // What is not an outage would fail the same way for ever.
      nonRetryableErrorTypes: ['StageFailed'],
    },
  },
  /**
   * Takes a person out of all stores: as bulk work on data, but an outage of the store or of MLflow in the middle is
   * waited for, half a day at the most.
   */
  erasure: {
    startToCloseTimeout: '12h',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '5m', maximumAttempts: 150 },
  },
  /**
   * Writes to a place of somebody else, as bulk work on data; an outage there is waited for, half a day at the most.
   * Who cancels it hears of it when it has ended one way or the other.
   */
  delivery: {
    startToCloseTimeout: '12h',
    heartbeatTimeout: '20s',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '5m', maximumAttempts: 150 },
  },
  /** Work on an event log: an outage of the store of any length is waited for, no batch is given up for it. */
  log: {
    startToCloseTimeout: '10m',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '30s' },
  },
  /** Writes into the audit log: an outage of any length is waited for, no entry is given up for it. */
  audit: {
    startToCloseTimeout: '2m',
    heartbeatTimeout: '10s',
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '30s' },
  },
  /** Looks at the token of a vote, for which those behind it wait; one that cannot be looked at is refused. */
  vote: {
    startToCloseTimeout: '30s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumAttempts: 5 },
  },
  /** Tells people; they look by themselves where it cannot be had. */
  notice: {
    startToCloseTimeout: '15s',
    heartbeatTimeout: '10s',
    scheduleToCloseTimeout: '2m',
    retry: { initialInterval: '1s', backoffCoefficient: 3, maximumAttempts: 3 },
  },
  /** Measures a window: an outage of store, log or tracker is waited for, some hours; then the next look tries again. */
  observe: {
    startToCloseTimeout: '1h',
    heartbeatTimeout: '20s',
    scheduleToCloseTimeout: '6h',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '2m' },
  },
  /** Asks another workflow, for which alerts do not wait long. */
  ask: {
    startToCloseTimeout: '15s',
    heartbeatTimeout: '10s',
    scheduleToCloseTimeout: '30s',
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumInterval: '5s' },
  },
  /** Tells an alert: an outage of an hour is waited for; after that people can see that it is not told, and it goes on. */
  alert: {
    startToCloseTimeout: '1m',
    heartbeatTimeout: '20s',
    scheduleToCloseTimeout: '1h',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '5m' },
  },
  /** Writes what describes a version, behind what serves: any outage is waited for. Cancelled, it has ended. */
  alias: {
    startToCloseTimeout: '2m',
    heartbeatTimeout: '10s',
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry: {
      initialInterval: '500ms',
      backoffCoefficient: 1.5,
      maximumInterval: '10s',
      nonRetryableErrorTypes: ['StageFailed'],
    },
  },
  /** Asks MLflow for what a person waits for: an outage is an answer. */
  lookup: {
    startToCloseTimeout: '1m',
    scheduleToCloseTimeout: '1m',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '500ms', backoffCoefficient: 2, maximumAttempts: 3 },
  },
  /** Asks sources whether they have anything new; those that cannot be reached are asked again with the next poll. */
  poll: {
    startToCloseTimeout: '2h',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '1m', maximumAttempts: 5 },
  },
  /** Asks a server what it saw. One that does not answer is asked again with the next look. */
  look: {
    scheduleToCloseTimeout: '10s',
    scheduleToStartTimeout: '5s',
    startToCloseTimeout: '5s',
    retry: { initialInterval: '300ms', backoffCoefficient: 2, maximumAttempts: 2 },
  },
  /** Reads the prediction log; an outage of the archive is waited for until the next look. */
  truth: {
    startToCloseTimeout: '1h',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '1m', maximumAttempts: 5 },
  },
  /** Looks at other workflows. */
  control: {
    startToCloseTimeout: '30s',
    heartbeatTimeout: '10s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
  },
  /** Waits for an endpoint workflow, which waits for servers and MLflow; a week covers any outage that is one. */
  rollout: {
    scheduleToCloseTimeout: '7d',
    startToCloseTimeout: '2h',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '10s' },
  },
  /** A live server answers at once; one that does not is treated as gone. */
  server: {
    scheduleToCloseTimeout: '45s',
    scheduleToStartTimeout: '10s',
    startToCloseTimeout: '30s',
    retry: { initialInterval: '300ms', backoffCoefficient: 2, maximumAttempts: 3 },
  },
  /** Loading a model and sending rows through the server's own API. */
  precheck: {
    scheduleToStartTimeout: '15s',
    startToCloseTimeout: '5m',
    heartbeatTimeout: '20s',
    retry: { initialInterval: '1s', backoffCoefficient: 2, maximumAttempts: 3 },
  },
  /** Lasts as long as the server lives; the heartbeat is the lease. */
  lease: {
    scheduleToStartTimeout: '1m',
    startToCloseTimeout: '3650d',
    heartbeatTimeout: '10s',
    retry: { maximumAttempts: 1 },
  },
} as const satisfies Record<string, ActivityOptions>;

/** What a trial may take beyond its training: judging, storing. */
export const TRIAL_GRACE_MS = 10 * 60_000;
/** How long trials that were to end by themselves are waited for when the time of a search is used up. */
export const SEARCH_GRACE_MS = 20_000;
/** Waiting for the first live model server. */
export const SERVER_WAIT = { timeout: '10m', poll: '2s' } as const;
/** How often an erasure looks whether the lifecycle runs in its way have ended: each time it looks through all rows. */
export const ERASURE_POLL = { firstMs: 10_000, lastMs: 600_000 } as const;
/** How often a retraining looks whether the roll-out of its candidate has ended. */
export const ROLLOUT_POLL = { firstMs: 1_000, lastMs: 900_000 } as const;
/** How often an endpoint offers its routes again to servers that have not acknowledged them. */
export const RECONCILE_INTERVAL = '15s';
