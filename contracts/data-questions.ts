import { z } from 'zod';
import { tableProfile } from './profile.ts';
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
