import { z } from 'zod';
import { metricValues } from './evaluation-report.ts';
import { codeVersion, RUN_OUTCOMES } from './lifecycle.ts';
import { observedWindow } from './monitoring.ts';
import { artifactRef } from './refs.ts';
import { metricName } from './spec/metrics.ts';
import { retrainingSpec } from './spec/retraining.ts';

const count = z.number().int().nonnegative();
/** ISO 8601. */
const moment = z.iso.datetime({ offset: true });

/** A policy to be compared: when a model would have been trained anew. */
export const backtestPolicy = z.strictObject({
  name: z.string().regex(/^[\w-]{1,40}$/, 'letters, digits, _ and -; at most 40'),
  /** `null`: never. */
  retraining: retrainingSpec.nullable(),
});
export type BacktestPolicy = z.infer<typeof backtestPolicy>;

/** The argument of workflow `backtest`: the spec itself (self-contained JSON) or a reference to it. */
export const backtestInput = z
  .strictObject({
    spec: z.record(z.string(), z.unknown()).optional(),
    specRef: artifactRef.optional(),
    policies: z
      .array(backtestPolicy)
      .min(1)
      .max(10)
      .refine((policies) => new Set(policies.map(({ name }) => name)).size === policies.length, {
        error: 'each policy has a name of its own',
      }),
    /** The first model is trained as of this moment; the first window begins here. */
    from: moment,
    to: moment,
    code: codeVersion.default({ commit: null, dirty: false }),
    startedBy: z.string().max(200).default(''),
  })
  .refine((input) => (input.spec === undefined) !== (input.specRef === undefined), {
    error: 'exactly one of spec and specRef',
  });
export type BacktestInput = z.input<typeof backtestInput>;
/** As the workflow takes it. */
export type BacktestRequest = z.output<typeof backtestInput>;

/** A retraining that a policy asked for. */
export const backtestRun = z.strictObject({
  asOf: moment,
  reasons: z.array(z.string()),
  outcome: z.enum(RUN_OUTCOMES).or(z.literal('failed')),
  message: z.string(),
  /** The model, where one was trained. */
  model: z.string().nullable(),
  seconds: z.number().nonnegative(),
  cost: z.number().nonnegative(),
});
export type BacktestRun = z.infer<typeof backtestRun>;

/** One window under one policy. */
export const backtestStep = z.strictObject({
  window: observedWindow,
  /** The model in production, by the moment as of which it was trained. */
  model: z.string(),
  rows: count,
  /** Of all rows of the window, by the truth that came later. */
  quality: metricValues,
  /** Whether the quality is beyond a limit of `monitoring.quality`; `null` where there are too few labels to say. */
  bad: z.boolean().nullable(),
  /** Keys of the alerts that were raised at the end of the window, by what was known then. */
  raised: z.array(z.string()),
  /** What was decided then, where something was. */
  decision: z.string(),
});
export type BacktestStep = z.infer<typeof backtestStep>;

export const policyOutcome = z.strictObject({
  policy: z.string(),
  steps: z.array(backtestStep),
  runs: z.array(backtestRun),
  /** Mean over the windows, by rows. */
  quality: metricValues,
  badWindows: count,
  /** Alerts that were raised: while a window was bad, or about one that was; and others. */
  trueAlerts: count,
  falseAlerts: count,
  /** Stretches of bad windows of which nothing was told. */
  missed: count,
  /** Runs whose model came into production. */
  deployed: count,
  seconds: z.number().nonnegative(),
  cost: z.number().nonnegative(),
});
export type PolicyOutcome = z.infer<typeof policyOutcome>;

/** A policy as it came out, without its windows and runs: those are in the report. */
export const policySummary = policyOutcome.omit({ steps: true, runs: true }).extend({
  windows: count,
  /** Runs that began. */
  retrainings: count,
});
export type PolicySummary = z.infer<typeof policySummary>;

/** `backtest.json`: all that a back-test found, the best policy first. */
export const backtestReport = z.strictObject({
  pipeline: z.string(),
  from: moment,
  to: moment,
  /** How long after a prediction its truth was known; `null`: at once. */
  labelDelay: z.string().nullable(),
  metric: metricName,
  /** What the gates say of the first model, which serves even where they fail; empty where they pass. */
  firstModelFailed: z.array(z.string()).optional(),
  policies: z.array(policyOutcome),
  /** Which policy to choose, in words. */
  advice: z.string(),
});
export type BacktestReport = z.infer<typeof backtestReport>;

/** What workflow `backtest` answers, the best policy first. */
export const backtestResult = backtestReport.extend({
  policies: z.array(policySummary),
  /** {@link backtestReport} as JSON. */
  report: artifactRef,
  page: artifactRef,
  /** The MLflow run, which has both. */
  runId: z.string(),
  url: z.string(),
});
export type BacktestResult = z.infer<typeof backtestResult>;

/** What the query `progress` answers while a back-test runs. */
export const backtestProgress = z.strictObject({
  /** When it began, over all runs of the workflow; nothing that it may have made since is garbage. */
  began: moment,
  stage: z.enum(['reading the data', 'training the first model', 'replaying', 'writing the report']),
  windows: count,
  policies: z.array(
    z.strictObject({
      policy: z.string(),
      /** Windows that it has gone through. */
      done: count,
      retrainings: count,
      /** The moment as of which a model is being trained; `null`: none is. */
      training: moment.nullable(),
    }),
  ),
});
export type BacktestProgress = z.infer<typeof backtestProgress>;
