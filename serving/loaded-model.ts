import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import { PerennialError } from '../contracts/errors.ts';
import { entityColumns, type RouteRole, type ServedModel } from '../contracts/serving.ts';
import type { ColumnBatch, OutputColumns } from '../lib/onnx/tabular-session.ts';
import type { ArtifactStore } from '../lib/store/artifact-store.ts';
import type { QueueDepth } from './batch-queue.ts';
import type { WholeRows } from './call-rows.ts';
import { keysBeside, requestInputs, type ViewInputs, viewInputs } from './features/view-inputs.ts';
import { type InputLimits, InputSchema } from './input/input-schema.ts';
import { IsolatedRunner } from './isolation/isolated-runner.ts';
import { type LinkOptions, ProcessLink } from './isolation/model-link.ts';
import { localRunner } from './local-runner.ts';
import type { BatcherListener, BatchingLimits } from './micro-batcher.ts';
import type { ModelRunner } from './model-runner.ts';
import { AnswerWriter } from './output/answer-writer.ts';

/** Where models' bytes come from: an artifact store, or the folder of an exported model. */
export type ModelStore = Pick<ArtifactStore, 'bytes'>;

/** How models are loaded. */
export interface LoadOptions {
  /** Threads of one run, default 1. */
  readonly threads?: number | undefined;
  readonly limits?: InputLimits | undefined;
  /** How requests share runs, in this process and in those of challengers. */
  readonly batching?: BatchingLimits | undefined;
  /**
   * Resident bytes above which the process of a challenger, a shadow or a candidate is ended. Default: 1 GiB and four
   * times the model's size. Watched on Linux only.
   */
  readonly isolatedMemoryBytes?: number | undefined;
}

const GIB = 2 ** 30;
const LOAD_MS = 60_000;

/** What a version in a process of its own may have, and by how much it gives way. */
const SHARES: Record<
  Exclude<RouteRole, 'champion'>,
  Pick<LinkOptions, 'nice'> & { maxRequests: number; maxRows: number }
> = {
  challenger: { maxRequests: 512, maxRows: 20_000, nice: 0 },
  // Nobody waits for its answers: the cores belong to those who are waited for.
  shadow: { maxRequests: 64, maxRows: 10_000, nice: 10 },
};

/** One version in memory, with all that its requests need. */
export class LoadedModel {
  #schema: InputSchema;
  #otherKeys: readonly string[] = [];
  readonly writer: AnswerWriter;
  /** The same for models that read requests and write answers alike. */
  readonly signatureKey: string;
  /** Requests whose features are looked up: the model must be there when they come. */
  #awaited = 0;
  #arrived: (() => void) | undefined;

  private constructor(
    readonly served: ServedModel,
    /** The role that it was loaded for: a champion computes in this process, all others in one of their own. */
    readonly place: RouteRole,
    private readonly runner: ModelRunner,
    /** The inputs that are looked up; none for most. */
    readonly views: readonly ViewInputs[],
    private readonly options: Pick<LoadOptions, 'limits'>,
  ) {
    const { signature } = served;
    this.#schema = this.#schemaWith([]);
    this.writer = new AnswerWriter(signature.outputs);
    this.signatureKey = JSON.stringify(views.length > 0 ? [signature, served.views] : signature);
  }

  /**
   * Loads a version into this process. The digest is taken of the very bytes that become the model, not of the file
   * before: whatever happens to the store in between, no other model is ever served.
   *
   * @throws PerennialError `ArtifactMissing`, `ArtifactCorrupt`, `ModelInvalid`
   */
  static async load(
    served: ServedModel,
    store: ModelStore,
    { listener, ...options }: LoadOptions & { listener?: BatcherListener | undefined } = {},
  ): Promise<LoadedModel> {
    const { onnx, signature, version } = served;
    const views = viewInputs(served);
    const bytes = await store.bytes(onnx);
    if (createHash('sha256').update(bytes).digest('hex') !== onnx.sha256)
      throw new PerennialError(
        'ArtifactCorrupt',
        `version ${version}: the bytes of ${onnx.uri} do not have the route's digest; restore the artifact`,
      );
    const { threads, batching } = options;
    const runner = await localRunner(bytes, signature, { threads, batching: { ...batching, listener } });
    return new LoadedModel(served, 'champion', runner, views, options);
  }

  /**
   * Loads a version into a process of its own, where it can hurt nobody.
   *
   * @param place what it is for
   * @param start `background` does not wait until it is loaded, and tries again where that fails
   * @throws PerennialError as {@link load}
   */
  static async isolated(
    served: ServedModel,
    store: ModelStore,
    place: Exclude<RouteRole, 'champion'>,
    options: LoadOptions & { logger?: Logger | undefined; start?: 'background' | undefined } = {},
  ): Promise<LoadedModel> {
    const { onnx, signature, version } = served;
    const views = viewInputs(served);
    const {
      threads = 1,
      batching,
      isolatedMemoryBytes: memoryBytes = GIB + 4 * onnx.bytes,
      logger,
    } = options;
    const { nice, ...shares } = SHARES[place];
    const isolation = {
      ...shares,
      start: async () => {
        const bytes = await store.bytes(onnx);
        const load = { bytes, sha256: onnx.sha256, version, signature, threads, batching };
        return ProcessLink.start(load, { loadMs: LOAD_MS, memoryBytes, nice });
      },
      onChange: ({ event, ...what }: { event: string }) =>
        logger?.[event === 'started' ? 'info' : 'warn'](
          { version, role: place, ...what },
          `the process of a version: ${event}`,
        ),
    };
    const runner =
      options.start === 'background'
        ? IsolatedRunner.background(isolation)
        : await IsolatedRunner.create(isolation);
    return new LoadedModel(served, place, runner, views, options);
  }

  /** How requests to it are read. */
  get schema(): InputSchema {
    return this.#schema;
  }

  /** Columns that requests may have for other versions, and which are passed over. */
  get otherKeys(): readonly string[] {
    return this.#otherKeys;
  }

  /**
   * Tells it which columns features of its endpoint's versions are looked up by: those that are none of its own are read
   * as keys, too, so that all versions refuse the same requests, and passed over.
   */
  takeKeys(columns: readonly string[]): void {
    const { others } = keysBeside(this.served, columns);
    // What was prepared for reading is kept as long as it can be.
    if (isDeepStrictEqual(new Set(others), new Set(this.#otherKeys))) return;
    this.#otherKeys = others;
    this.#schema = this.#schemaWith(others);
  }

  #schemaWith(others: readonly string[]): InputSchema {
    const { served, options } = this;
    return new InputSchema(requestInputs(served), options.limits, [...entityColumns(served), ...others]);
  }

  /** Whether this is that version with that digest and signature. */
  is(served: ServedModel): boolean {
    return isDeepStrictEqual(this.served, served);
  }

  /** Whether a request would reach the model now; one in a process of its own may be between two starts. */
  get available(): boolean {
    return !(this.runner instanceof IsolatedRunner) || this.runner.available;
  }

  /** Whether it is worth keeping: one whose process ended too often is not. */
  get usable(): boolean {
    return !(this.runner instanceof IsolatedRunner) || this.runner.usable;
  }

  /** Of the process of its own, where it has one. */
  get pid(): number | undefined {
    return this.runner instanceof IsolatedRunner ? this.runner.pid : undefined;
  }

  /** Tells it the deadline of its endpoint: half of it is what a challenger may take. */
  serveWithin(deadlineMs: number): void {
    if (this.runner instanceof IsolatedRunner) this.runner.patienceMs = deadlineMs / 2;
  }

  /** What waits for the model now. */
  get waiting(): QueueDepth | undefined {
    return this.runner.depth;
  }

  /** See {@link ModelRunner.run}. */
  run(batch: ColumnBatch, deadline?: number): Promise<OutputColumns> {
    return this.runner.run(batch, deadline);
  }

  /**
   * As {@link run}, of rows whose features may still be looked up: the model waits for them before it is freed.
   *
   * @throws RequestError as `CallRows.whole`
   */
  async runWhole(rows: WholeRows | Promise<WholeRows>, deadline?: number): Promise<OutputColumns> {
    if (!(rows instanceof Promise)) return this.runner.run(rows.batch, deadline);
    this.#awaited += 1;
    let outputs: Promise<OutputColumns>;
    try {
      const { batch } = await rows;
      outputs = this.runner.run(batch, deadline);
    } finally {
      // By now the runner knows of it.
      this.#awaited -= 1;
      if (this.#awaited === 0) this.#arrived?.();
    }
    return outputs;
  }

  /** Frees the memory when the requests under way are answered. */
  async close(): Promise<void> {
    if (this.#awaited > 0)
      await new Promise<void>((resolve) => {
        this.#arrived = resolve;
      });
    await this.runner.close();
  }
}
