import type { OnlineView } from '../../contracts/feature-store.ts';
import type { ServedView } from '../../contracts/serving.ts';
import { type LookedUp, type OnlineReader, OnlineStoreError } from '../../lib/feature-store/online-store.ts';

/** An event of an entity: its values at a moment, milliseconds of Unix time. */
interface MemoryEvent {
  readonly key: string;
  readonly at: number;
  readonly values: readonly number[];
}

/** How a {@link MemoryFeatures} answers. */
interface MemoryOptions {
  /** As a store behind a network: by a promise, kept after so many milliseconds. Default: at once. */
  readonly afterMs?: number;
}

/** An online store in memory: it goes through all events of an entity for each question. */
export class MemoryFeatures implements OnlineReader {
  /** What it was asked, question by question. */
  readonly asked: { view: string; keys: readonly (string | undefined)[]; at: number }[] = [];
  /** Why it cannot be asked now; `undefined`: it can. */
  down: string | undefined;
  closed = false;
  /** Up to which moment it knows events. */
  until = Number.POSITIVE_INFINITY;
  readonly #events = new Map<string, MemoryEvent[]>();

  constructor(private readonly options: MemoryOptions = {}) {}

  /** @param store see `servedView.store` */
  add(store: string, key: string, at: number, ...values: number[]): void {
    const events = this.#events.get(store) ?? [];
    events.push({ key, at, values });
    this.#events.set(store, events);
  }

  lookUp(view: ServedView, keys: readonly (string | undefined)[], at: number): LookedUp | Promise<LookedUp> {
    this.asked.push({ view: view.name, keys: [...keys], at });
    const { afterMs } = this.options;
    if (afterMs === undefined) return this.#lookUp(view, keys, at);
    return new Promise((resolve, reject) => {
      setTimeout(() => {
        try {
          resolve(this.#lookUp(view, keys, at));
        } catch (error) {
          reject(error);
        }
      }, afterMs);
    });
  }

  async views(): Promise<OnlineView[]> {
    return [];
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  #lookUp(view: ServedView, keys: readonly (string | undefined)[], at: number): LookedUp {
    if (this.down !== undefined) throw new OnlineStoreError(this.down);
    const events = this.#events.get(view.store);
    if (!events) throw new OnlineStoreError('the online store does not hold the view');
    const values = keys.flatMap((key) =>
      view.columns.map((column) => {
        const within = events
          .filter((event) => event.key === key && event.at < at && event.at >= at - column.window / 1000)
          .map((event) => event.values[column.value] ?? Number.NaN);
        if (key === undefined) return Number.NaN;
        if (column.aggregate === 'count') return within.length;
        if (column.aggregate !== 'sum') throw new OnlineStoreError('this store counts and sums');
        return within.length === 0 ? Number.NaN : within.reduce((sum, value) => sum + value, 0);
      }),
    );
    return { values: Float64Array.from(values), until: Math.min(this.until, at) };
  }
}
