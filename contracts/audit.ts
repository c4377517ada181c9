import { z } from 'zod';

/** What is decided or done, in the audit log. */
export const AUDIT_ACTIONS = [
  'approval.requested',
  'approval.vote',
  'approval.escalated',
  'approval.decided',
  'rollout.admitted',
  'rollout.queued',
  'rollout.step',
  'rollout.verdict',
  'rollout.paused',
  'rollout.resumed',
  'rollout.traffic',
  'rollout.ended',
  'endpoint.promoted',
  'endpoint.rolled-back',
  'endpoint.withdrawn',
  'retraining.decided',
  'retraining.ended',
  'retraining.configured',
  'retraining.answered',
] as const;
export const auditAction = z.enum(AUDIT_ACTIONS);
export type AuditAction = z.infer<typeof auditAction>;

/** One decision, change or refusal, as the workflow that made it tells it. */
export const auditEntry = z.strictObject({
  /** Workflow time, ISO 8601. */
  at: z.string(),
  action: auditAction,
  outcome: z.enum(['done', 'refused', 'reverted']),
  /** A person's name, a workflow's id, or `policy`. */
  by: z.string().max(400),
  /** How `by` is known: a verified token, an unverified name, or the engine itself. */
  how: z.enum(['token', 'named', 'engine']),
  endpoint: z.string().nullable(),
  version: z.string().nullable(),
  /** Digest of the model. */
  candidate: z.string().nullable(),
  /** In words: why, by which numbers. No value out of a row. */
  reason: z.string().max(4_000),
});
export type AuditEntry = z.infer<typeof auditEntry>;

/** A line of the log. Each holds the digest of the one before: a line that is changed or missing shows. */
export const auditRecord = auditEntry.extend({
  /** Of one workflow: `endpoint/NAME`, or the id of a run or roll-out. */
  stream: z.string().min(1).max(600),
  /** From 0, without a gap. */
  sequence: z.number().int().nonnegative(),
  /** SHA-256 of the record before, in hex; `''` for the first. */
  previous: z.string(),
  /** SHA-256 of this record's canonical JSON without `digest`. */
  digest: z.string(),
});
export type AuditRecord = z.infer<typeof auditRecord>;

/** Entries on their way: what a workflow has not been told yet that it is written. */
export const auditTrailState = z.strictObject({
  /** The sequence of the first of `waiting`. */
  next: z.number().int().nonnegative(),
  waiting: z.array(auditEntry),
});
export type AuditTrailState = z.infer<typeof auditTrailState>;

/** The argument of activity `recordAudit`; sending the same again writes nothing. */
export const auditAppend = z.strictObject({
  stream: auditRecord.shape.stream,
  /** The sequence of the first entry. */
  from: z.number().int().nonnegative(),
  entries: z.array(auditEntry).min(1).max(100),
});
export type AuditAppend = z.infer<typeof auditAppend>;

/** What `perennial audit` asks the worker's side. */
export const auditQuestion = z.strictObject({
  endpoint: z.string().nullable(),
  /** A workflow id: that run, and its roll-out. */
  run: z.string().nullable(),
  /** ISO 8601. */
  since: z.string().nullable(),
  limit: z.number().int().min(1).max(100_000),
});
export type AuditQuestion = z.infer<typeof auditQuestion>;

/** Its answer: the latest records, the oldest first, and what is wrong with the chains. */
export const auditAnswer = z.strictObject({
  records: z.array(auditRecord),
  /** Streams whose chain is broken, with the place. */
  broken: z.array(z.strictObject({ stream: z.string(), sequence: z.number().int(), problem: z.string() })),
});
export type AuditAnswer = z.infer<typeof auditAnswer>;
