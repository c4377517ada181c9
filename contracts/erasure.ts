import { z } from 'zod';
import { artifactRef } from './refs.ts';

/** Models that are named at the most; the rest is counted. */
export const MAX_LISTED_MODELS = 500;

/** The argument of workflow type `erasure`. Who is meant stands in the artifact alone, encrypted. */
export const erasureInput = z.strictObject({
  /** What `main.js person` stored; it is deleted at the end. */
  request: artifactRef,
  /** Only says what would be erased. */
  dryRun: z.boolean().default(false),
  /** Waits for running lifecycles of the pipelines that hold the person, instead of failing. */
  wait: z.boolean().default(false),
  /** Who asked for it, for the certificate. */
  by: z.string().max(200).default(''),
  /** Why, for the certificate; nothing about the person. */
  reason: z.string().max(1_000).default(''),
});
export type ErasureInput = z.input<typeof erasureInput>;

const pipelines = z.array(z.string());
const count = z.number().int().nonnegative();

/** Rows of one person in one kind of place. */
export const foundRows = z.strictObject({
  /** `artifacts`, `events`, `predictions` or `features`. */
  store: z.string(),
  /** For example `snapshot`, `quarantine`, `features`. */
  kind: z.string(),
  /** Artifacts, or whatever the store consists of. */
  places: count,
  rows: count,
  pipelines,
});
export type FoundRows = z.infer<typeof foundRows>;

/** What could not be looked through. */
export const unsearched = z.strictObject({
  store: z.string(),
  kind: z.string(),
  places: count,
  pipelines,
  /** Why, and what to do. */
  why: z.string(),
});
export type Unsearched = z.infer<typeof unsearched>;

/** A registered model version whose rows held the person. */
export const modelOfPerson = z.strictObject({
  name: z.string(),
  version: z.string(),
  pipeline: z.string(),
  /** `train`: fitted on the rows; `validation`: chosen by them. */
  parts: z.array(z.enum(['train', 'validation'])),
  /** The aliases that it has now; `null` where MLflow does not know the version any more. */
  aliases: z.array(z.string()).nullable(),
});
export type ModelOfPerson = z.infer<typeof modelOfPerson>;

/** What was found: counts and names, no rows. */
export const erasureFindings = z.strictObject({
  found: z.array(foundRows),
  unsearched: z.array(unsearched),
  pipelines,
  models: z.array(modelOfPerson).max(MAX_LISTED_MODELS),
  /** All of them, also those that are not named. */
  modelCount: count,
});
export type ErasureFindings = z.infer<typeof erasureFindings>;

/** The answer of activity `planErasure`. */
export const erasurePlan = z.strictObject({
  /** The steps, encrypted. */
  plan: artifactRef,
  steps: count,
  findings: erasureFindings,
  /** Ids of lifecycle runs of these pipelines that are running; at most 20. */
  running: z.array(z.string()),
});
export type ErasurePlan = z.infer<typeof erasurePlan>;

/** The result of workflow type `erasure`. */
export const erasureResult = z.strictObject({
  /** Number of the certificate, see the document `certificates/<number>`; `null` for a dry run. */
  certificate: z.string().nullable(),
  /** Whether all places could be looked through and, afterwards, none holds the person. */
  complete: z.boolean(),
  ...erasureFindings.shape,
});
export type ErasureResult = z.infer<typeof erasureResult>;
