import { z } from 'zod';
import { codeVersion } from './code-version.ts';
import { personName } from './people.ts';
import { artifactRef } from './refs.ts';
import { STAGES, stageName, stageOutputs } from './stages.ts';
import { vote, voteToken } from './votes.ts';

export { type CodeVersion, codeVersion } from './code-version.ts';

/** Which stages are run again, whatever the step cache holds. */
export const cacheOptions = z
  .strictObject({
    use: z.boolean().default(true),
    refresh: z.array(stageName).default([]),
  })
  .prefault({});
export type CacheOptions = z.infer<typeof cacheOptions>;

/**
 * The argument of workflow type `lifecycle`: the spec itself (self-contained JSON) or a reference to it.
 *
 * @example
 * temporal workflow start --type lifecycle --task-queue perennial --workflow-id bank-1 --input-file run.json
 */
export const lifecycleInput = z
  .strictObject({
    spec: z.record(z.string(), z.unknown()).optional(),
    specRef: artifactRef.optional(),
    code: codeVersion.default({ commit: null, dirty: false }),
    /** What or who started the run; an MLflow tag. */
    startedBy: z.string().max(200).default(''),
    /** The person who started it: their own approval does not count, unless the spec lets it. */
    author: personName.optional(),
    /** A retraining as of this moment: on the rows of `retraining.window`, and nothing that came later. */
    asOf: z.iso.datetime({ offset: true }).optional(),
    /** By default unchanged stages are taken from the step cache. */
    cache: cacheOptions,
    /** A run that takes up an earlier one: stages before `from` are not run again, their outputs are taken over. */
    resume: z
      .strictObject({ workflowId: z.string(), runId: z.string(), from: stageName, outputs: stageOutputs })
      .optional(),
  })
  .refine((input) => (input.spec === undefined) !== (input.specRef === undefined), {
    error: 'exactly one of spec and specRef',
  });
export type LifecycleInput = z.input<typeof lifecycleInput>;

/** The argument of signal `approve`. `candidate` binds the vote to one model (its digest, or the first 8 or more characters). */
export const approveSignal = z.strictObject({
  by: personName,
  reason: z.string().max(4000).default(''),
  candidate: z.string().optional(),
});
/** The argument of signal `reject`; a reason is required. */
export const rejectSignal = approveSignal.extend({
  reason: z.string().trim().min(1, 'a rejection needs a reason').max(4000),
});
/** A vote with a signed token alone: all that it says stands in the token. */
export const signedReview = z.strictObject({ token: voteToken });
/** A vote by name; the spec says whether such votes count. */
const namedReview = z
  .strictObject({
    decision: z.enum(['approve', 'reject']),
    by: personName,
    reason: z.string().max(4000).default(''),
    candidate: z.string().min(8, 'the digest of the candidate, or its first 8 or more characters'),
  })
  .refine((review) => review.decision === 'approve' || review.reason.trim() !== '', {
    error: 'a rejection needs a reason',
    path: ['reason'],
  });
/** The argument of update `review`. */
export const reviewUpdate = z.union([signedReview, namedReview]);
export type ReviewUpdate = z.infer<typeof reviewUpdate>;

export const stageStatus = z.strictObject({
  name: stageName,
  state: z.enum(['pending', 'running', 'done', 'cached', 'failed', 'reused', 'skipped']),
  startedAt: z.string().optional(),
  endedAt: z.string().optional(),
  /** A line of numbers for people. */
  summary: z.string().optional(),
});
export type StageStatus = z.infer<typeof stageStatus>;

/** `rolling_out`: the roll-out goes on after the run, see `outputs.deploy.rollout`. */
export const RUN_OUTCOMES = [
  'deployed',
  'rolling_out',
  'gates_failed',
  'rejected',
  'approval_timed_out',
  'rolled_back',
  'superseded',
  'withdrawn',
] as const;

/** How a run ended. */
export const lifecycleResult = z.strictObject({
  outcome: z.enum(RUN_OUTCOMES),
  pipeline: z.string(),
  message: z.string(),
  modelName: z.string().nullable(),
  version: z.string().nullable(),
  candidate: z.string().nullable(),
  /** Milliseconds in which the run waited for a person. */
  waitedMs: z.number().nonnegative(),
  outputs: stageOutputs,
});
export type LifecycleResult = z.infer<typeof lifecycleResult>;

/** The answer of query `status`. */
export const runStatus = z.strictObject({
  workflowId: z.string(),
  runId: z.string(),
  pipeline: z.string().nullable(),
  state: z.enum(['running', 'awaiting_approval', 'done', 'failed', 'cancelled']),
  stage: stageName.nullable(),
  stages: z.array(stageStatus).length(STAGES.length),
  links: z.record(z.string(), z.string()),
  awaiting: z
    .strictObject({
      candidate: z.string(),
      since: z.string(),
      deadline: z.string(),
      quorum: z.number(),
      votes: z.array(vote),
      remindersSent: z.number().int(),
      /** Who may vote, where not everybody may. */
      approvers: z.array(z.string()).nullable().default(null),
      roles: z
        .array(z.strictObject({ role: z.string(), quorum: z.number().int(), approvals: z.number().int() }))
        .default([]),
      /** Whether only votes with a signed token count. */
      signed: z.boolean().default(false),
      /** The `run` claim of such a token. */
      run: z.string().default(''),
      escalated: z.boolean().default(false),
      /** Gates that no number could decide: whoever approves does. */
      undecided: z.array(z.string()).default([]),
    })
    .nullable(),
  /** Signals that were not accepted, with the reason; the latest 20. */
  refused: z.array(z.strictObject({ signal: z.string(), reason: z.string(), at: z.string() })),
  outcome: z.enum(RUN_OUTCOMES).nullable(),
  error: z.string().nullable(),
});
export type RunStatus = z.infer<typeof runStatus>;
