import { z } from 'zod';
import { interval, metricBound, metricIntervals, metricValues } from './evaluation-report.ts';
import { jsonBytes } from './payload-limits.ts';
import { artifactRef } from './refs.ts';
import { gate } from './spec/gates.ts';

export {
  type MetricIntervals,
  type MetricValues,
  metricIntervals,
  metricValues,
} from './evaluation-report.ts';

/** A model judged on some rows. */
export const judgement = z.strictObject({
  metrics: metricValues,
  /** Of the metrics; empty where none were asked for. */
  intervals: metricIntervals,
  /** Of a challenger's value minus this one's on the same rows; empty where there is none. */
  difference: metricIntervals,
  /** One-sided bounds at the confidences that were asked for, of what {@link metricIntervals} are of. */
  bounds: z.array(metricBound.omit({ of: true })).default([]),
});
export type Judgement = z.infer<typeof judgement>;

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

/** Results that a stage's output names at most, their bytes, and what of each of them; the report has all. */
const MAX_RESULTS = 150;
const MAX_RESULTS_BYTES = 128 * 1024;
const MAX_WORDS = 500;
const MAX_COLUMNS = 20;

/**
 * The results that travel through workflow histories, in the order of the rules: before all others those that stop the
 * run, then what else failed.
 */
export function travellingResults(results: readonly ExpectationResult[]): ExpectationResult[] {
  const short = results.map(shortened);
  const rank = ({ passed, severity }: ExpectationResult): number =>
    passed ? 2 : severity === 'error' ? 0 : 1;
  const chosen = new Set<ExpectationResult>();
  let bytes = 0;
  for (const result of [...short].sort((a, b) => rank(a) - rank(b))) {
    bytes += jsonBytes(result);
    if (chosen.size === MAX_RESULTS || bytes > MAX_RESULTS_BYTES) break;
    chosen.add(result);
  }
  return short.filter((result) => chosen.has(result));
}

const words = (text: string): string => (text.length > MAX_WORDS ? `${text.slice(0, MAX_WORDS)}…` : text);

function shortened(result: ExpectationResult): ExpectationResult {
  return {
    ...result,
    expectation: words(result.expectation),
    columns: result.columns.slice(0, MAX_COLUMNS),
    observed: words(result.observed),
    limit: words(result.limit),
    ...(result.note === undefined ? {} : { note: words(result.note) }),
  };
}

/**
 * What became of a gate. `undecided`: the champion cannot be held against the candidate, and the approver decides;
 * `insufficient`: too few rows or one class, so that there is nothing to judge; neither stops a run.
 */
export const gateVerdict = z.enum(['passed', 'failed', 'undecided', 'insufficient']);
export type GateVerdict = z.infer<typeof gateVerdict>;

/** Older runs recorded only whether a gate passed. */
const withVerdict = (value: unknown): unknown =>
  typeof value === 'object' && value !== null && !('verdict' in value) && 'passed' in value
    ? { required: '', interval: null, verdict: value.passed === true ? 'passed' : 'failed', ...value }
    : value;

/** The outcome of one gate, a row of the verdict: `observed` against `limit`. */
export const gateResult = z.preprocess(
  withVerdict,
  z.strictObject({
    gate,
    condition: z.string().meta({ description: 'In words, for example "roc_auc >= 0.85".' }),
    required: z.string().meta({ description: 'What is asked of the value, for example ">= 0.85".' }),
    verdict: gateVerdict,
    /** Whether the verdict is `passed`. */
    passed: z.boolean(),
    observed: z.number().nullable(),
    limit: z.number().nullable(),
    /** Negative by how much it failed. */
    margin: z.number().nullable(),
    /** Where the value lies with the confidence of the spec, or on one side of it with that of the gate. */
    interval: interval.nullable(),
    note: z.string().optional(),
    /** What it is about, where that is a part: of the rows, of the people, of the inputs. */
    slice: z.string().optional(),
    group: z.string().optional(),
    feature: z.string().optional(),
  }),
);
export type GateResult = z.infer<typeof gateResult>;

/** A picture that a stage made. */
export const plotRef = z.strictObject({ name: z.string(), title: z.string(), artifact: artifactRef });
export type PlotRef = z.infer<typeof plotRef>;
