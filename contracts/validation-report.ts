import { z } from 'zod';
import { expectationResult } from './reports.ts';

/** A value of an example row; dates and long integers come as text, a masked personal value as {@link MASKED}. */
const cell = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** What stands in place of a personal value. */
export const MASKED = '•••';

/** Example rows of one rule at the most. */
export const MAX_EXAMPLES = 5;

/** Some rows that violate one rule. */
export const ruleExamples = z.strictObject({
  /** Index into `results`. */
  result: z.number().int().nonnegative(),
  /** Columns in the order in which they are shown: those of the rule first. */
  columns: z.array(z.string()),
  /** The first violating rows in file order; `row` counts from 1. */
  rows: z
    .array(z.strictObject({ row: z.number().int().positive(), values: z.record(z.string(), cell) }))
    .max(MAX_EXAMPLES),
});
export type RuleExamples = z.infer<typeof ruleExamples>;

/**
 * The whole outcome of a validation, an artifact of its own: it holds example rows, so it never travels in a
 * payload. Values of columns that are declared personal are masked.
 */
export const validationReport = z.strictObject({
  schemaVersion: z.literal(1),
  /** Event time that freshness was measured against, ISO 8601. */
  asOf: z.string(),
  /** For example "duckdb v1.5.6". */
  engine: z.string(),
  table: z.strictObject({
    rows: z.number().int().nonnegative(),
    columns: z.array(z.strictObject({ name: z.string(), type: z.string() })),
  }),
  /** Whether no rule with severity error failed. */
  passed: z.boolean(),
  /** In the order of the spec. */
  results: z.array(expectationResult),
  examples: z.array(ruleExamples),
  /** Rows removed under policy drop alone. */
  dropped: z.number().int().nonnegative(),
  /** Rows moved to the quarantine table. */
  quarantined: z.number().int().nonnegative(),
  /** Rows that go on. */
  kept: z.number().int().nonnegative(),
});
export type ValidationReport = z.infer<typeof validationReport>;
