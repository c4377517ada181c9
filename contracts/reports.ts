import { z } from 'zod';
import { artifactRef } from './refs.ts';
import { gate, metricName } from './spec/evaluation.ts';

/** Finite metric values by name. */
export const metricValues = z.partialRecord(metricName, z.number());
export type MetricValues = z.infer<typeof metricValues>;

/** The outcome of one expectation. */
export const expectationResult = z.strictObject({
  expectation: z.string().meta({ description: 'In words, for example "not_null dep_time".' }),
  severity: z.enum(['error', 'warn']),
  passed: z.boolean(),
  violations: z.number().int().nonnegative(),
  rows: z.number().int().nonnegative(),
});
export type ExpectationResult = z.infer<typeof expectationResult>;

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
