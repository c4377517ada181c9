import { z } from 'zod';
import { lineageEnvironment } from './lineage.ts';

/** The argument of workflow type `reproduction`. */
export const reproductionInput = z.strictObject({
  modelName: z.string().min(1).max(250),
  version: z.string().regex(/^\d{1,9}$/, 'the number of a version'),
  /** Who asked for it; an MLflow tag. */
  startedBy: z.string().max(200).default(''),
});
export type ReproductionInput = z.input<typeof reproductionInput>;

/** The links of the chain from the snapshots to the model, in order. */
export const CHAIN = [
  'snapshots',
  'table',
  'validated',
  'protected',
  'split',
  'features',
  'matrices',
  'model',
] as const;
export const chainLink = z.enum(CHAIN);
export type ChainLink = z.infer<typeof chainLink>;

/** Digests by part, for each link: `{ split: { train: '9f86…', … } }`. */
export const chainDigests = z.record(chainLink, z.record(z.string(), z.string()));
export type ChainDigests = z.infer<typeof chainDigests>;

const difference = z.strictObject({
  what: z.string(),
  was: z.string().nullable(),
  is: z.string().nullable(),
});
export type Difference = z.infer<typeof difference>;

const metrics = z.record(z.string(), z.number());

/** What a version was, as far as a reproduction is held against it. */
export const reproductionTarget = z.strictObject({
  chain: chainDigests,
  test: metrics,
  validation: metrics,
  libraries: z.record(z.string(), z.string()).nullable(),
});
export type ReproductionTarget = z.infer<typeof reproductionTarget>;

/** People who were taken out of the snapshots since the version was trained. */
export const erasedSince = z.strictObject({
  people: z.number().int().nonnegative(),
  /** Of the sources that they were taken out of. */
  sources: z.array(z.string()),
  certificates: z.array(z.string()),
});
export type ErasedSince = z.infer<typeof erasedSince>;

/** What a reproduction found; also `reproduction.json` in its MLflow run. */
export const reproductionResult = z.strictObject({
  modelName: z.string(),
  version: z.string(),
  /** `identical`: the same model file; `equal`: another file with the same metrics; else `different`. */
  verdict: z.enum(['identical', 'equal', 'different']),
  /** The first link whose digests differ; `null` where none does. */
  departed: chainLink.nullable(),
  links: z.array(z.strictObject({ link: chainLink, same: z.boolean(), differences: z.array(difference) })),
  metrics: z.array(
    z.strictObject({
      split: z.enum(['test', 'validation']),
      name: z.string(),
      was: z.number().nullable(),
      is: z.number().nullable(),
    }),
  ),
  erased: erasedSince,
  /** What the machine and the software differ in. */
  environment: z.array(difference),
  run: z.strictObject({ workflowId: z.string(), mlflowRunId: z.string(), url: z.string() }),
  seconds: z.number().nonnegative(),
});
export type ReproductionResult = z.infer<typeof reproductionResult>;

/** The answer of activity `openReproduction`. */
export const reproductionPlan = z.strictObject({
  /** Pinned to the stored snapshots, with the one candidate that won. */
  spec: z.record(z.string(), z.unknown()),
  tracking: z.strictObject({ experimentId: z.string(), runId: z.string(), url: z.string() }),
  target: reproductionTarget,
  erased: erasedSince,
  environment: z.strictObject({ was: lineageEnvironment, is: lineageEnvironment }),
  /** The moment that freshness is measured at. */
  asOf: z.string(),
});
export type ReproductionPlan = z.infer<typeof reproductionPlan>;
