import {
  ApplicationFailure,
  CancellationScope,
  continueAsNew,
  isCancellation,
  log,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { WrittenOutput } from '../contracts/batch-output.ts';
import {
  type BatchProgress,
  type BatchRequest,
  type BatchScoring,
  type BatchScoringResult,
  batchScoringInput,
  type OpenedBatch,
  type ScoredChunk,
  type TakenBatch,
} from '../contracts/batch-scoring.ts';
import { durationMs } from '../contracts/durations.ts';
import type { ErrorCode } from '../contracts/errors.ts';
import type { ArtifactRef, RowRange } from '../contracts/refs.ts';
import { nextChunks } from '../domain/batch-chunks.ts';
import * as activities from './activities.ts';
import { words } from './failure-words.ts';
import { handlers } from './handlers.ts';
import { inLanes } from './lanes.ts';
import { parseInput } from './parse.ts';
import { searchAttributes } from './search-attributes.ts';

/**
 * Scores all rows of a source with one version of a model, and writes one row of answers for each row of input: all
 * of them, or none. The version is resolved and the rows are snapshotted once; after that whatever is tried again gives
 * the same. Continues as new after every 250 chunks.
 *
 * @param argument see `batchScoringInput` in contracts/batch-scoring.ts
 * @throws ApplicationFailure `InputInvalid`, `OutputDenied`, `OutputExists`, `DeadlineExceeded`, and what reading the
 *   source throws
 */
export async function batchScoring(argument?: unknown): Promise<BatchScoringResult> {
  const input = parseInput(batchScoringInput, argument, 'the argument of workflow batchScoring');
  const batch = new Batch(input);
  setHandler(handlers.progress, () => batch.progress);
  // The garbage collector asks what a running workflow refers to.
  setHandler(handlers.batchOutputs, () => batch.references);
  let rest: BatchScoring | undefined;
  try {
    const opened = await batch.withinDeadline(() => batch.open());
    const taken = await batch.withinDeadline(() => batch.take(opened));
    await batch.withinDeadline(() => batch.scoreNext(taken));
    if (batch.next >= taken.rows) {
      const output = await batch.withinDeadline(() => batch.write(opened, taken));
      const result = batch.result(opened, taken, output);
      await batch.close(opened, result);
      return result;
    }
    rest = batch.carriedOver(input, opened, taken);
  } catch (error) {
    await CancellationScope.nonCancellable(() => batch.abandon(error));
    throw error;
  }
  return continueAsNew<typeof batchScoring>(rest);
}

/** The state of one batch. */
class Batch {
  readonly #request: BatchRequest;
  readonly #batchId: string;
  /** Epoch milliseconds. */
  readonly #startedAt: number;
  readonly #deadlineMs: number | undefined;
  readonly #parallel: number;
  readonly #chunksPerRun: number;
  readonly #manifests: ArtifactRef[];
  #opened: OpenedBatch | undefined;
  #taken: TakenBatch | undefined;
  #phase: BatchProgress['phase'] = 'opening';
  /** The first row that no chunk before those under way has. */
  #next: number;
  #rows: number;
  #invalid: number;
  /** For the rate: rows and time where this run of the workflow began to score. */
  #since: { rows: number; at: number } | undefined;

  constructor({ carried, chunksPerRun, parallel, deadline, ...request }: BatchScoring) {
    const { firstExecutionRunId, startTime } = workflowInfo();
    this.#request = request;
    this.#batchId = carried?.batchId ?? request.batchId ?? firstExecutionRunId;
    this.#startedAt = carried ? Date.parse(carried.at) : startTime.getTime();
    this.#deadlineMs = deadline === undefined ? undefined : durationMs(deadline);
    this.#parallel = parallel;
    this.#chunksPerRun = chunksPerRun;
    this.#manifests = [...(carried?.manifests ?? [])];
    this.#opened = carried?.opened;
    this.#taken = carried?.taken;
    this.#next = carried?.next ?? 0;
    this.#rows = this.#next;
    this.#invalid = carried?.invalid ?? 0;
  }

  /** The first row that is still to be scored. */
  get next(): number {
    return this.#next;
  }

  get progress(): BatchProgress {
    const { model } = this.#request;
    const elapsed = this.#since ? (Date.now() - this.#since.at) / 1000 : 0;
    return {
      batchId: this.#batchId,
      model,
      version: this.#opened?.version ?? null,
      phase: this.#phase,
      rows: this.#rows,
      of: this.#taken?.rows ?? null,
      invalid: this.#invalid,
      rowsPerSecond: this.#since && elapsed > 0 ? (this.#rows - this.#since.rows) / elapsed : null,
      url: this.#opened?.tracking.url ?? null,
    };
  }

  get references(): unknown {
    return { opened: this.#opened, taken: this.#taken, manifests: this.#manifests };
  }

  /** Ends the work when the time is over. @throws ApplicationFailure `DeadlineExceeded` */
  async withinDeadline<T>(work: () => Promise<T>): Promise<T> {
    if (this.#deadlineMs === undefined) return work();
    const left = this.#startedAt + this.#deadlineMs - Date.now();
    const outer = CancellationScope.current();
    try {
      if (left <= 0) throw this.#late();
      return await CancellationScope.withTimeout(left, work);
    } catch (error) {
      if (isCancellation(error) && !outer.consideredCancelled) throw this.#late();
      throw error;
    }
  }

  /** Which version it is, and whether the output can be written. */
  async open(): Promise<OpenedBatch> {
    if (this.#opened) return this.#opened;
    const { model } = this.#request;
    upsertSearchAttributes([searchAttributes.pipeline(model)]);
    const { workflowId, runId } = workflowInfo();
    this.#opened = await activities.openBatch({
      request: this.#request,
      batchId: this.#batchId,
      run: { workflowId, runId },
    });
    upsertSearchAttributes([searchAttributes.modelVersion(`${model}/${this.#opened.version}`)]);
    return this.#opened;
  }

  async take({ model, version }: OpenedBatch): Promise<TakenBatch> {
    if (this.#taken) return this.#taken;
    this.#phase = 'reading';
    const at = new Date(this.#startedAt).toISOString();
    this.#taken = await activities.takeBatch({ request: this.#request, model, version, at });
    return this.#taken;
  }

  /** Scores as many chunks as one run of the workflow takes. */
  async scoreNext({ plan, rows }: TakenBatch): Promise<void> {
    this.#phase = 'scoring';
    this.#since = { rows: this.#rows, at: Date.now() };
    const ranges = nextChunks({
      rows,
      chunkRows: this.#request.chunkRows,
      next: this.#next,
      most: this.#chunksPerRun,
    });
    const chunks = await allOrNone(() =>
      inLanes(ranges, this.#parallel, (range) => this.#score(plan, range)),
    );
    const { manifest } = await activities.gatherChunks({ chunks });
    this.#manifests.push(manifest);
    this.#next = ranges.at(-1)?.before ?? rows;
  }

  async #score(plan: ArtifactRef, rows: RowRange): Promise<ScoredChunk> {
    const chunk = await activities.scoreChunk(rows)({ plan, rows });
    this.#rows += rows.before - rows.from;
    this.#invalid += chunk.invalid;
    return chunk;
  }

  async write(opened: OpenedBatch, taken: TakenBatch): Promise<WrittenOutput> {
    this.#phase = 'writing';
    return activities.writeBatch({
      request: this.#request,
      batchId: this.#batchId,
      at: new Date(this.#startedAt).toISOString(),
      opened,
      taken,
      manifests: this.#manifests,
    });
  }

  result(opened: OpenedBatch, taken: TakenBatch, output: WrittenOutput): BatchScoringResult {
    const { chunkRows, model } = this.#request;
    return {
      batchId: this.#batchId,
      model,
      version: opened.version,
      digest: opened.digest,
      rows: taken.rows,
      invalid: this.#invalid,
      suppressed: taken.suppressed,
      missingInputs: taken.missingInputs,
      ...(taken.features ? { features: taken.features } : {}),
      chunks: Math.max(1, Math.ceil(taken.rows / chunkRows)),
      seconds: (Date.now() - this.#startedAt) / 1000,
      source: taken.source,
      table: taken.table.sha256,
      output,
      run: opened.tracking,
    };
  }

  /** What is written stays written, whoever cancels now. */
  async close({ tracking }: OpenedBatch, result: BatchScoringResult): Promise<void> {
    const message = `${result.rows} rows, ${result.invalid} of them without an answer`;
    const endedAt = new Date().toISOString();
    await CancellationScope.nonCancellable(() =>
      activities.closeBatch({ tracking, result, status: 'FINISHED', message, endedAt }),
    );
    this.#phase = 'done';
  }

  /** A run that nobody closes would be shown as running for ever. */
  async abandon(error: unknown): Promise<void> {
    const cancelled = isCancellation(error);
    this.#phase = cancelled ? 'cancelled' : 'failed';
    if (!this.#opened) return;
    await activities
      .closeBatch({
        tracking: this.#opened.tracking,
        result: null,
        status: cancelled ? 'KILLED' : 'FAILED',
        message: cancelled ? 'cancelled' : words(error),
        endedAt: new Date().toISOString(),
      })
      .catch((problem: unknown) => log.error('the MLflow run of the batch could not be closed', { problem }));
  }

  /** The argument of the next run of the workflow. */
  carriedOver(input: BatchScoring, opened: OpenedBatch, taken: TakenBatch): BatchScoring {
    return {
      ...input,
      carried: {
        at: new Date(this.#startedAt).toISOString(),
        batchId: this.#batchId,
        opened,
        taken,
        manifests: this.#manifests,
        next: this.#next,
        invalid: this.#invalid,
      },
    };
  }

  #late(): ApplicationFailure {
    const code: ErrorCode = 'DeadlineExceeded';
    return ApplicationFailure.nonRetryable(
      `the batch took longer than its deadline: ${this.#rows} of ${this.#taken?.rows ?? 'an unknown number of'} rows were scored, nothing was written; start it again with a longer deadline or a higher parallel, and it goes on from there`,
      code,
    );
  }
}

/** Where one fails the others end, too. */
async function allOrNone<T>(work: () => Promise<T>): Promise<T> {
  const scope = new CancellationScope();
  try {
    return await scope.run(work);
  } catch (error) {
    scope.cancel();
    throw error;
  }
}
