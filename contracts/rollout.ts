import { z } from 'zod';
import { auditTrailState } from './audit.ts';
import { codeVersion } from './code-version.ts';
import { personName } from './people.ts';
import { evidenceLedger, truthReport } from './rollout-evidence.ts';
import { servedModel, servingPolicy } from './serving.ts';
import { pipelineSpec } from './spec/pipeline.ts';
import { guardName, rolloutSpec, rolloutStrategy } from './spec/rollout.ts';
import { task } from './spec/task.ts';

/**
 * What a guard found in one window. `waiting`: not enough data, which never counts as good. `better` exists for an
 * A/B test alone: significantly better than the champion.
 */
export const guardVerdict = z.strictObject({
  guard: guardName,
  state: z.enum(['waiting', 'passed', 'breached', 'better']),
  /** What was measured, in the guard's own unit; `null`: nothing yet. */
  candidate: z.number().nullable(),
  champion: z.number().nullable(),
  /** What the candidate's value was held against. */
  limit: z.number().nullable(),
  samples: z.strictObject({ candidate: z.number().int(), champion: z.number().int() }),
  /** Samples of each that are needed. */
  needed: z.number().int(),
  window: z.strictObject({ since: z.string(), until: z.string() }),
  /** A sentence with the numbers. */
  message: z.string(),
});
export type GuardVerdict = z.infer<typeof guardVerdict>;

/** How a roll-out ends. */
export const ROLLOUT_OUTCOMES = ['promoted', 'rolled_back', 'superseded', 'withdrawn'] as const;
export const rolloutOutcome = z.enum(ROLLOUT_OUTCOMES);
export type RolloutOutcome = z.infer<typeof rolloutOutcome>;

/** One part of a roll-out: a share of the traffic that is held and watched. */
export const rolloutStep = z.strictObject({
  name: z.enum(['warm-up', 'canary', 'blue-green', 'shadow', 'ab', 'probation']),
  /** Percentage of requests that the candidate answers, or gets copies of. */
  share: z.number().min(0).max(100),
  role: z.enum(['challenger', 'shadow']),
  holdMs: z.number().nonnegative(),
  minRequests: z.number().int().nonnegative(),
  /** After so long nothing more is waited for. */
  patienceMs: z.number().positive(),
  /** How often evidence is looked at. */
  lookMs: z.number().positive(),
  /** Whether the guards `quality` and `business` must have their labels before it passes. */
  needsLabels: z.boolean(),
  /** Whether the guards on traffic must have their requests before it passes. */
  needsTraffic: z.boolean(),
});
export type RolloutStep = z.infer<typeof rolloutStep>;

/** What a roll-out has reached; carried over by continue-as-new. */
export const rolloutState = z.strictObject({
  phase: z.enum(['queued', 'running', 'ended']),
  startedAt: z.string(),
  /** Since when the candidate has had the share that it has, over steps: the window of truth. */
  servedSince: z.string().nullable(),
  /** Role and share of that window. */
  servedShare: z.string().nullable(),
  step: z.number().int().nonnegative(),
  stepSince: z.string().nullable(),
  /** A share that a person set instead of the step's. */
  share: z.number().nullable(),
  paused: z.boolean(),
  /** Milliseconds of this step in which it was paused, and since when it is. */
  pausedMs: z.number().nonnegative(),
  pausedSince: z.string().nullable(),
  /** The version that it is held against; `null`: none served. */
  champion: z.string().nullable(),
  ledger: evidenceLedger.nullable(),
  /** The champion's evidence before a blue-green switch. */
  baseline: evidenceLedger.nullable(),
  truth: truthReport.nullable(),
  verdicts: z.array(guardVerdict),
  /** Counts the requests to the endpoint, for ids that are never used twice. */
  requests: z.number().int().nonnegative(),
  outcome: rolloutOutcome.nullable(),
  reason: z.string(),
  audit: auditTrailState,
});
export type RolloutState = z.infer<typeof rolloutState>;

/** The argument of workflow type `rollout`. */
export const rolloutInput = z.strictObject({
  endpoint: z.string().min(1).max(100),
  model: servedModel,
  policy: servingPolicy,
  plan: rolloutSpec,
  task,
  /** Class names in the model's order, and the positive one: how truth is read. Empty for regression. */
  classNames: z.array(z.string()).default([]),
  positiveClass: z.string().nullable().default(null),
  /** The version that the candidate was judged against (`null`: none). */
  judgedAgainst: z.string().nullable(),
  /** The workflow id of the run. */
  requestedBy: z.string().min(1).max(300),
  /** What the endpoint is watched and the pipeline trained anew by, once the candidate is in production. */
  watch: z.strictObject({ spec: pipelineSpec, code: codeVersion }).optional(),
  state: rolloutState.optional(),
  /** Continue as new after so many looks, or when Temporal suggests it. */
  continueAfter: z.number().int().positive().default(2_000),
});
export type RolloutInput = z.input<typeof rolloutInput>;

/** The answer of query `rollout`. */
export const rolloutStatus = z.strictObject({
  workflowId: z.string(),
  endpoint: z.string(),
  version: z.string(),
  champion: z.string().nullable(),
  strategy: rolloutStrategy,
  phase: rolloutState.shape.phase,
  steps: z.array(rolloutStep),
  step: z.number().int(),
  stepSince: z.string().nullable(),
  /** Of the candidate at this moment, in percent. */
  share: z.number(),
  paused: z.boolean(),
  verdicts: z.array(guardVerdict),
  outcome: rolloutOutcome.nullable(),
  reason: z.string(),
});
export type RolloutStatus = z.infer<typeof rolloutStatus>;

/** The result of workflow `rollout`. */
export const rolloutResult = z.strictObject({
  outcome: rolloutOutcome,
  endpoint: z.string(),
  version: z.string(),
  /** Which guard, which numbers, which window; or who and why. */
  reason: z.string(),
  generation: z.number().int().nullable(),
  previousVersion: z.string().nullable(),
  servers: z.array(z.string()),
  verdicts: z.array(guardVerdict),
  /** What went wrong beside it, in words: the version serves all the same. */
  warnings: z.array(z.string()).optional(),
});
export type RolloutResult = z.infer<typeof rolloutResult>;

/** The argument of updates `promote`, `pause`, `resume` and `rollback` of a roll-out. */
export const rolloutOrder = z.strictObject({ by: personName, reason: z.string().max(4000).default('') });
export type RolloutOrder = z.input<typeof rolloutOrder>;
/** The argument of update `traffic`: the candidate's share from now on, in percent. */
export const trafficOrder = rolloutOrder.extend({ share: z.number().min(0).max(99) });
export type TrafficOrder = z.input<typeof trafficOrder>;

/** The argument of signal `turn` from the endpoint: the slot is this roll-out's, or it is over. */
export const turnSignal = z.discriminatedUnion('state', [
  z.strictObject({ state: z.literal('yours') }),
  z.strictObject({
    state: z.literal('over'),
    outcome: z.enum(['superseded', 'rolled_back', 'withdrawn']),
    by: z.string(),
    reason: z.string(),
  }),
]);
export type TurnSignal = z.infer<typeof turnSignal>;
