import { z } from 'zod';
import { stageCache } from './cache.ts';
import {
  fairnessResult,
  footprint,
  metricBound,
  NO_SLICES,
  robustnessResult,
  slicesResult,
} from './evaluation-report.ts';
import { attributionMethod, columnImportance } from './explanation.ts';
import { viewPlan } from './feature-store.ts';
import { incrementReport } from './incremental.ts';
import { serverCheck } from './prechecks.ts';
import { anonymityResult, personalFinding, protectedColumn } from './privacy.ts';
import { artifactRef, rowRange, tableRef } from './refs.ts';
import { expectationResult, gateResult, metricIntervals, metricValues, plotRef } from './reports.ts';
import { ROLLOUT_OUTCOMES } from './rollout.ts';
import { modelSignature, servedView } from './serving.ts';
import { featurePreset } from './spec/features.ts';
import { sourceKind } from './spec/sources.ts';
import { searchReport, trialName, trialOutcome } from './trials.ts';
import { vote } from './votes.ts';

/** The stages of a lifecycle run, in order. */
export const STAGES = [
  'ingest',
  'validate',
  'protect',
  'split',
  'prepare',
  'train',
  'evaluate',
  'explain',
  'gates',
  'register',
  'approval',
  'precheck',
  'deploy',
] as const;
export const stageName = z.enum(STAGES);
export type StageName = z.infer<typeof stageName>;

/** Whether the output came from the step cache. */
const cache = stageCache.optional();

export const ingestOutput = z.strictObject({
  /** The joined table, rows set aside already taken out. */
  table: tableRef,
  /** Digest of sources, SQL and engine version: the identity of the data. */
  digest: z.string(),
  sources: z.array(
    z.strictObject({
      name: z.string(),
      kind: sourceKind,
      /** Where the rows came from, for people; no secrets. */
      origin: z.string(),
      snapshot: tableRef,
      /** What an incremental read added; left out for sources that are read whole. */
      increment: incrementReport.optional(),
      sourceSha256: z.string(),
      /** Rows of people who were erased, which the source still has: they were left out. */
      suppressed: z.number().int().positive().optional(),
    }),
  ),
  setAside: z.array(z.strictObject({ reason: z.string(), rows: z.number().int().nonnegative() })),
  /** Columns of the table that hold personal data, declared or not. */
  findings: z.array(personalFinding),
  /** The feature views whose columns stand behind those of the SQL; left out where there are none. */
  views: z.array(viewPlan).optional(),
  cache,
});
export type IngestOutput = z.infer<typeof ingestOutput>;

export const validateOutput = z.strictObject({
  /** The rows that go on: without those that were dropped or quarantined. */
  table: tableRef,
  /** Rows before any was taken out. */
  rows: z.number().int().nonnegative(),
  results: z.array(expectationResult),
  /** Rows that a rule took out for good, and rows that were set apart with their reasons. */
  dropped: z.number().int().nonnegative(),
  quarantined: z.number().int().nonnegative(),
  quarantine: tableRef.nullable(),
  /** `validationReport` as JSON, and the same as a page. */
  report: artifactRef,
  page: artifactRef,
  cache,
});
export type ValidateOutput = z.infer<typeof validateOutput>;

export const protectOutput = z.strictObject({
  /** The table that models see: personal columns dropped, masked, pseudonymised or generalised. */
  table: tableRef,
  /** Whether the table still holds personal values, so that what is made of it is encrypted at rest. */
  sensitive: z.boolean(),
  findings: z.array(personalFinding),
  actions: z.array(protectedColumn),
  anonymity: anonymityResult.nullable(),
  /** Why the run may not go on. */
  refusal: z
    .strictObject({ code: z.enum(['PersonalDataFound', 'AnonymityTooLow']), message: z.string() })
    .nullable(),
  warnings: z.array(z.string()),
  cache,
});
export type ProtectOutput = z.infer<typeof protectOutput>;

/** A part of the table; its columns are the table's. */
const tablePart = tableRef.omit({ columns: true });

export const splitOutput = z.strictObject({
  /** Whether the parts hold personal values; what is made of them is encrypted at rest. */
  sensitive: z.boolean(),
  columns: tableRef.shape.columns,
  train: tablePart,
  validation: tablePart,
  test: tablePart,
  /** Rows of no part: with a timestamp outside of all parts or in a gap, or without one. */
  unused: z.number().int().nonnegative(),
  /** Stratified: how many strata there are, how many of them some part has no row of, and how far their shares are off. */
  strata: z
    .strictObject({
      count: z.number().int().nonnegative(),
      incomplete: z.number().int().nonnegative(),
      /** The largest difference between a stratum's share in a part and the one wanted, among strata of 1,000 rows and more. */
      largestDeviation: z.number().nonnegative(),
    })
    .optional(),
  /** Outcomes of the expectations about what parts have in common. */
  overlap: z.array(expectationResult),
  /** Sorted; empty for regression. */
  classNames: z.array(z.string()),
  positiveClass: z.string().nullable(),
  /** Class index (classification) or mean (regression) is what the trivial baseline predicts. */
  baseline: z.strictObject({
    classShares: z.array(z.number()),
    mean: z.number().nullable(),
  }),
  cache,
});
export type SplitOutput = z.infer<typeof splitOutput>;

const matrix = z.strictObject({
  features: artifactRef,
  labels: artifactRef,
  /** How much each row counts by its age, float32 `[n]`; where `training.ageWeights` asks for it. */
  weights: artifactRef.optional(),
  rows: z.number().int().nonnegative(),
});
/** One fold of a cross-validation: its features are fitted on its own training rows, so that they may be others. */
export const preparedFold = z.strictObject({
  preprocess: artifactRef,
  featureNames: artifactRef,
  featureCount: z.number().int().positive(),
  train: matrix,
  validation: matrix,
});
export type PreparedFold = z.infer<typeof preparedFold>;

/** What trainers of one family train on. */
export const preparedFeatures = z.strictObject({
  plan: artifactRef,
  preprocess: artifactRef,
  /** Where columns are encoded by the target: the graph that made the training matrix, each row without its own fold. */
  outOfFold: artifactRef.optional(),
  featureNames: artifactRef,
  featureCount: z.number().int().positive(),
  train: matrix,
  validation: matrix,
  /** In the order of `crossValidation.folds`; empty without cross-validation. */
  folds: z.array(preparedFold).default([]),
  notes: z.array(z.string()),
});
export type PreparedFeatures = z.infer<typeof preparedFeatures>;

/** Features for each family of trainers that the candidates belong to; where the options are the same, the same twice. */
export const prepareOutput = z.strictObject({
  variants: z.partialRecord(featurePreset, preparedFeatures),
  /** The rows of the folds; the same for all variants. */
  crossValidation: z
    .strictObject({
      /** The rows of the training and the validation part, those that a fold is judged on one after the other. */
      table: tablePart,
      folds: z.array(z.strictObject({ train: z.array(rowRange), validation: rowRange })),
      /** What is to be known of the folds. */
      notes: z.array(z.string()),
    })
    .optional(),
  cache,
});
export type PrepareOutput = z.infer<typeof prepareOutput>;

export const trainedCandidate = z.strictObject({
  name: z.string(),
  trainer: z.string(),
  /** How it takes its features. */
  features: featurePreset,
  /** The trials that the model is made of: one, or those of an ensemble, the best one first. */
  members: z
    .array(
      trialName.extend({
        trainer: z.string(),
        features: featurePreset,
        parameters: trialOutcome.shape.parameters,
        iterations: z.number().int().nonnegative(),
        model: artifactRef,
      }),
    )
    .min(1),
  mlflowRunId: z.string(),
  /** Binary: from which probability on the label is the positive class; left out: 0.5. */
  threshold: z.number().min(0).max(1).optional(),
  /** How members were joined, answers calibrated, the threshold chosen; as JSON. Left out where nothing was. */
  finishing: artifactRef.optional(),
  /** The composed graph: raw columns in, answers out. */
  model: artifactRef,
  /** The model signature as JSON; the same for all candidates, so it is only referred to. */
  signature: artifactRef,
  /** In force, defaults of the trainer included. */
  parameters: trialOutcome.shape.parameters,
  libraries: trialOutcome.shape.libraries,
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
  search: searchReport,
});
export type TrainOutput = z.infer<typeof trainOutput>;

export const evaluateOutput = z.strictObject({
  winner: trainedCandidate,
  signature: modelSignature,
  /** Digest of the winner's composed model: what an approval is bound to. */
  candidate: z.string(),
  test: metricValues,
  /** Of the test split, by the bootstrap; empty in runs that did not compute them. */
  intervals: metricIntervals.default({}),
  train: metricValues,
  baseline: metricValues,
  /** The version in production on the same rows; `null` where there is none. */
  champion: z
    .strictObject({
      version: z.string(),
      /** Empty where it cannot be compared. */
      test: metricValues,
      /** The candidate's value minus the champion's on the same samples of the test rows. */
      difference: metricIntervals.default({}),
      /** Why its answers cannot be held against the candidate's. */
      notComparable: z.string().optional(),
    })
    .nullable(),
  /** For gates with a confidence of their own. */
  bounds: z.array(metricBound).default([]),
  slices: slicesResult.default(NO_SLICES),
  /** One for each column of the spec's fairness. */
  fairness: z.array(fairnessResult).default([]),
  /** One for each kind, distance and metric that gates ask for. */
  robustness: z.array(robustnessResult).default([]),
  footprint: footprint.nullable().default(null),
  /** `evaluationDetails` as JSON: confusion, classes, reliability, residuals. */
  details: artifactRef.nullable().default(null),
  /** Rows of the test split with the answers that the evaluation got; the pre-deployment checks compare with them. */
  samples: artifactRef,
  plots: z.array(plotRef),
  report: artifactRef,
});
export type EvaluateOutput = z.infer<typeof evaluateOutput>;

/** What explains the winner. A run goes on where it could not be had: then `warning` says why. */
export const explainOutput = z.strictObject({
  /** `explanationReport` as JSON. */
  report: artifactRef.nullable(),
  /** `explainerFile` as JSON: makes an explainer of single predictions, with `EvaluateOutput.samples` as background. */
  explainer: artifactRef.nullable(),
  method: attributionMethod.nullable(),
  /** The most important columns: what the metric loses without them. */
  top: z.array(columnImportance).max(10),
  plots: z.array(plotRef),
  warning: z.string().nullable(),
});
export type ExplainOutput = z.infer<typeof explainOutput>;

export const gatesOutput = z.strictObject({ passed: z.boolean(), results: z.array(gateResult) });
export type GatesOutput = z.infer<typeof gatesOutput>;

export const registerOutput = z.strictObject({
  modelName: z.string(),
  version: z.string(),
  modelId: z.string(),
  approvalPage: z.string().nullable(),
  /** Inputs that the server looks up; left out where there are none. */
  views: z.array(servedView).optional(),
});
export type RegisterOutput = z.infer<typeof registerOutput>;

export const approvalOutput = z.strictObject({
  decision: z.enum(['approved', 'rejected']),
  candidate: z.string(),
  votes: z.array(vote),
  reason: z.string(),
});
export type ApprovalOutput = z.infer<typeof approvalOutput>;

export const precheckOutput = z.strictObject({ servers: z.array(serverCheck) });
export type PrecheckOutput = z.infer<typeof precheckOutput>;

/** What became of the roll-out; `rolling_out`: it goes on without the run. */
export const deployOutput = z.strictObject({
  endpoint: z.string(),
  version: z.string(),
  /** The generation of the promotion; `null` where there was none yet. */
  generation: z.number().int().nullable(),
  previousVersion: z.string().nullable(),
  servers: z.array(z.string()),
  rollout: z.strictObject({
    workflowId: z.string(),
    outcome: z.enum([...ROLLOUT_OUTCOMES, 'rolling_out']),
    reason: z.string(),
    /** What went wrong beside it, in words. */
    warnings: z.array(z.string()).optional(),
  }),
});
export type DeployOutput = z.infer<typeof deployOutput>;

/** What the stages of a run have produced so far; a retry starts from these. */
export const stageOutputs = z.strictObject({
  ingest: ingestOutput.optional(),
  validate: validateOutput.optional(),
  protect: protectOutput.optional(),
  split: splitOutput.optional(),
  prepare: prepareOutput.optional(),
  train: trainOutput.optional(),
  evaluate: evaluateOutput.optional(),
  explain: explainOutput.optional(),
  gates: gatesOutput.optional(),
  register: registerOutput.optional(),
  approval: approvalOutput.optional(),
  precheck: precheckOutput.optional(),
  deploy: deployOutput.optional(),
});
export type StageOutputs = z.infer<typeof stageOutputs>;
