import { z } from 'zod';

/** How predictions are written to a file. */
export const exportFormat = z.enum(['csv', 'json', 'parquet']);
export type ExportFormat = z.infer<typeof exportFormat>;

/** What `perennial predictions` asks the worker's side. */
export const predictionsQuestion = z.strictObject({
  endpoint: z.string().min(1).max(100),
  /** ISO 8601. */
  since: z.string().nullable(),
  until: z.string().nullable(),
  /** Rows that are shown at the most; a file gets all. */
  limit: z.number().int().min(1).max(100_000),
  /** One SELECT over `predictions`, `truth` and `labelled`; `null`: the latest of `labelled`. */
  sql: z.string().max(100_000).nullable(),
  /** A file that is not there yet, with an absolute path. */
  out: z.strictObject({ path: z.string(), format: exportFormat }).nullable(),
});
export type PredictionsQuestion = z.infer<typeof predictionsQuestion>;

/** Its answer: rows, or how many were written; and how many segments and files were left out, as they cannot be read. */
export const predictionsAnswer = z.union([
  z.object({
    rows: z.array(z.record(z.string(), z.unknown())),
    more: z.boolean(),
    unreadable: z.number().int(),
  }),
  z.object({ written: z.number().int(), unreadable: z.number().int() }),
]);
export type PredictionsAnswer = z.infer<typeof predictionsAnswer>;

/** What `perennial feedback` asks the worker's side. */
export const feedbackQuestion = z.strictObject({
  endpoint: z.string().min(1).max(100),
  /** With an absolute path. */
  file: z.string(),
  format: z.enum(['csv', 'jsonl', 'parquet']),
  /** Whether it is taken of an endpoint too that nothing is known of. */
  newEndpoint: z.boolean(),
});
export type FeedbackQuestion = z.infer<typeof feedbackQuestion>;
