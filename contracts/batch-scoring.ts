import { z } from 'zod';
import { batchOutput, type WrittenOutput, writtenOutput } from './batch-output.ts';
import { duration } from './durations.ts';
import { joinMoment } from './feature-store.ts';
import { type ArtifactRef, artifactRef, rowRange } from './refs.ts';
import { secretIssues } from './spec/secrets.ts';
import { source } from './spec/sources.ts';

/** Rows of a chunk where nothing else is said: one row group of the snapshot, so that nothing is read twice. */
export const DEFAULT_CHUNK_ROWS = 122_880;

/** Chunks whose references one manifest holds, and that one run of the workflow scores before it continues as new. */
export const CHUNKS_PER_MANIFEST = 250;

const COLUMN = z.string().min(1).max(255);

/** What is to be done, as every step of the batch knows it. */
const request = {
  model: z
    .string()
    .min(1)
    .max(250)
    .regex(/^[^/:@'"\0]+$/, 'the name of a registered model; version and alias have fields of their own')
    .meta({ description: 'The registered model.' }),
  version: z.coerce
    .string()
    .regex(/^[1-9]\d{0,9}$/, 'a number of a version')
    .optional()
    .meta({ description: 'Its version. Default: the one that the alias names when the batch starts.' }),
  alias: z
    .string()
    .min(1)
    .max(250)
    .regex(/^[\w.-]+$/, 'an alias')
    .optional()
    .meta({ description: 'An alias of MLflow. Default: champion.' }),
  source: source.meta({ description: 'The rows: a path, an address, or any source of a pipeline spec.' }),
  sql: z
    .string()
    .min(1)
    .max(100_000)
    .optional()
    .meta({ description: 'One SELECT over the table `source`: what it gives is scored.' }),
  output: batchOutput.meta({ description: 'Where the answers go.' }),
  passThrough: z
    .union([z.enum(['all', 'none']), z.array(COLUMN).max(500)])
    .default('all')
    .meta({ description: 'Columns of the rows that are written beside the answers.' }),
  entity: COLUMN.optional().meta({
    description: 'The column with the key of whom or what a row is about, for late truth.',
  }),
  features: z
    .boolean()
    .default(false)
    .meta({ description: 'Writes what the model was given as input_<name>.' }),
  invalid: z.enum(['fail', 'quarantine']).default('fail').meta({
    description:
      'A row that cannot be scored ends the batch (fail), or is written without answers and with the reason (quarantine).',
  }),
  personal: z
    .array(COLUMN)
    .max(500)
    .default([])
    .meta({ description: 'Personal columns that are not found by themselves: the snapshot is encrypted.' }),
  subject: z
    .array(COLUMN)
    .max(10)
    .default([])
    .meta({ description: 'Columns that identify the person: people who were erased are left out.' }),
  chunkRows: z.number().int().min(1).max(5_000_000).default(DEFAULT_CHUNK_ROWS),
  parallel: z
    .number()
    .int()
    .min(1)
    .max(64)
    .default(2)
    .meta({ description: 'Chunks that are scored at a time, on all workers together.' }),
  deadline: duration.optional().meta({ description: 'From the start; a batch that takes longer fails.' }),
  /** Names files and rows; the same id is written once. */
  batchId: z
    .string()
    .regex(/^[A-Za-z0-9][\w.-]{0,99}$/, 'letters, digits, . _ and -, at most 100')
    .optional()
    .meta({ description: 'The id of the batch. Default: the id of the run in Temporal.' }),
  cache: z.enum(['use', 'refresh', 'off']).default('use').meta({
    description:
      'Whether answers that an earlier batch gave for the same rows are taken over, as of a stage.',
  }),
  startedBy: z.string().max(200).default(''),
};

/** The model of a batch, and where the batch is recorded. */
export const openedBatch = z.strictObject({
  tracking: z.strictObject({ experimentId: z.string(), runId: z.string(), url: z.string() }),
  version: z.string(),
  /** SHA-256 of the ONNX graph. */
  digest: z.string(),
  /** The served model as JSON: graph and signature. */
  model: artifactRef,
});
export type OpenedBatch = z.infer<typeof openedBatch>;

/** Where the inputs of a model's feature views came from, by the names of the views. */
export const batchFeatures = z.strictObject({
  /** The rows have columns of them. */
  given: z.array(z.string()),
  /** They were joined with the rows, by their keys. */
  joined: z.array(z.string()),
  /** For when they were joined: a time of the rows, or for all the start of the batch; `null` where none was. */
  asOf: joinMoment.nullable(),
});
export type BatchFeatures = z.infer<typeof batchFeatures>;

/** The rows of a batch, and how each chunk of them is scored. */
export const takenBatch = z.strictObject({
  /** The plan of the chunks as JSON, see lib/scoring/plan.ts. */
  plan: artifactRef,
  /** The rows as Parquet. */
  table: artifactRef,
  rows: z.number().int().nonnegative(),
  source: z.strictObject({ kind: z.string(), origin: z.string(), sha256: z.string() }),
  /** People who were erased and left out. */
  suppressed: z.number().int().nonnegative(),
  /** Inputs of the model that the rows do not have: missing in every row. At most 50 are named. */
  missingInputs: z.array(z.string()),
  /** Of a model with feature views. */
  features: batchFeatures.optional(),
});
export type TakenBatch = z.infer<typeof takenBatch>;

/** References of the chunks so far; `next` is the first row of what is to come. */
const carried = z.strictObject({
  /** ISO time of the start. */
  at: z.string(),
  batchId: z.string(),
  opened: openedBatch,
  taken: takenBatch,
  manifests: z.array(artifactRef),
  next: z.number().int().nonnegative(),
  invalid: z.number().int().nonnegative(),
});

/**
 * The argument of workflow type `batchScoring`.
 *
 * @example
 * temporal workflow start --type batchScoring --task-queue perennial --workflow-id score-1 \
 *   --input '{"model": "churn", "source": "/data/customers.csv", "output": "/data/scores/"}'
 */
export const batchScoringInput = z
  .strictObject({
    ...request,
    /** Chunks after which the workflow continues as new; for tests. */
    chunksPerRun: z.number().int().min(1).max(CHUNKS_PER_MANIFEST).default(CHUNKS_PER_MANIFEST),
    /** What the run before this one had done; nobody but the workflow itself sends it. */
    carried: carried.optional(),
  })
  .superRefine((input, context) => {
    const issue = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    if (input.version !== undefined && input.alias !== undefined)
      issue(['alias'], 'a version or an alias, not both');
    if (input.source.incremental !== undefined)
      issue(
        ['source', 'incremental'],
        'a batch scores all rows of its source; name the new files, or let sql choose the new rows',
      );
    for (const { path, message } of [
      ...secretIssues(input.source, ['data', 'sources', 'source']).map((found) => ({
        ...found,
        path: found.path.slice(2),
      })),
      ...secretIssues(input.output, ['output']),
      ...secretIssues(input.sql ?? '', ['sql']),
    ])
      issue(path, message);
  });
export type BatchScoringInput = z.input<typeof batchScoringInput>;
export type BatchScoring = z.output<typeof batchScoringInput>;

/** What is asked of the steps: the argument without what only the workflow needs. */
export type BatchRequest = Omit<BatchScoring, 'carried' | 'chunksPerRun' | 'parallel' | 'deadline'>;

/** Answers for a contiguous range of rows. */
export const scoredChunk = z.strictObject({
  rows: rowRange,
  artifact: artifactRef,
  /** Rows without an answer. */
  invalid: z.number().int().nonnegative(),
});
export type ScoredChunk = z.infer<typeof scoredChunk>;

/** Chunks one after the other, as an artifact. */
export const chunkManifest = z.strictObject({ schemaVersion: z.literal(1), chunks: z.array(scoredChunk) });

/** The result of workflow type `batchScoring`. */
export const batchScoringResult = z.strictObject({
  batchId: z.string(),
  model: z.string(),
  version: z.string(),
  digest: z.string(),
  rows: z.number().int().nonnegative(),
  invalid: z.number().int().nonnegative(),
  suppressed: z.number().int().nonnegative(),
  missingInputs: z.array(z.string()),
  features: batchFeatures.optional(),
  chunks: z.number().int().nonnegative(),
  seconds: z.number().nonnegative(),
  source: takenBatch.shape.source,
  /** SHA-256 of the snapshot of the rows. */
  table: z.string(),
  output: writtenOutput,
  run: openedBatch.shape.tracking,
});
export type BatchScoringResult = z.infer<typeof batchScoringResult>;

export const BATCH_PHASES = [
  'opening',
  'reading',
  'scoring',
  'writing',
  'done',
  'failed',
  'cancelled',
] as const;

/** The answer of query `progress`. */
export const batchProgress = z.strictObject({
  batchId: z.string(),
  model: z.string(),
  version: z.string().nullable(),
  phase: z.enum(BATCH_PHASES),
  /** Rows that are scored. */
  rows: z.number().int().nonnegative(),
  /** All rows; `null` until they are read. */
  of: z.number().int().nonnegative().nullable(),
  invalid: z.number().int().nonnegative(),
  /** Since scoring began. */
  rowsPerSecond: z.number().nonnegative().nullable(),
  /** Address of the run in MLflow. */
  url: z.string().nullable(),
});
export type BatchProgress = z.infer<typeof batchProgress>;

/** Activities of batch scoring. All are idempotent. */
export interface BatchActivities {
  /** Resolves alias or version once, and opens the MLflow run; refuses an output that the worker does not allow. */
  openBatch(input: {
    request: BatchRequest;
    batchId: string;
    run: { workflowId: string; runId: string };
  }): Promise<OpenedBatch>;
  /**
   * Snapshots the rows, so that a retry scores the same ones, joins the feature views that they do not bring, and holds
   * their columns against the model's. @param input.at ISO time of the batch
   */
  takeBatch(input: {
    request: BatchRequest;
    model: ArtifactRef;
    version: string;
    at: string;
  }): Promise<TakenBatch>;
  scoreChunk(input: { plan: ArtifactRef; rows: { from: number; before: number } }): Promise<ScoredChunk>;
  /** Stores references of chunks, which would not fit into a history by the thousand. */
  gatherChunks(input: { chunks: ScoredChunk[] }): Promise<{ manifest: ArtifactRef }>;
  /** Writes all rows to their destination: all of them once, or none. @param input.at ISO time of the batch */
  writeBatch(input: {
    request: BatchRequest;
    batchId: string;
    at: string;
    opened: OpenedBatch;
    taken: TakenBatch;
    manifests: ArtifactRef[];
  }): Promise<WrittenOutput>;
  /** Writes the figures and closes the run. @param input.result `null` where there is none, for it failed */
  closeBatch(input: {
    tracking: OpenedBatch['tracking'];
    result: BatchScoringResult | null;
    status: 'FINISHED' | 'FAILED' | 'KILLED';
    message: string;
    /** ISO time: of the figures. */
    endedAt: string;
  }): Promise<void>;
}
