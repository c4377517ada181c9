import { invalidArgument } from '../errors.ts';
import { LIMITS } from '../limits.ts';
import type { WireMetric } from './metric-wire.ts';

/** A key and a value. */
export interface WirePair {
  key: string;
  value: string;
}

/** What one log-batch call carries. */
export interface Batch {
  params: WirePair[];
  tags: WirePair[];
  metrics: WireMetric[];
}

/** Limits a split keeps to; see {@link LIMITS}. */
export interface BatchLimits {
  readonly params: number;
  readonly tags: number;
  readonly metrics: number;
  readonly entities: number;
  readonly bytes: number;
}

const SERVER_LIMITS: BatchLimits = {
  params: LIMITS.paramsPerBatch,
  tags: LIMITS.tagsPerBatch,
  metrics: LIMITS.metricsPerBatch,
  entities: LIMITS.entitiesPerBatch,
  bytes: LIMITS.batchBytes,
};

// Braces, field names and the run id around the entities.
const ENVELOPE_BYTES = 512;

/** A queue that knows how much its head weighs. */
class Queue<T> {
  readonly #items: readonly T[];
  #next = 0;

  constructor(items: readonly T[]) {
    this.#items = items;
  }

  get empty(): boolean {
    return this.#next >= this.#items.length;
  }

  /** Takes items while `fits` allows, at most `count`. */
  take(count: number, fits: (bytes: number) => boolean): T[] {
    const start = this.#next;
    while (this.#next < this.#items.length && this.#next - start < count) {
      const item = this.#items[this.#next];
      if (!fits(Buffer.byteLength(JSON.stringify(item)) + 1)) break;
      this.#next += 1;
    }
    return this.#items.slice(start, this.#next);
  }
}

/**
 * Splits what is to be logged into requests the server accepts, in the order
 * params, tags, metrics, keeping the order inside each kind.
 *
 * @returns no batch at all when there is nothing to log.
 */
export function splitBatch(all: Batch, limits: BatchLimits = SERVER_LIMITS): Batch[] {
  const params = new Queue(all.params);
  const tags = new Queue(all.tags);
  const metrics = new Queue(all.metrics);
  const batches: Batch[] = [];
  while (!params.empty || !tags.empty || !metrics.empty) {
    let bytes = ENVELOPE_BYTES;
    let room = limits.entities;
    const fits = (size: number): boolean => {
      if (bytes + size > limits.bytes) return false;
      bytes += size;
      return true;
    };
    const takeFrom = <T>(queue: Queue<T>, max: number): T[] => {
      const taken = queue.take(Math.min(max, room), fits);
      room -= taken.length;
      return taken;
    };
    const batch: Batch = {
      params: takeFrom(params, limits.params),
      tags: takeFrom(tags, limits.tags),
      metrics: takeFrom(metrics, limits.metrics),
    };
    if (room === limits.entities)
      throw invalidArgument(`an entry alone exceeds the request limit of ${limits.bytes} bytes`);
    batches.push(batch);
  }
  return batches;
}
