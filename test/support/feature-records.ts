import type { ServedView } from '../../contracts/serving.ts';
import { bucketOf, RECORD_FORMAT, recordsOf } from '../../lib/feature-store/event-record.ts';
import { fieldOf, type OnlineBackend } from '../../lib/feature-store/online-backend.ts';
import { type OnlineKeys, recordPlace } from '../../lib/feature-store/online-keys.ts';
import { bucketLength, type StoredView } from '../../lib/feature-store/stored-view.ts';
import type { TestEvent } from './feature-events.ts';

/** How the records of a test are made. */
export interface RecordedEvents {
  readonly view: ServedView;
  readonly keys: OnlineKeys;
  readonly entity: string;
  readonly events: readonly TestEvent[];
  readonly sealed: boolean;
  /** More events than these in a bucket are cut into slices. */
  readonly mostTogether: number;
}

/** The records of one entity in memory, for readers alone. */
export function recordedEvents({ view, keys, entity, events, sealed, mostTogether }: RecordedEvents): {
  backend: Pick<OnlineBackend, 'read' | 'description'>;
  records: Map<string, Buffer>;
} {
  const windows = view.columns.map(({ window }) => window);
  const length = bucketLength(windows);
  const digest = keys.entity(entity);
  const records = new Map<string, Buffer>();
  const sorted = [...events].sort((a, b) => a.time - b.time);
  for (const bucket of new Set(sorted.map(({ time }) => bucketOf(time, length)))) {
    const own = sorted.filter(({ time }) => bucketOf(time, length) === bucket);
    const columns = Array.from({ length: view.values }, (_, value) =>
      Float64Array.from(own, ({ values }) => values[value] ?? Number.NaN),
    );
    const all = { times: Float64Array.from(own, ({ time }) => time), values: columns, count: own.length };
    for (const { slice, bytes } of recordsOf({ start: bucket * length, length }, all, mostTogether)) {
      const field = fieldOf(digest, slice);
      const place = recordPlace(view.store, bucket, field);
      records.set(`${bucket} ${field.toString('hex')}`, sealed ? keys.seal(place, bytes) : bytes);
    }
  }
  const description = JSON.stringify(storedFor(view, length, keys.fingerprint));
  return {
    records,
    backend: {
      description: () => description,
      read: (_view, wanted, use) =>
        use(description, (at, bucket, slice) =>
          records.get(`${bucket} ${fieldOf(wanted.entities[at] ?? Buffer.alloc(0), slice).toString('hex')}`),
        ),
    },
  };
}

const storedFor = (view: ServedView, bucket: number, keys: string): StoredView => ({
  store: view.store,
  pipeline: 'pipeline',
  view: view.name,
  entity: [...view.entity],
  columns: [],
  from: '1970-01-01T00:00:00.000Z',
  until: '2020-01-01T00:00:00.000Z',
  materializedAt: '2020-01-01T00:00:00.000Z',
  events: 0,
  format: RECORD_FORMAT,
  personal: false,
  keys,
  bucket,
  longest: Math.max(...view.columns.map(({ window }) => window)),
  values: view.values,
  first: Number.MIN_SAFE_INTEGER,
  backfill: null,
});
