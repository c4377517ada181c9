import { z } from 'zod';
import { alertState, undelivered } from './alerts.ts';
import { columnComparison } from './distribution-report.ts';
import { interval, metricValues } from './evaluation-report.ts';
import { artifactRef } from './refs.ts';
import { checkName, monitoringSpec } from './spec/monitoring.ts';

const count = z.number().int().nonnegative();
/** ISO 8601, UTC. */
const moment = z.string();

/** A stretch of predictions that are looked at together: from `from` up to, not including, `before`. */
export const observedWindow = z.strictObject({
  /** Counts from the first window of the endpoint; the step of metrics in MLflow. */
  index: count,
  from: moment,
  before: moment,
});
export type ObservedWindow = z.infer<typeof observedWindow>;

/**
 * `ok`: within the limits; `breached`: beyond one; `insufficient`: too few rows or labels to say, which is never
 * healthy; `unlimited`: measured, and nothing is asked of it.
 */
export const checkState = z.enum(['ok', 'breached', 'insufficient', 'unlimited']);
export type CheckState = z.infer<typeof checkState>;

/** What one check says of one window. No value of a row. */
export const verdict = z.strictObject({
  check: checkName,
  /** What of it: a metric, a column or a statistic; `''` where it is one number. */
  of: z.string().max(200),
  /** A part of the rows; `null` for all. */
  slice: z.string().max(200).nullable(),
  state: checkState,
  observed: z.number().nullable(),
  limit: z.number().nullable(),
  interval: interval.nullable(),
  /** Rows, or labels, that it rests on. */
  rows: count,
  /** In words with numbers, for example `PSI 1.51, at most 0.25`. */
  words: z.string().max(1_000),
});
export type Verdict = z.infer<typeof verdict>;

/** What of `operations` says that a window could not be looked at. */
export const COULD_NOT_LOOK = 'monitor';

/** A column as it is in a window, held against the reference. */
export const driftedColumn = columnComparison.extend({
  /** Wasserstein-1 distance in standard deviations of the reference; numbers and moments. */
  wasserstein: z.number().nullable(),
  /** p-values of the column's tests, corrected for all columns (Benjamini and Hochberg 1995). */
  adjustedPValue: z.number().nullable(),
  drifted: z.boolean(),
});
export type DriftedColumn = z.infer<typeof driftedColumn>;

/** Metrics of some rows, and how many they rest on. */
export const measuredQuality = z.strictObject({
  rows: count,
  labels: count,
  metrics: metricValues,
  intervals: z.partialRecord(z.string(), interval),
});
export type MeasuredQuality = z.infer<typeof measuredQuality>;

export const operationsReport = z.strictObject({
  /** That were answered; `failed` and `refused` come on top. */
  requests: count,
  rows: count,
  /** Rows of one second, over the window. */
  rowsPerSecond: z.number().nonnegative(),
  latencyMs: z.strictObject({ p50: z.number(), p95: z.number(), p99: z.number() }).nullable(),
  /** Requests at which another version stood in, and answers that are no numbers. */
  fallbacks: count,
  invalidOutputs: count,
  /** Requests as servers counted them since they were read last, failed and refused ones among them; `null` where nobody knows. */
  counted: count.nullable().default(null),
  /** From the servers' counters: requests that failed and that were refused; `null` where no server was asked. */
  failed: count.nullable(),
  refused: count.nullable(),
  /** Share of the window in which a server was live. */
  uptime: z.number().min(0).max(1).nullable(),
  /** Of the time in which requests were under way, in the currency of the spec; `null` where it has no price. */
  cost: z.number().nonnegative().nullable(),
});
export type OperationsReport = z.infer<typeof operationsReport>;

/** The concept drift detector, of one version of the model, and the moment through which it has seen errors. */
export const detectorState = z
  .strictObject({ version: z.string(), through: moment, state: z.unknown() })
  .nullable();
export type DetectorState = z.infer<typeof detectorState>;

/** Counters of the servers when they were read last, by server and name. */
export const serverCounters = z.record(z.string(), z.record(z.string(), z.number()));
export type ServerCounters = z.infer<typeof serverCounters>;

/** Looked-up features of a window's rows, held against the sources as they are now. */
export const viewParity = z.strictObject({
  view: z.string(),
  /** Rows that were compared, or are stale. */
  rows: count,
  /** Rows with an event that the store could not know yet when it was asked. */
  stale: count,
  /** Of the others: rows of which a feature is another one, and by how much at the most. */
  differing: count,
  largest: z.number(),
});
export type ViewParity = z.infer<typeof viewParity>;

/** All that is known of a window. It holds values of the data (bins, categories): an artifact, never a payload. */
export const windowReport = z.strictObject({
  schemaVersion: z.literal(1),
  endpoint: z.string(),
  window: observedWindow,
  /** The window whose truth is known by now; `null` before there is one. */
  labelled: observedWindow.nullable(),
  /** Versions that answered, with their rows. */
  versions: z.record(z.string(), count),
  reference: z.strictObject({ words: z.string(), rows: count, labels: count, version: z.string() }),
  rows: count,
  columns: z.array(driftedColumn),
  multivariate: z
    .strictObject({
      /** Mean reconstruction error of the window, and of the reference’s chunks with its deviation. */
      error: z.number(),
      reference: z.number(),
      deviation: z.number(),
      components: count,
      rows: count,
    })
    .nullable(),
  classifier: z.strictObject({ auc: z.number(), rows: count, top: z.array(z.string()) }).nullable(),
  predictions: z.array(driftedColumn),
  labels: driftedColumn.nullable(),
  quality: measuredQuality,
  /** Of the model that the truth is about: the one that answered most of the labelled rows. */
  referenceQuality: metricValues,
  /** Of the model of the window, which `estimated` is held against; without it that is `referenceQuality`. */
  estimateReference: metricValues.optional(),
  estimated: measuredQuality.nullable(),
  skew: z.strictObject({ rows: count, differing: count, largest: z.number() }).nullable(),
  /** Left out where no features are looked up. */
  features: z.array(viewParity).optional(),
  concept: z
    .strictObject({
      detector: z.string(),
      labels: count,
      /** Mean error before and after the change; the moment at which it was found. */
      changes: z.array(
        z.strictObject({ at: moment, before: z.number().nullable(), after: z.number().nullable() }),
      ),
    })
    .nullable(),
  operations: operationsReport.nullable(),
  slices: z.array(
    z.strictObject({
      name: z.string(),
      rows: count,
      quality: measuredQuality,
      /** Of the same slice; without it `worseBy` asks nothing of the slice. */
      referenceQuality: metricValues.optional(),
      predictions: z.array(driftedColumn),
    }),
  ),
  verdicts: z.array(verdict),
  warnings: z.array(z.string()),
  /** What the next window begins with: the concept drift detector, and counters of the servers. */
  carriedOver: z.strictObject({ detector: detectorState, counters: serverCounters }),
});
export type WindowReport = z.infer<typeof windowReport>;

/** What of a report travels, and is kept as the trend. */
export const windowSummary = z.strictObject({
  window: observedWindow,
  labelled: observedWindow.nullable(),
  version: z.string().nullable(),
  rows: count,
  labels: count,
  /** `breached` before `insufficient` before `ok`. */
  state: z.enum(['ok', 'breached', 'insufficient']),
  /** At most 200: the breached first, then those of which something is asked, all rows before slices. */
  verdicts: z.array(verdict).max(200),
  /** By name for MLflow and OpenMetrics, such as `quality.roc_auc`, `drift.psi.contact`; at most 500. */
  measures: z.record(z.string(), z.number()),
  report: artifactRef,
  page: artifactRef,
  /** The trend of what is worst, for alerts; `null` where nothing is. */
  plot: artifactRef.nullable(),
});
export type WindowSummary = z.infer<typeof windowSummary>;

/** A window of the trend: what is kept of it when the next one has come. */
export const trendWindow = windowSummary
  .pick({
    window: true,
    labelled: true,
    version: true,
    rows: true,
    labels: true,
    state: true,
    report: true,
    page: true,
  })
  .extend({
    /** Of all rows and features together; those of single columns and slices stand in the report. */
    measures: z.record(z.string(), z.number()),
  });
export type TrendWindow = z.infer<typeof trendWindow>;

/** What is watched, and how; written when a version of the pipeline comes into production. */
export const monitorSettings = z.strictObject({
  endpoint: z.string(),
  pipeline: z.string(),
  /** The whole spec, for retrainings and for the roles of columns. */
  specRef: artifactRef,
  monitoring: monitoringSpec,
  /** The first window begins here. */
  since: moment,
  /** Nothing is looked at; what is on record stays. */
  paused: z.boolean().default(false),
  /** Who paused it or let it go on, and why. */
  note: z.string().max(1_500).optional(),
  /** `event`: recorded traffic is replayed, and whoever does says how late it is. Default: `wall`. */
  clock: z.enum(['wall', 'event']).optional(),
  /** Since when a version is in production whose spec asks for no watching; absent: none is. Paused, too. */
  endedAt: moment.optional(),
});
export type MonitorSettings = z.infer<typeof monitorSettings>;

/** Where the watching of an endpoint stands; a document, changed by one writer at a time. */
export const monitorState = z.strictObject({
  endpoint: z.string(),
  /** The first moment that no window has covered. */
  next: moment,
  /** Index of the next window. */
  index: count,
  /** The latest, the oldest first; at most 400. */
  trend: z.array(trendWindow),
  /** The latest of them, whole. */
  latest: windowSummary.nullable(),
  /** The version that answered most of the latest window, and since which window it does. */
  served: z.strictObject({ version: z.string(), since: moment }).nullable().default(null),
  /** The end of the last window whose truth was looked at. */
  judgedThrough: moment.nullable(),
  alerts: alertState,
  /** What people were not told yet, or not at all; the latest, the oldest first. */
  undelivered: z.array(undelivered).max(20).default([]),
  detector: detectorState,
  counters: serverCounters,
  /** The MLflow run of the endpoint, and the first window that it does not have. */
  tracking: z.strictObject({ runId: z.string(), url: z.string() }).nullable(),
  unlogged: count,
});
export type MonitorState = z.infer<typeof monitorState>;

/** What a run of workflow `monitor` did; of many windows the latest hundred. */
export const monitorResult = z.strictObject({
  endpoint: z.string(),
  /** Windows that were looked at in all. */
  looked: count,
  windows: z.array(windowSummary.pick({ window: true, state: true, rows: true, labels: true })),
  /** Keys of alerts. */
  raised: z.array(z.string()),
  resolved: z.array(z.string()),
});
export type MonitorResult = z.infer<typeof monitorResult>;

/** The argument of workflow `monitor`. */
export const monitorInput = z.strictObject({
  endpoint: z.string().min(1).max(100),
  /** Event time up to which windows are looked at. Default: the time of the schedule, or now. */
  asOf: z.iso.datetime({ offset: true }).optional(),
  /** Looks at the windows of this time again, with the truth of today; no alerts, no retraining. */
  again: z
    .strictObject({ from: z.iso.datetime({ offset: true }), before: z.iso.datetime({ offset: true }) })
    .optional(),
  /** Of the run that this one continues. */
  result: monitorResult.optional(),
});
export type MonitorInput = z.input<typeof monitorInput>;
