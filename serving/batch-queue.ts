import type { OutputColumns, PackedBatch } from '../lib/onnx/tabular-session.ts';

/** Larger batches gain nothing from company, and would keep small ones waiting. */
const MAX_SMALL_ROWS = 32;
/** Rows of one shared run. */
const MAX_SHARED_ROWS = 256;

/** A request that waits for its turn. */
export interface Waiting {
  readonly batch: PackedBatch;
  /** Milliseconds, on the clock of `since`. */
  readonly deadline: number;
  readonly since: number;
  /** Rows that are answered already, and the answers; of large requests alone. */
  done: number;
  readonly parts: OutputColumns[];
  resolve(outputs: OutputColumns): void;
  reject(error: unknown): void;
}

/** What waits for a model at a moment. */
export interface QueueDepth {
  readonly requests: number;
  readonly rows: number;
}

/** Requests that wait: the small ones in the order in which they came, the large ones in turns. */
export class BatchQueue {
  readonly #small: Waiting[] = [];
  readonly #large: Waiting[] = [];
  #rows = 0;

  get depth(): QueueDepth {
    return { requests: this.#small.length + this.#large.length, rows: this.#rows };
  }

  get isEmpty(): boolean {
    return this.#small.length === 0 && this.#large.length === 0;
  }

  /** How many small requests wait, and since when the first of them does; nothing where a large one waits as well. */
  get lingering(): { count: number; since: number } | undefined {
    const [oldest] = this.#small;
    return oldest && this.#large.length === 0
      ? { count: this.#small.length, since: oldest.since }
      : undefined;
  }

  add(request: Waiting): void {
    (request.batch.rows > MAX_SMALL_ROWS ? this.#large : this.#small).push(request);
    this.#rows += request.batch.rows - request.done;
  }

  /** Takes the small requests that share the next run. */
  takeGroup(): Waiting[] {
    let [count, rows] = [0, 0];
    for (const { batch } of this.#small) {
      if (count > 0 && rows + batch.rows > MAX_SHARED_ROWS) break;
      count += 1;
      rows += batch.rows;
    }
    this.#rows -= rows;
    return this.#small.splice(0, count);
  }

  /** Takes the large request whose turn it is. */
  takeLarge(): Waiting | undefined {
    const request = this.#large.shift();
    if (request) this.#rows -= request.batch.rows - request.done;
    return request;
  }

  /** Takes all whose deadline has passed. */
  takeExpired(now: number): Waiting[] {
    const expired: Waiting[] = [];
    for (const queue of [this.#small, this.#large]) {
      if (!queue.some(({ deadline }) => now >= deadline)) continue;
      for (const request of queue.splice(0)) (now < request.deadline ? queue : expired).push(request);
    }
    for (const { batch, done } of expired) this.#rows -= batch.rows - done;
    return expired;
  }
}
