import { z } from 'zod';
import { artifactRef } from './refs.ts';
import { gate, metricName } from './spec/evaluation.ts';

/** Finite metric values by name. */
export const metricValues = z.partialRecord(metricName, z.number());
export type MetricValues = z.infer<typeof metricValues>;

/** The outcome of one expectation. Fields that older runs did not record have defaults. */
export const expectationResult = z.strictObject({
  expectation: z.string().meta({ description: 'In words, for example "not_null dep_time".' }),
  kind: z.string().default('').meta({ description: 'The word after expect, for example "not_null".' }),
  on: z.string().nullable().default(null).meta({ description: 'The source; null is the joined table.' }),
  columns: z.array(z.string()).default([]),
  severity: z.enum(['error', 'warn']),
  policy: z
    .enum(['stop', 'drop', 'quarantine'])
    .default('stop')
    .meta({ description: 'What happens to violating rows.' }),
  passed: z.boolean(),
  violations: z.number().int().nonnegative().meta({
    description: 'Violating rows; of a rule about the whole table 0 or 1, of schema the columns.',
  }),
  rows: z.number().int().nonnegative().meta({ description: 'Rows that were looked at.' }),
  share: z.number().min(0).default(0).meta({ description: 'violations / rows of a row-wise rule, else 0.' }),
  value: z
    .number()
    .nullable()
    .default(null)
    .meta({ description: 'What was measured, where it is one finite number: a share, mean, count, score.' }),
  observed: z.string().default('').meta({ description: 'In words, without values of rows.' }),
  limit: z.string().default('').meta({ description: 'In words, for example "at most 1 % of rows".' }),
  note: z.string().optional().meta({ description: 'For example why the rule does not apply.' }),
});
export type ExpectationResult = z.infer<typeof expectationResult>;

/** A rule about the whole table has no share: it is as bad as can be. */
const badness = ({ share }: ExpectationResult): number => (share > 0 ? share : 1);

/** Expectations that stop a run, the worst first: by the share of rows that violate them. */
export const failedExpectations = (results: readonly ExpectationResult[]): ExpectationResult[] =>
  results
    .filter((result) => !result.passed && result.severity === 'error')
    .sort((a, b) => badness(b) - badness(a));

/** Results that a stage's output names at most; the report has all. */
const MAX_RESULTS = 150;

/** The results that travel through workflow histories: those that failed first, in the order of the rules. */
export function travellingResults(results: readonly ExpectationResult[]): ExpectationResult[] {
  if (results.length <= MAX_RESULTS) return [...results];
  const failed = results.filter((result) => !result.passed);
  const chosen = new Set([...failed, ...results.filter((result) => result.passed)].slice(0, MAX_RESULTS));
  return results.filter((result) => chosen.has(result));
}

/** The outcome of one gate: `observed` against `limit`; `margin` is negative by how much it failed. */
export const gateResult = z.strictObject({
  gate,
  condition: z.string().meta({ description: 'In words, for example "roc_auc >= 0.85".' }),
  passed: z.boolean(),
  observed: z.number().nullable(),
  limit: z.number().nullable(),
  margin: z.number().nullable(),
  note: z.string().optional(),
});
export type GateResult = z.infer<typeof gateResult>;

/** A picture that a stage made. */
export const plotRef = z.strictObject({ name: z.string(), title: z.string(), artifact: artifactRef });
export type PlotRef = z.infer<typeof plotRef>;
