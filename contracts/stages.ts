import { z } from 'zod';
import { artifactRef, tableRef } from './refs.ts';
import { expectationResult, gateResult, metricValues, plotRef } from './reports.ts';
import { modelSignature } from './serving.ts';

/** The stages of a lifecycle run, in order. */
export const STAGES = [
  'ingest',
  'validate',
  'split',
  'prepare',
  'train',
  'evaluate',
  'gates',
  'register',
  'approval',
  'precheck',
  'deploy',
] as const;
export const stageName = z.enum(STAGES);
export type StageName = z.infer<typeof stageName>;

export const ingestOutput = z.strictObject({
  /** The joined table, rows set aside already taken out. */
  table: tableRef,
  /** Digest of sources, SQL and engine version: the identity of the data. */
  digest: z.string(),
  sources: z.array(
    z.strictObject({ name: z.string(), path: z.string(), snapshot: tableRef, sourceSha256: z.string() }),
  ),
  setAside: z.array(z.strictObject({ reason: z.string(), rows: z.number().int().nonnegative() })),
});
export type IngestOutput = z.infer<typeof ingestOutput>;

export const validateOutput = z.strictObject({
  rows: z.number().int().nonnegative(),
  results: z.array(expectationResult),
});
export type ValidateOutput = z.infer<typeof validateOutput>;

/** A part of the table; its columns are the table's. */
const tablePart = tableRef.omit({ columns: true });

export const splitOutput = z.strictObject({
  columns: tableRef.shape.columns,
  train: tablePart,
  validation: tablePart,
  test: tablePart,
  /** Rows with a timestamp outside of all parts. */
  unused: z.number().int().nonnegative(),
  /** Sorted; empty for regression. */
  classNames: z.array(z.string()),
  positiveClass: z.string().nullable(),
  /** Class index (classification) or mean (regression) is what the trivial baseline predicts. */
  baseline: z.strictObject({
    classShares: z.array(z.number()),
    mean: z.number().nullable(),
  }),
});
export type SplitOutput = z.infer<typeof splitOutput>;

const matrix = z.strictObject({
  features: artifactRef,
  labels: artifactRef,
  rows: z.number().int().nonnegative(),
});
export const prepareOutput = z.strictObject({
  plan: artifactRef,
  preprocess: artifactRef,
  featureNames: artifactRef,
  featureCount: z.number().int().positive(),
  train: matrix,
  validation: matrix,
  notes: z.array(z.string()),
});
export type PrepareOutput = z.infer<typeof prepareOutput>;

export const trainedCandidate = z.strictObject({
  name: z.string(),
  trainer: z.string(),
  mlflowRunId: z.string(),
  /** The composed graph: raw columns in, answers out. */
  model: artifactRef,
  /** The model signature as JSON; the same for all candidates, so it is only referred to. */
  signature: artifactRef,
  iterations: z.number().int().nonnegative(),
  bestIteration: z.number().int().nonnegative(),
  seconds: z.number().nonnegative(),
  validation: metricValues,
});
export type TrainedCandidate = z.infer<typeof trainedCandidate>;

export const failedCandidate = z.strictObject({ name: z.string(), trainer: z.string(), error: z.string() });

export const trainOutput = z.strictObject({
  trained: z.array(trainedCandidate),
  failed: z.array(failedCandidate),
});
export type TrainOutput = z.infer<typeof trainOutput>;

export const evaluateOutput = z.strictObject({
  winner: trainedCandidate,
  signature: modelSignature,
  /** Digest of the winner's composed model: what an approval is bound to. */
  candidate: z.string(),
  test: metricValues,
  train: metricValues,
  baseline: metricValues,
  /** The version in production on the same rows; `null` where there is none. */
  champion: z
    .strictObject({
      version: z.string(),
      /** Empty where it cannot be compared. */
      test: metricValues,
      /** Why its answers cannot be held against the candidate's. */
      notComparable: z.string().optional(),
    })
    .nullable(),
  /** Rows of the test split with the answers that the evaluation got; the pre-deployment checks compare with them. */
  samples: artifactRef,
  plots: z.array(plotRef),
  report: artifactRef,
});
export type EvaluateOutput = z.infer<typeof evaluateOutput>;

export const gatesOutput = z.strictObject({ passed: z.boolean(), results: z.array(gateResult) });
export type GatesOutput = z.infer<typeof gatesOutput>;

export const registerOutput = z.strictObject({
  modelName: z.string(),
  version: z.string(),
  modelId: z.string(),
  approvalPage: z.string().nullable(),
});
export type RegisterOutput = z.infer<typeof registerOutput>;

export const vote = z.strictObject({
  decision: z.enum(['approve', 'reject']),
  by: z.string(),
  reason: z.string(),
  at: z.string(),
  how: z.enum(['signal', 'update', 'policy']),
});
export type Vote = z.infer<typeof vote>;

export const approvalOutput = z.strictObject({
  decision: z.enum(['approved', 'rejected']),
  candidate: z.string(),
  votes: z.array(vote),
  reason: z.string(),
});
export type ApprovalOutput = z.infer<typeof approvalOutput>;

export const serverCheck = z.strictObject({
  serverId: z.string(),
  rows: z.number().int(),
  maxDifference: z.number(),
  p95Ms: z.number(),
});
export const precheckOutput = z.strictObject({ servers: z.array(serverCheck) });
export type PrecheckOutput = z.infer<typeof precheckOutput>;

export const deployOutput = z.strictObject({
  endpoint: z.string(),
  version: z.string(),
  generation: z.number().int(),
  previousVersion: z.string().nullable(),
  servers: z.array(z.string()),
});
export type DeployOutput = z.infer<typeof deployOutput>;

/** What the stages of a run have produced so far; a retry starts from these. */
export const stageOutputs = z.strictObject({
  ingest: ingestOutput.optional(),
  validate: validateOutput.optional(),
  split: splitOutput.optional(),
  prepare: prepareOutput.optional(),
  train: trainOutput.optional(),
  evaluate: evaluateOutput.optional(),
  gates: gatesOutput.optional(),
  register: registerOutput.optional(),
  approval: approvalOutput.optional(),
  precheck: precheckOutput.optional(),
  deploy: deployOutput.optional(),
});
export type StageOutputs = z.infer<typeof stageOutputs>;
