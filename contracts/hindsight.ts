import { z } from 'zod';
import { measuredQuality, observedWindow } from './monitoring.ts';
import { metricName } from './spec/metrics.ts';

/**
 * What is asked, in a process of its own: what a version would have answered for what was asked of an endpoint, held
 * against the truth beside what was answered.
 */
export const hindsightQuestion = z.strictObject({
  endpoint: z.string().min(1),
  version: z.string().min(1),
  /** Of the trend the latest windows. */
  windows: z.number().int().min(1).max(400),
  /** A new file for the page; `null`: none. */
  report: z.string().nullable(),
});
export type HindsightQuestion = z.infer<typeof hindsightQuestion>;

export const hindsightWindow = z.object({
  window: observedWindow,
  /** Versions that answered, with their rows; those with the most rows first. */
  versions: z.record(z.string(), z.number()),
  /** What was answered, on the rows whose truth is known. */
  answered: measuredQuality,
  /** What the version says for the same rows. */
  asked: measuredQuality,
});
export type HindsightWindow = z.infer<typeof hindsightWindow>;

/** An endpoint as it was, beside what one version would have made of it. */
export const hindsight = z.object({
  endpoint: z.string(),
  version: z.string(),
  /** The metric that the endpoint's limits speak of first; else that of the pipeline. */
  metric: metricName,
  /** Those that have truth, the earliest first. */
  windows: z.array(hindsightWindow),
  /** Since when a version answered first, in the time of the log; the earliest first. */
  changes: z.array(z.object({ version: z.string(), at: z.string() })),
  /** Means of the metric over the windows; `null` where there are none. */
  means: z.object({ answered: z.number().nullable(), asked: z.number().nullable() }),
});
export type Hindsight = z.infer<typeof hindsight>;
