import { z } from 'zod';
import { tableProfile } from './profile.ts';
import { pipelineSpec } from './spec/pipeline.ts';
import { source } from './spec/sources.ts';

/** What the CLI asks the data engine about a source, in a process of its own: see `workers/answer.ts`. */
export const dataQuestion = z.strictObject({
  /** What the answer calls the data, for example the name of the file. */
  name: z.string(),
  source,
});

export const profileQuestion = dataQuestion.extend({
  /** Whether the page is wanted, too. */
  html: z.boolean(),
});
export const profileAnswer = z.object({ profile: tableProfile, html: z.string().nullable() });

export const inferQuestion = dataQuestion.extend({
  /** The source that the rules name as theirs; `null` where they are about the joined table. */
  on: z.string().nullable(),
});

/** Proposed expectations in the spec's YAML, and how many. */
export const inferAnswer = z.object({ yaml: z.string(), rules: z.number().int() });

/** What is asked of a spec's table where it is replayed: the rows of a stretch of time. */
export const rowsQuestion = z.strictObject({
  spec: pipelineSpec,
  /** ISO 8601; from `from` on, up to, not including, `before`. */
  from: z.string(),
  before: z.string(),
});

/** A row as a client of the model would have it. */
export const timedRow = z.object({
  /** When it was, ISO 8601. */
  at: z.string(),
  /** The features as a request has them. */
  inputs: z.record(z.string(), z.unknown()),
  /** What turned out to be true. */
  label: z.string().nullable(),
});
export type TimedRow = z.infer<typeof timedRow>;

export const rowsAnswer = z.object({ rows: z.array(timedRow) });
