import { z } from 'zod';

/** What people are told of, by webhook or log. No value out of a row. */
export const noticeOfRun = z.strictObject({
  kind: z.enum([
    'approval.requested',
    'approval.reminder',
    'approval.escalated',
    'rollout.rolled-back',
    'rollout.promoted',
    'retraining.started',
    'retraining.ended',
    'retraining.gave-up',
  ]),
  /** The workflow that it is about. */
  workflowId: z.string(),
  pipeline: z.string().nullable(),
  endpoint: z.string().nullable(),
  version: z.string().nullable(),
  candidate: z.string().nullable(),
  /** Whom to tell; empty: whoever listens. */
  to: z.array(z.string()),
  /** A sentence for people. */
  text: z.string().max(4_000),
  /** Where to look and decide. */
  url: z.string().nullable(),
});
export type NoticeOfRun = z.infer<typeof noticeOfRun>;
