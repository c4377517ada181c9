import { PerennialError } from '../contracts/errors.ts';
import type { ColumnBatch, OutputColumns, PackedBatch, TabularSession } from '../lib/onnx/tabular-session.ts';
import { ArrivalRate } from './arrival-rate.ts';
import { BatchParts, joinedOutputs, rowsOf } from './batch-parts.ts';
import { BatchQueue, type QueueDepth, type Waiting } from './batch-queue.ts';
import type { ModelRunner } from './model-runner.ts';
import { RequestError } from './request-error.ts';
import type { RunCost } from './run-cost.ts';
import { warmUp } from './warm-up.ts';

/**
 * Why a request was refused: `full` too many wait already, `expired` its deadline passed before its turn, `late` it
 * could not be answered before its deadline.
 */
export type ShedReason = 'full' | 'expired' | 'late';

/** What is told of the runs of one model. A listener must neither throw nor wait. */
export interface BatcherListener {
  /** The model ran: rows of so many requests together (a piece of a large one counts as one request). */
  ran?(rows: number, requests: number, seconds: number): void;
  /** A request was refused with 503. */
  shed?(reason: ShedReason): void;
}

/** How long requests wait to share a run of a model, and how many may. */
export interface BatchingLimits {
  /** The longest time in milliseconds that a request is held back for company, default 1; 0 never waits. */
  readonly maxWaitMs?: number | undefined;
  /** Requests that may wait, default 2,000. */
  readonly maxRequests?: number | undefined;
  /** Rows that may wait, default 200,000; a single request of more may wait alone. */
  readonly maxRows?: number | undefined;
}

/** How requests share runs of a model. */
export interface BatchingOptions extends BatchingLimits {
  readonly listener?: BatcherListener | undefined;
}

/** The part of a {@link TabularSession} that is needed here. */
export type BatchSession = Pick<TabularSession, 'signature' | 'pack' | 'compute' | 'close'>;

/** Time and the event loop; another one in tests. */
export interface BatcherClock {
  /** Milliseconds of `performance.now()`. */
  now(): number;
  /** Calls back in this turn of the event loop, after what has arrived was read; from there, in the next turn. */
  soon(call: () => void): void;
}

const EVENT_LOOP: BatcherClock = { now: () => performance.now(), soon: (call) => void setImmediate(call) };

/** Milliseconds for which a large request may occupy the model before the small ones have their turn. */
const PIECE_MS = 4;
const [MIN_PIECE_ROWS, MAX_PIECE_ROWS] = [128, 4_096];
/** A gap this many times as long as usual says that nobody comes. */
const PATIENCE = 3;

/**
 * Runs one model for many requests.
 *
 * - Small requests that arrive in the same turn of the event loop share a run: a call into the engine costs far more
 *   than a row of a tabular model.
 * - They wait for more of their kind, turn by turn and for a bounded time, only as long as the time that all of them
 *   lose together is less than the call that the next one saves. The cost of a call is learned at warm-up and from
 *   every run, the rate of arrivals from what came. A lone client is never held back.
 * - A request of many rows is computed in pieces, one each turn; the small ones go first, and large ones take turns.
 * - The queue is bounded. A request that cannot be answered in time is refused at once, or before its run.
 * - Where a shared run fails, each request runs alone: none fails by another's rows.
 *
 * The model's thread is the event loop's: while it computes, requests pile up before it, which is what makes batches
 * grow under load without any waiting.
 *
 * @example
 * const batcher = await MicroBatcher.create(session, { maxWaitMs: 0 });
 * const { columns } = await batcher.run(batch, performance.now() + 100);
 */
export class MicroBatcher implements ModelRunner {
  readonly #parts: BatchParts;
  readonly #arrivals = new ArrivalRate();
  readonly #queue = new BatchQueue();
  #cost: RunCost | undefined;
  #arrived = 0;
  #lastArrival = 0;
  #scheduled = false;
  #running = false;
  #closing: Promise<void> | undefined;
  #drained: (() => void) | undefined;

  /** Without warm-up: neither waits nor sheds by cost. Use {@link create}. */
  constructor(
    private readonly session: BatchSession,
    private readonly options: BatchingOptions = {},
    private readonly clock: BatcherClock = EVENT_LOOP,
  ) {
    this.#parts = new BatchParts(session.signature.inputs);
  }

  /**
   * With a {@link warmUp}, from which the cost of a run is known.
   *
   * @throws PerennialError `ModelInvalid` where the model fails; the session is then closed
   */
  static async create(
    session: BatchSession,
    options: BatchingOptions = {},
    clock: BatcherClock = EVENT_LOOP,
  ): Promise<MicroBatcher> {
    const batcher = new MicroBatcher(session, options, clock);
    try {
      batcher.#cost = await warmUp(session, () => clock.now());
    } catch (error) {
      await session.close();
      throw error;
    }
    return batcher;
  }

  /** What waits now; the run under way is not counted. */
  get depth(): QueueDepth {
    return this.#queue.depth;
  }

  /** See {@link ModelRunner.run}. */
  async run(batch: ColumnBatch, deadline = Infinity): Promise<OutputColumns> {
    if (this.#closing !== undefined)
      throw new PerennialError('ModelInvalid', 'the model is closed; load it again before running it', true);
    // A column of a wrong length would shift the rows of its neighbours.
    const packed = this.session.pack(batch);
    const now = this.clock.now();
    const refusal = this.#refusal(packed.rows, now, deadline);
    if (refusal) throw refusal;
    return new Promise((resolve, reject) => {
      this.#queue.add({ batch: packed, deadline, since: now, done: 0, parts: [], resolve, reject });
      this.#arrived += 1;
      this.#schedule();
    });
  }

  /** Answers what waits, then closes the session. Later runs are refused. */
  close(): Promise<void> {
    this.#closing ??= new Promise<void>((resolve) => {
      this.#drained = resolve;
      if (!this.#running && this.#queue.isEmpty) resolve();
    }).then(() => this.session.close());
    return this.#closing;
  }

  #schedule(): void {
    if (this.#scheduled || this.#running) return;
    this.#scheduled = true;
    this.clock.soon(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  /** One turn of the event loop: the small requests together, then a piece of a large one. */
  #turn(): void {
    const now = this.clock.now();
    if (this.#arrived > 0) this.#lastArrival = now;
    this.#arrivals.arrived(this.#arrived, now);
    this.#arrived = 0;
    for (const { reject } of this.#queue.takeExpired(now)) reject(this.#shed('expired'));
    if (this.#holds(now)) {
      this.#schedule();
      return;
    }
    const group = this.#queue.takeGroup();
    this.#after(group.length > 0 ? this.#runGroup(group) : undefined, () => {
      const large = this.#queue.takeLarge();
      this.#after(large && this.#runPiece(large), () => {
        if (!this.#queue.isEmpty) this.#schedule();
        else if (!this.#running) this.#drained?.();
      });
    });
  }

  /** Goes on when a step is done: at once where the engine answered at once. */
  #after(step: Promise<void> | undefined, next: () => void): void {
    if (!step) {
      next();
      return;
    }
    this.#running = true;
    void step.then(() => {
      this.#running = false;
      next();
    });
  }

  /** Whether waiting for one more request costs less than it saves. */
  #holds(now: number): boolean {
    const { maxWaitMs = 1 } = this.options;
    const { lingering } = this.#queue;
    if (!(this.#cost && lingering) || maxWaitMs <= 0 || this.#closing !== undefined) return false;
    const { gap } = this.#arrivals;
    const saves = lingering.count * gap < this.#cost.call;
    const bounded = now + gap - lingering.since <= maxWaitMs;
    return saves && bounded && now - this.#lastArrival <= PATIENCE * gap;
  }

  /** Runs requests together; a promise where the engine does not answer at once. Never fails: the requests do. */
  #runGroup(group: readonly Waiting[]): Promise<void> | undefined {
    const [first] = group;
    const rows = group.reduce((sum, { batch }) => sum + batch.rows, 0);
    const batch =
      group.length === 1 && first
        ? first.batch
        : this.#parts.join(
            group.map((own) => own.batch),
            rows,
          );
    return this.#compute(batch, group.length, (outputs) => {
      if (outputs instanceof Failure) return this.#failed(group, outputs);
      let start = 0;
      for (const own of group) {
        const from = start;
        start += own.batch.rows;
        own.resolve(group.length === 1 ? outputs : rowsOf(outputs, from, start));
      }
      return undefined;
    });
  }

  /** One alone has failed by itself; of several, each gets a run of its own. */
  #failed(group: readonly Waiting[], { error }: Failure): Promise<void> | undefined {
    const [first, ...others] = group;
    if (!first) return undefined;
    if (others.length === 0) {
      first.reject(error);
      return undefined;
    }
    let step: Promise<void> | undefined;
    for (const own of group) {
      const alone = (): Promise<void> | undefined => this.#runGroup([own]);
      step = step ? step.then(alone) : alone();
    }
    return step;
  }

  /** Runs the next rows of a large request; what is left goes behind the other large ones. */
  #runPiece(large: Waiting): Promise<void> | undefined {
    const { batch, done } = large;
    const most = Math.min(
      Math.max(this.#cost?.rowsIn(PIECE_MS) ?? MAX_PIECE_ROWS, MIN_PIECE_ROWS),
      MAX_PIECE_ROWS,
    );
    // No crumbs: the last piece may be half as large again.
    const end = batch.rows - done <= most * 1.5 ? batch.rows : done + most;
    const piece = end - done === batch.rows ? batch : this.#parts.cut(batch, done, end);
    return this.#compute(piece, 1, (outputs) => {
      if (outputs instanceof Failure) large.reject(outputs.error);
      else if (piece === batch) large.resolve(outputs);
      else {
        large.parts.push(outputs);
        large.done = end;
        if (end < batch.rows) this.#queue.add(large);
        else large.resolve(joinedOutputs(large.parts, batch.rows));
      }
      return undefined;
    });
  }

  #compute(
    batch: PackedBatch,
    requests: number,
    settle: (outputs: OutputColumns | Failure) => Promise<void> | undefined,
  ): Promise<void> | undefined {
    const start = this.clock.now();
    const ran = (outputs: OutputColumns): Promise<void> | undefined => {
      const took = this.clock.now() - start;
      this.#cost?.observe(batch.rows, took);
      this.options.listener?.ran?.(batch.rows, requests, took / 1_000);
      return settle(outputs);
    };
    let outputs: OutputColumns | Promise<OutputColumns>;
    try {
      outputs = this.session.compute(batch);
    } catch (error) {
      return settle(new Failure(error));
    }
    if (!(outputs instanceof Promise)) return ran(outputs);
    return outputs.then(ran, (error: unknown) => settle(new Failure(error)));
  }

  /** Why a request cannot be taken, if so. */
  #refusal(rows: number, now: number, deadline: number): RequestError | undefined {
    const { maxRequests = 2_000, maxRows = 200_000 } = this.options;
    const waiting = this.#queue.depth;
    if (waiting.requests >= maxRequests || (waiting.requests > 0 && waiting.rows + rows > maxRows))
      return this.#shed('full', this.#cost?.of(waiting.rows) ?? 0);
    if (now >= deadline) return this.#shed('expired');
    const cost = this.#cost?.of(waiting.rows + rows) ?? 0;
    if (now + cost <= deadline) return undefined;
    this.#cost?.doubt();
    return this.#shed('late', cost);
  }

  #shed(reason: ShedReason, milliseconds = 0): RequestError {
    this.options.listener?.shed?.(reason);
    const retryAfter = Math.max(Math.ceil(milliseconds / 1_000), 1);
    return new RequestError(503, REFUSALS[reason], retryAfter, reason === 'full' ? 'queue' : 'deadline');
  }
}

/** What a run threw. */
class Failure {
  constructor(readonly error: unknown) {}
}

const REFUSALS: Readonly<Record<ShedReason, string>> = {
  full: 'too many requests wait for this model; try again later',
  expired: 'the time for this request was over before its turn came; try again later, or give it more time',
  late: 'this request cannot be answered in its time; try again later, send fewer rows, or give it more time',
};
