import { createHash } from 'node:crypto';
import type { BatchOutput, WrittenOutput } from '../../contracts/batch-output.ts';
import type { OpenedBatch, ScoredChunk, TakenBatch } from '../../contracts/batch-scoring.ts';
import type { ErasurePlan } from '../../contracts/erasure.ts';
import { NO_SLICES } from '../../contracts/evaluation-report.ts';
import type { ServerCheck } from '../../contracts/prechecks.ts';
import {
  type ArtifactRef,
  MEDIA_TYPES,
  type MediaType,
  type RowRange,
  type TableRef,
} from '../../contracts/refs.ts';
import { expectationResult } from '../../contracts/reports.ts';
import type { Tracking } from '../../contracts/run.ts';
import type { ModelSignature, ServedModel } from '../../contracts/serving.ts';
import type { PipelineSpecInput } from '../../contracts/spec/pipeline.ts';
import type {
  EvaluateOutput,
  ExplainOutput,
  IngestOutput,
  PreparedFeatures,
  PrepareOutput,
  ProtectOutput,
  RegisterOutput,
  SplitOutput,
  TrainedCandidate,
  ValidateOutput,
} from '../../contracts/stages.ts';
import type { TrialOutcome } from '../../contracts/trials.ts';

/** A reference as the artifact store would give it; the same name gives the same digest. */
export function artifact(name: string, mediaType: MediaType = MEDIA_TYPES.parquet): ArtifactRef {
  const sha256 = createHash('sha256').update(name).digest('hex');
  return { uri: `cas:${sha256}`, sha256, bytes: 4_096, mediaType };
}

/** A spec that is whole without any file, with short times. */
export const smallSpec = (changes: Partial<PipelineSpecInput> = {}): PipelineSpecInput => ({
  name: 'churn',
  task: 'binary',
  data: { sources: { customers: 'customers.csv' } },
  columns: { target: 'churned' },
  training: { budget: { trials: 2 } },
  approval: { timeout: '10m', reminders: [] },
  ...changes,
});

const table = (name: string, rows: number): TableRef => ({
  artifact: artifact(name),
  rows,
  columns: [
    { name: 'age', type: 'INTEGER' },
    { name: 'plan', type: 'VARCHAR' },
    { name: 'churned', type: 'VARCHAR' },
  ],
});

export const signature: ModelSignature = {
  inputs: [
    { name: 'age', kind: 'numeric', optional: true },
    { name: 'plan', kind: 'categorical', optional: true },
  ],
  outputs: [
    { name: 'label', kind: 'string' },
    { name: 'probability', kind: 'float' },
  ],
};

/** A version as an endpoint is asked to serve it. */
export const servedModel = (version: string): ServedModel => ({
  version,
  onnx: artifact(`model ${version}`, MEDIA_TYPES.onnx),
  signature,
});

export const tracking: Tracking = {
  experimentId: '1',
  runId: '0123456789abcdef0123456789abcdef',
  url: 'http://mlflow.test/#/experiments/1/runs/0123456789abcdef0123456789abcdef',
};

export const ingested: IngestOutput = {
  table: table('joined', 1_000),
  digest: artifact('joined').sha256,
  sources: [
    {
      name: 'customers',
      kind: 'file',
      origin: 'customers.csv',
      snapshot: table('customers', 1_010),
      sourceSha256: artifact('customers.csv').sha256,
    },
  ],
  setAside: [{ reason: 'no label', rows: 10 }],
  findings: [],
};

export const validated: ValidateOutput = {
  table: table('validated', 1_000),
  rows: 1_000,
  dropped: 0,
  quarantined: 0,
  quarantine: null,
  report: artifact('validation report', MEDIA_TYPES.json),
  page: artifact('validation page', MEDIA_TYPES.html),
  results: [
    expectationResult.parse({
      expectation: 'not_null age',
      severity: 'error',
      passed: true,
      violations: 0,
      rows: 1_000,
    }),
    expectationResult.parse({
      expectation: 'unique id',
      severity: 'warn',
      passed: false,
      violations: 3,
      rows: 1_000,
    }),
  ],
};

export const protectedData: ProtectOutput = {
  table: table('protected', 1_000),
  sensitive: false,
  findings: [],
  actions: [],
  anonymity: null,
  refusal: null,
  warnings: [],
};

const part = (name: string, rows: number): SplitOutput['train'] => ({
  artifact: artifact(name, MEDIA_TYPES.parquet),
  rows,
});

export const parts: SplitOutput = {
  sensitive: false,
  overlap: [],
  columns: table('joined', 1_000).columns,
  train: part('train', 600),
  validation: part('validation', 200),
  test: part('test', 200),
  unused: 0,
  classNames: ['no', 'yes'],
  positiveClass: 'yes',
  baseline: { classShares: [0.7, 0.3], mean: null },
};

const matrix = (name: string, rows: number) => ({
  features: artifact(`${name} features`, MEDIA_TYPES.npy),
  labels: artifact(`${name} labels`, MEDIA_TYPES.npy),
  rows,
});

const preparedFeatures: PreparedFeatures = {
  plan: artifact('plan', MEDIA_TYPES.json),
  preprocess: artifact('preprocess', MEDIA_TYPES.onnx),
  featureNames: artifact('feature names', MEDIA_TYPES.json),
  featureCount: 7,
  train: matrix('train', 600),
  validation: matrix('validation', 200),
  folds: [],
  notes: [],
};

export const prepared: PrepareOutput = { variants: { tree: preparedFeatures, linear: preparedFeatures } };

/** What a trial gives; LightGBM is the better one. */
export const trainedTrial = (name: string, trainer: string): TrialOutcome => {
  const { mlflowRunId, parameters, libraries, iterations, bestIteration, seconds, validation } = trained(
    name,
    trainer,
  );
  return {
    state: 'trained',
    mlflowRunId,
    model: artifact(`trainer's model of ${name}`, MEDIA_TYPES.onnx),
    answers: null,
    parameters,
    libraries,
    iterations,
    bestIteration,
    seconds,
    validation,
  };
};

/** What training one candidate gives; LightGBM is the better one. */
export const trained = (name: string, trainer: string): TrainedCandidate => ({
  name,
  trainer,
  features: 'tree',
  members: [
    {
      candidate: name,
      number: 0,
      trainer,
      features: 'tree',
      parameters: {},
      iterations: 120,
      model: artifact(`trainer's model of ${name}`, MEDIA_TYPES.onnx),
    },
  ],
  mlflowRunId: artifact(`run of ${name}`).sha256.slice(0, 32),
  model: artifact(`model of ${name}`, MEDIA_TYPES.onnx),
  signature: artifact('signature', MEDIA_TYPES.json),
  parameters: {},
  libraries: {},
  iterations: 120,
  bestIteration: 90,
  seconds: 1.5,
  validation: { roc_auc: trainer === 'lightgbm' ? 0.91 : 0.88, log_loss: 0.31 },
});

/** The evaluation of a winner that keeps the default gates. */
/** What explains the winner. */
export const explained: ExplainOutput = {
  report: artifact('explanation', MEDIA_TYPES.json),
  explainer: artifact('explainer', MEDIA_TYPES.json),
  method: 'tree',
  top: [{ column: 'age', mean: 0.12, sd: 0.01 }],
  plots: [],
  warning: null,
};

export const evaluated = (winner: TrainedCandidate): EvaluateOutput => ({
  winner,
  signature,
  candidate: winner.model.sha256,
  test: { roc_auc: 0.9, log_loss: 0.32, brier_score: 0.09, accuracy: 0.88 },
  intervals: { roc_auc: { low: 0.88, high: 0.92 } },
  train: { roc_auc: 0.93, log_loss: 0.27, brier_score: 0.07, accuracy: 0.91 },
  baseline: { roc_auc: 0.5, log_loss: 0.61, brier_score: 0.21, accuracy: 0.7 },
  champion: null,
  bounds: [],
  slices: NO_SLICES,
  fairness: [],
  robustness: [],
  footprint: null,
  details: null,
  samples: artifact('samples', MEDIA_TYPES.json),
  plots: [{ name: 'roc', title: 'ROC curve', artifact: artifact('roc', MEDIA_TYPES.svg) }],
  report: artifact('report', MEDIA_TYPES.json),
});

export const registered: RegisterOutput = {
  modelName: 'churn',
  version: '1',
  modelId: 'm-0123456789abcdef0123456789abcdef',
  approvalPage: 'http://mlflow.test/#/models/churn/versions/1',
};

/** An erasure that finds nothing. */
export const nothingToErase: ErasurePlan = {
  plan: artifact('a plan', MEDIA_TYPES.json),
  steps: 0,
  findings: { found: [], unsearched: [], pipelines: [], models: [], modelCount: 0 },
  running: [],
};

export const openedBatch: OpenedBatch = {
  tracking,
  version: '7',
  digest: artifact('model 7', MEDIA_TYPES.onnx).sha256,
  model: artifact('model of a batch', MEDIA_TYPES.json),
};

/** The rows of a batch. */
export const takenBatch = (rows: number): TakenBatch => ({
  plan: artifact('plan of a batch', MEDIA_TYPES.json),
  table: artifact('rows of a batch'),
  rows,
  source: { kind: 'file', origin: 'customers.csv', sha256: artifact('customers.csv').sha256 },
  suppressed: 0,
  missingInputs: [],
});

export const scoredChunk = (rows: RowRange): ScoredChunk => ({
  rows,
  artifact: artifact(`answers ${rows.from}`),
  invalid: 0,
});

export const writtenBatch = (output: BatchOutput, rows: number): WrittenOutput => ({
  kind: 'file',
  destination: 'path' in output ? output.path : '',
  format: 'parquet',
  rows,
  bytes: 4_096,
  sha256: artifact('answers').sha256,
});

/** What a server answers where a candidate passed the checks before any traffic. */
export const checked = (rows: number): ServerCheck => ({
  serverId: 'a',
  rows,
  maxDifference: 0,
  exact: true,
  p95Ms: 1,
  memoryBytes: null,
  requests: 0,
  hostile: 0,
});
