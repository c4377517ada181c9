import { z } from 'zod';
import { auditTrailState } from './audit.ts';
import { codeVersion, RUN_OUTCOMES } from './lifecycle.ts';
import { personName } from './people.ts';
import { artifactRef } from './refs.ts';
import { retrainingSpec, triggerKind } from './spec/retraining.ts';

/** ISO 8601, as it is kept. */
const moment = z.string();
/** ISO 8601 as people send it. One without an offset would be another moment on another machine. */
const toldMoment = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2}))?$/, {
    error: 'a time with its offset such as 2026-11-21T10:00:00Z, or a date',
    abort: true,
  })
  .refine((text) => !Number.isNaN(Date.parse(text)), 'the calendar has no such time');
const words = z.string().max(1_000);

/** A reason to train anew. */
export const trigger = z.strictObject({
  kind: triggerKind,
  /** Why, with numbers; no value of a row. */
  reason: words.default(''),
  /** Event time; default: when it comes. */
  at: toldMoment.optional(),
  /** The version that it is about, where it is about one. */
  version: z.string().nullable().default(null),
  by: personName.optional(),
});
export type Trigger = z.input<typeof trigger>;
/** The argument of signal and update `trigger`: a reason, or several that are decided upon together. */
export const triggers = z
  .union([trigger, z.array(trigger).min(1).max(20)])
  .transform((told) => (Array.isArray(told) ? told : [told]));

/** A trigger that has been parsed. */
export type ToldTrigger = z.output<typeof trigger>;

/** A reason that waits to be acted upon; the same kind again is the same reason, told more often. */
export const pendingReason = z.strictObject({
  kind: triggerKind,
  reason: words,
  version: z.string().nullable(),
  /** First and last time that it was told, and how often. */
  firstAt: moment,
  lastAt: moment,
  times: z.number().int().positive(),
  by: z.string().nullable(),
});
export type PendingReason = z.infer<typeof pendingReason>;

export const DECISIONS = ['start', 'wait', 'skip', 'give-up', 'ended'] as const;
/**
 * What was decided, and why. `start`: a run begins; `wait`: not yet, until `until` or something else changes; `skip`: the
 * reason is none by the spec; `give-up`: a person is asked; `ended`: what became of a run.
 */
export const retrainingDecision = z.strictObject({
  at: moment,
  decision: z.enum(DECISIONS),
  reasons: z.array(z.strictObject({ kind: triggerKind, reason: words, times: z.number().int() })),
  /** The rule that decided, in words. */
  why: words,
  until: moment.nullable(),
  /** The workflow id of the run. */
  run: z.string().nullable(),
});
export type RetrainingDecision = z.infer<typeof retrainingDecision>;

/** A run that was started, and what became of it. */
export const retrainingRun = z.strictObject({
  workflowId: z.string(),
  startedAt: moment,
  endedAt: moment.nullable(),
  kinds: z.array(triggerKind),
  /** While it goes on: what it was started for, told again where it breaks. */
  reasons: z.array(pendingReason).optional(),
  /** `failed`: the run failed or was cancelled. */
  outcome: z.enum([...RUN_OUTCOMES, 'failed']).nullable(),
  message: words,
  version: z.string().nullable(),
  /** Whether the model in production was better for it; `null`: not known yet. */
  helped: z.boolean().nullable(),
  /** Seconds and cost of its training. */
  seconds: z.number().nonnegative(),
  cost: z.number().nonnegative(),
});
export type RetrainingRun = z.infer<typeof retrainingRun>;

/** What rules decide by: the live workflow's, and the back-test's. */
export const retrainingState = z.strictObject({
  pending: z.array(pendingReason),
  /** The latest, the oldest first; at most 200. */
  runs: z.array(retrainingRun),
  /** Runs in a row that did not help. */
  failures: z.number().int().nonnegative(),
  /** Since when a person is asked. */
  gaveUpAt: moment.nullable(),
  paused: z.boolean(),
  /** The last run before a person said that it may go on: up to it, none counts as a failure any more. */
  resumedAfter: z.string().nullable().optional(),
  /** What the last tick said; absent: none came yet. */
  champion: z.strictObject({ version: z.string(), since: moment }).nullable().optional(),
});
export type RetrainingState = z.infer<typeof retrainingState>;

/** What a retraining works with; the argument of update `configure`. */
export const retrainingSettings = z.strictObject({
  pipeline: z.string().min(1),
  specRef: artifactRef,
  retraining: retrainingSpec,

  code: codeVersion.default({ commit: null, dirty: false }),
  /** `event`: the time is that of triggers and ticks, for recorded data; `wall`: the clock's. */
  clock: z.enum(['wall', 'event']).default('wall'),
});
export type RetrainingSettings = z.infer<typeof retrainingSettings>;

/** The argument of workflow `retraining`, one for each pipeline. */
export const retrainingInput = z.strictObject({
  settings: retrainingSettings,
  state: retrainingState.optional(),
  decisions: z.array(retrainingDecision).default([]),
  /** Event time, where the clock is that. */
  asOf: moment.optional(),
  audit: auditTrailState.optional(),
  continueAfter: z.number().int().positive().default(200),
});
export type RetrainingInput = z.input<typeof retrainingInput>;

/** The answer of query `retraining` and of updates. */
export const retrainingStatus = z.strictObject({
  settings: retrainingSettings,
  state: retrainingState,
  /** The latest, the oldest first; all of them are in the audit log. */
  decisions: z.array(retrainingDecision),
  asOf: moment,
});
export type RetrainingStatus = z.infer<typeof retrainingStatus>;

/** The argument of signal `tick`: event time goes on, and what the champion is. */
export const retrainingTick = z.strictObject({
  asOf: toldMoment,
  champion: z.strictObject({ version: z.string(), since: toldMoment }).nullable(),
});
export type RetrainingTick = z.infer<typeof retrainingTick>;

/** The argument of update `answer`: a person, after the workflow gave up. */
export const retrainingAnswer = z.strictObject({
  decision: z.enum(['resume', 'pause']),
  by: personName,
  reason: words.default(''),
});
export type RetrainingAnswer = z.input<typeof retrainingAnswer>;

/** The argument of update `retire`: the spec in production asks for no retraining; the workflow ends. */
export const retrainingRetirement = z.strictObject({ reason: words });
export type RetrainingRetirement = z.input<typeof retrainingRetirement>;

/** The argument of workflow `retrainingTrigger`, which a schedule starts. */
export const retrainingTriggerInput = z.strictObject({
  pipeline: z.string().min(1),
  trigger: trigger,
});
export type RetrainingTriggerInput = z.input<typeof retrainingTriggerInput>;

/** The argument of workflow `newData`, which a schedule starts. */
export const newDataInput = z.strictObject({ pipeline: z.string().min(1) });
export type NewDataInput = z.infer<typeof newDataInput>;

/** What workflow `newData` saw. */
export const newDataResult = z.strictObject({ found: z.boolean(), words: z.string() });
export type NewDataResult = z.infer<typeof newDataResult>;
