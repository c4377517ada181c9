import { z } from 'zod';
import { eventLogWorkflowId } from './names.ts';
import { artifactRef } from './refs.ts';
import { identifier } from './spec/sources.ts';

/** How the rows of a batch are written: JSON Lines (one object a line) or CSV with a header. Always UTF-8. */
export const EVENT_FORMATS = ['jsonl', 'csv'] as const;
export const eventFormat = z.enum(EVENT_FORMATS);
export type EventFormat = z.infer<typeof eventFormat>;

/** Media types of stored batches. */
export const EVENT_MEDIA_TYPES: Readonly<Record<EventFormat, string>> = {
  jsonl: 'application/x-ndjson',
  csv: 'text/csv',
};

/** What one batch may be at the most; whoever has more sends several batches, or uses a file as source. */
export const EVENT_LIMITS = {
  bytes: 64 * 1024 * 1024,
  rows: 1_000_000,
  lineBytes: 1024 * 1024,
} as const;

/** The name of an event log, as `{ events: <name> }` names it in a pipeline spec. */
export const eventLogName = identifier;

/** What makes a batch the same one when it is sent again. Stands in histories: nothing personal. */
export const eventBatchId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/, 'letters, digits and . _ : -; at most 128 characters');

/** Rows as they were stored, before a log has them. */
export const storedRows = z.strictObject({
  artifact: artifactRef,
  /** 0 only for rows that were pushed before, and all of which were erased since. */
  rows: z.number().int().nonnegative().max(EVENT_LIMITS.rows),
  format: eventFormat,
});
export type StoredRows = z.infer<typeof storedRows>;

/**
 * The argument of signal and update `append`: a reference to stored rows, never the rows. Without `batchId` the
 * digest of the rows is the id.
 *
 * @example
 * temporal workflow signal --workflow-id eventLog/calls --name append --input-file batch.json
 */
export const appendSignal = storedRows
  .extend({ batchId: eventBatchId.optional() })
  .transform(({ batchId, ...rows }) => ({ batchId: batchId ?? rows.artifact.sha256, ...rows }));
export type AppendInput = z.input<typeof appendSignal>;

/** A batch of a log. */
export const eventBatch = storedRows.extend({ batchId: eventBatchId });
export type EventBatch = z.infer<typeof eventBatch>;

/** The answer of update `append`. */
export const appended = z.strictObject({
  log: eventLogName,
  batchId: eventBatchId,
  /** Position of the batch in the log, from 0. */
  offset: z.number().int().nonnegative(),
  rows: z.number().int().positive(),
  /** Whether the log had the batch already; nothing was added then. */
  duplicate: z.boolean(),
});
export type Appended = z.infer<typeof appended>;

/** Where a log stands: all it holds lies behind one reference. */
export const eventLogHead = z.strictObject({
  /** The {@link eventManifest} with all batches; `null` while there is none. */
  manifest: artifactRef.nullable(),
  /** The format of the first batch, and so of all. */
  format: eventFormat.nullable(),
  batches: z.number().int().nonnegative(),
  rows: z.number().int().nonnegative(),
});
export type EventLogHead = z.infer<typeof eventLogHead>;

/** What the log makes of each batch that it is offered, in order. */
export const appendVerdict = z.discriminatedUnion('state', [
  appended.omit({ log: true, duplicate: true }).extend({ state: z.enum(['appended', 'duplicate']) }),
  z.strictObject({ state: z.literal('refused'), batchId: z.string(), reason: z.string() }),
]);
export type AppendVerdict = z.infer<typeof appendVerdict>;

/** An artifact that lists the batches of a log in order: full chunks as artifacts of their own, then the latest. */
export const eventManifest = z.strictObject({
  schemaVersion: z.literal(1),
  log: eventLogName,
  chunks: z.array(z.strictObject({ artifact: artifactRef, batches: z.number().int().positive() })),
  latest: z.array(eventBatch),
});
export type EventManifest = z.infer<typeof eventManifest>;

/** The batches of a full chunk of a manifest. */
export const eventChunk = z.array(eventBatch);

/** The answer of query `batches`: what the log holds and what it was sent but has not looked at. */
export const eventLogStatus = z.strictObject({
  log: eventLogName,
  head: eventLogHead,
  /** Batches that were sent by signal and are not appended yet. */
  pending: z.array(eventBatch),
  /** Signals and batches that do not count, with the reason; the latest 20. */
  refused: z.array(z.strictObject({ batchId: z.string().nullable(), reason: z.string(), at: z.string() })),
});
export type EventLogStatus = z.infer<typeof eventLogStatus>;

/** The argument of workflow type `eventLog`; what is not `log` is its own, over continue-as-new. */
export const eventLogInput = z.strictObject({
  log: eventLogName,
  head: eventLogHead.optional(),
  pending: z.array(eventBatch).default([]),
  refused: eventLogStatus.shape.refused.default([]),
  /** Continue as new after this many appended batches, or when Temporal suggests it. */
  continueAfter: z.number().int().positive().default(2_000),
});
export type EventLogInput = z.input<typeof eventLogInput>;

/** How whoever appends finds the workflow of a log, or starts it: signal with start, update with start. */
export const eventLogStart = (log: string, taskQueue: string) => ({
  workflowId: eventLogWorkflowId(log),
  taskQueue,
  workflowIdConflictPolicy: 'USE_EXISTING' as const,
  args: [{ log }] satisfies [EventLogInput],
  staticSummary: `Event log ${log}: the batches of rows that were pushed to it`,
});
