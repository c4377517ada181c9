import { z } from 'zod';
import { incidentKind, routeRole } from './serving.ts';

/**
 * Counts of numbers in buckets whose ends stand in a fixed ratio (DDSketch, Masson, Rim & Lee 2019): any quantile is
 * known to {@link SKETCH_ACCURACY} of its value, and the sketches of several servers add up. Keys are the index of
 * the bucket: `i` holds `γ^(i-1) < |x| ≤ γ^i`.
 */
export const numberSketch = z.strictObject({
  /** Numbers that are nearer to 0 than {@link SKETCH_ZERO}. */
  zero: z.number().int().nonnegative(),
  positive: z.record(z.string().regex(/^-?\d{1,5}$/), z.number().int().positive()),
  negative: z.record(z.string().regex(/^-?\d{1,5}$/), z.number().int().positive()),
});
export type NumberSketch = z.infer<typeof numberSketch>;
/** Relative error of a quantile. */
export const SKETCH_ACCURACY = 0.02;
export const SKETCH_ZERO = 1e-9;
/** Buckets of one sign at the most; the smallest numbers share one beyond that. */
export const SKETCH_BUCKETS = 600;

/** How often each class was answered; beyond 100 classes they count together as `""`. */
export const labelCounts = z.record(z.string(), z.number().int().positive());
export const MAX_LABELS = 100;

/** What one version did under one generation, cumulated since the generation came into force. */
export const versionTraffic = z.strictObject({
  version: z.string(),
  role: routeRole,
  /** Requests that were its to answer, answered or failed; of a shadow: copies. */
  requests: z.number().int().nonnegative(),
  rows: z.number().int().nonnegative(),
  /** Of `requests`, those that it failed, by kind; also where the champion stood in. */
  failures: z.partialRecord(incidentKind, z.number().int().positive()),
  /** Milliseconds from the arrival to the answer; of a request that failed: to the failure. */
  latency: numberSketch,
  /** What was answered, by the name of the output. */
  numbers: z.record(z.string(), numberSketch),
  labels: z.record(z.string(), labelCounts),
});
export type VersionTraffic = z.infer<typeof versionTraffic>;

/** What a server saw of an endpoint under the generation in force. */
export const trafficReport = z.strictObject({
  serverId: z.string(),
  /** Another one after every start of the process: its counts begin at 0 again. */
  epoch: z.string(),
  generation: z.number().int().nonnegative(),
  versions: z.array(versionTraffic),
});
export type TrafficReport = z.infer<typeof trafficReport>;

/**
 * The last report of every server and epoch under one generation. What a server saw before it was started again
 * stays, so that all of them together are the window.
 */
export const evidenceLedger = z.strictObject({
  generation: z.number().int().nonnegative(),
  /** When the generation came into force (ISO 8601). */
  since: z.string(),
  reports: z.array(trafficReport),
});
export type EvidenceLedger = z.infer<typeof evidenceLedger>;

/** Sums over rows: count, mean, and the sum of squared deviations from it (Welford 1962). */
export const moments = z.strictObject({
  count: z.number().int().nonnegative(),
  mean: z.number(),
  m2: z.number().nonnegative(),
  /** Smallest and largest; `null` without rows. */
  min: z.number().nullable(),
  max: z.number().nullable(),
});
export type Moments = z.infer<typeof moments>;

/** What is known of predictions by the truth that came since, of one version. */
export const versionTruth = z.strictObject({
  version: z.string(),
  /** Rows that it answered in the window. */
  rows: z.number().int().nonnegative(),
  /** The row metric over those whose truth is known; `null` where none was asked for. */
  quality: moments.nullable(),
  business: moments.nullable(),
});
export type VersionTruth = z.infer<typeof versionTruth>;

/** What truth says of a window of predictions. */
export const truthReport = z.strictObject({
  since: z.string(),
  until: z.string(),
  versions: z.array(versionTruth),
  /** Segments and files that could not be read: the report is about the others. */
  unreadable: z.number().int().nonnegative(),
});
export type TruthReport = z.infer<typeof truthReport>;
