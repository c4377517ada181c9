import type { ServedView } from '../../contracts/serving.ts';
import { type Bucket, bucketOf, EventRecord, MAIN, RecordMemory, sliceOf } from './event-record.ts';
import { fieldOf, type OnlineBackend, type RecordOf, type Wanted } from './online-backend.ts';
import { type OnlineKeys, recordPlace } from './online-keys.ts';
import { type LookedUp, OnlineStoreError } from './online-store.ts';
import { readDescription, type StoredView } from './stored-view.ts';
import { aggregateOf, clearState, STATE_WIDTH } from './window-state.ts';

/** Microseconds of a millisecond. */
const MICROS = 1_000;

/** A served view, made ready for look-ups. */
interface Layout {
  /** Microseconds, each once, the shortest first. */
  readonly windows: readonly number[];
  /** For each value that is asked for, its columns by the place of their window. */
  readonly values: readonly { readonly value: number; readonly columns: readonly Placed[] }[];
}
interface Placed {
  readonly window: number;
  readonly column: number;
  readonly aggregate: ServedView['columns'][number]['aggregate'];
}

/** Where the windows of a moment begin and end. */
interface Moment {
  readonly bucket: number;
  readonly first: number;
  readonly last: number;
  /** The end of all windows, then the beginning of each, the shortest first. */
  readonly edges: readonly number[];
}

/** Answers look-ups out of the records of a backend. */
export class RecordReader {
  readonly #layouts = new WeakMap<ServedView, Layout>();
  /** The descriptions read last, by view. */
  readonly #descriptions = new Map<string, { text: string; stored: StoredView }>();

  /** No look-up waits for anything between its first record and its last. */
  readonly #memory = new RecordMemory();

  constructor(
    private readonly backend: Pick<OnlineBackend, 'read' | 'description'>,
    private readonly keys: OnlineKeys,
  ) {}

  /** As `OnlineReader` says. */
  lookUp(view: ServedView, keys: readonly (string | undefined)[], at: number): LookedUp | Promise<LookedUp> {
    const known = this.#descriptions.get(view.store);
    if (known) return this.#ask(view, keys, at, known.stored);
    const description = this.backend.description(view.store);
    if (typeof description === 'string')
      return this.#ask(view, keys, at, this.#described(view.store, description));
    return description.then((text) => this.#ask(view, keys, at, this.#described(view.store, text)));
  }

  /** What it is now may be known only when the records are read; how long its buckets are never changes. */
  #ask(
    view: ServedView,
    keys: readonly (string | undefined)[],
    at: number,
    { bucket }: StoredView,
  ): LookedUp | Promise<LookedUp> {
    if (!Number.isFinite(at)) throw new OnlineStoreError(`a look-up at ${at}, which is no moment`);
    const layout = this.#layoutOf(view);
    const moment = momentOf(layout, at, bucket);
    const known = keys.filter((key) => key !== undefined).map((key) => this.keys.entity(key));
    const wanted = wantedAt(moment, known);
    return this.backend.read(view.store, wanted, (description, record) => {
      const stored = this.#described(view.store, description);
      check(view, stored, moment, this.keys);
      const values = new Float64Array(keys.length * view.columns.length).fill(Number.NaN);
      let entity = 0;
      keys.forEach((key, row) => {
        if (key === undefined) return;
        this.#memory.clear();
        const records = this.#recordsOf(view, wanted, entity++, record);
        fillRow(layout, moment, records, values.subarray(row * view.columns.length));
      });
      return { values, until: Date.parse(stored.until) };
    });
  }

  /** The records of an entity, each read when it is first asked for. */
  #recordsOf(view: ServedView, wanted: Wanted, entity: number, record: RecordOf): Records {
    const read = new Map<string, EventRecord | undefined>();
    return (bucket, slice) => {
      const name = `${bucket} ${slice}`;
      if (read.has(name)) return read.get(name);
      const bytes = record(entity, bucket, slice);
      const place = (): Buffer =>
        recordPlace(view.store, bucket, fieldOf(wanted.entities[entity] ?? Buffer.alloc(0), slice));
      const found = bytes && EventRecord.read(this.keys.unseal(place, bytes), view.values, this.#memory);
      read.set(name, found);
      return found;
    };
  }

  #described(view: string, text: string): StoredView {
    const known = this.#descriptions.get(view);
    if (known?.text === text) return known.stored;
    const stored = readDescription(text);
    this.#descriptions.set(view, { text, stored });
    return stored;
  }

  #layoutOf(view: ServedView): Layout {
    const known = this.#layouts.get(view);
    if (known) return known;
    const windows = [...new Set(view.columns.map(({ window }) => window))].sort((a, b) => a - b);
    const values = [...new Set(view.columns.map(({ value }) => value))].map((value) => ({
      value,
      columns: view.columns.flatMap((column, place) =>
        column.value === value
          ? [{ window: windows.indexOf(column.window), column: place, aggregate: column.aggregate }]
          : [],
      ),
    }));
    const layout = { windows, values };
    this.#layouts.set(view, layout);
    return layout;
  }
}

type Records = (bucket: number, slice: number) => EventRecord | undefined;

function momentOf({ windows }: Layout, at: number, bucket: number): Moment {
  const end = Math.round(at * MICROS);
  const edges = [end, ...windows.map((window) => end - window)];
  return { bucket, first: bucketOf(edges.at(-1) ?? end, bucket), last: bucketOf(end - 1, bucket), edges };
}

function wantedAt({ first, last, edges, bucket }: Moment, entities: readonly Buffer[]): Wanted {
  return {
    entities,
    buckets: Array.from({ length: last - first + 1 }, (_, place) => first + place),
    slices: edges.map((edge) => {
      const number = bucketOf(edge, bucket);
      return { bucket: number, slice: sliceOf({ start: number * bucket, length: bucket }, edge) };
    }),
  };
}

function check(view: ServedView, stored: StoredView, { first }: Moment, keys: OnlineKeys): void {
  // Nobody would be found, and nobody's features be told as if they were right.
  if (stored.keys !== keys.fingerprint)
    throw new OnlineStoreError(
      `the view ${view.name} was written into the online store under another keyring; name the right keyring by PERENNIAL_KEYRING, or materialise the view again`,
    );
  if (stored.values !== view.values || view.columns.some(({ value }) => value >= stored.values))
    throw new OnlineStoreError(
      `the online store has ${stored.values} values for each event of the view ${view.name}, the model expects ${view.values}; materialise the view of the model's run again`,
    );
  if (first < stored.first)
    throw new OnlineStoreError(
      `the online store has events of the view ${view.name} from ${stored.from} on, and the look-up needs earlier ones; materialise the view with an earlier beginning`,
    );
}

/** Newest events first: each window is the one before and what lies between their beginnings. */
function fillRow(layout: Layout, { bucket: length, edges }: Moment, records: Records, row: Float64Array) {
  const state = new Float64Array(STATE_WIDTH);
  for (const { value, columns } of layout.values) {
    clearState(state, 0);
    for (let window = 0; window < layout.windows.length; window++) {
      const range = [edges[window + 1] ?? 0, edges[window] ?? 0] as const;
      for (let number = bucketOf(range[1] - 1, length); number >= bucketOf(range[0], length); number--) {
        const bucket: Bucket = { start: number * length, length };
        records(number, MAIN)?.add(state, 0, value, bucket, range, (slice) => records(number, slice));
      }
      for (const placed of columns)
        if (placed.window === window) row[placed.column] = aggregateOf(placed.aggregate, state, 0);
    }
  }
}
