import type { EntityEvents } from './event-buckets.ts';
import { recordsOf } from './event-record.ts';
import { FieldSet } from './field-set.ts';
import { fieldOf, type RecordPut, type ViewWriter } from './online-backend.ts';
import { type OnlineKeys, recordPlace } from './online-keys.ts';

/** What is written at once: as much as holds neither the event loop nor a server for long. */
const PART_RECORDS = 2_000;
const PART_BYTES = 1_000_000;

/** Of which view the records are, and how they are kept. */
export interface RecordKind {
  readonly view: string;
  /** Of a bucket, microseconds. */
  readonly length: number;
  readonly keys: OnlineKeys;
  readonly sealed: boolean;
  /** Whether the store has nothing of the bucket yet. */
  readonly fresh: boolean;
}

/** One bucket while it is replaced by its events as they are now, entity by entity. */
export class BucketRewrite {
  #begun = false;
  #waiting: RecordPut[] = [];
  #bytes = 0;
  #written = 0;
  readonly #fields = new FieldSet();

  constructor(
    private readonly writer: ViewWriter,
    readonly bucket: number,
    private readonly kind: RecordKind,
  ) {}

  async add(events: EntityEvents): Promise<void> {
    const { view, length, keys, sealed, fresh } = this.kind;
    const entity = keys.entity(events.key);
    for (const { slice, bytes } of recordsOf({ start: this.bucket * length, length }, events)) {
      const field = fieldOf(entity, slice);
      const kept = sealed ? keys.seal(recordPlace(view, this.bucket, field), bytes) : bytes;
      this.#waiting.push({ field, bytes: kept });
      this.#bytes += kept.length;
      if (!fresh) this.#fields.add(field);
    }
    // All records of an entity go together: a reader never sees slices of different times.
    if (this.#waiting.length >= PART_RECORDS || this.#bytes >= PART_BYTES) await this.#flush();
  }

  /** Writes the rest, removes what is of no entity any more, and marks the bucket. */
  async complete(mark: string): Promise<{ written: number; removed: number }> {
    await this.#flush();
    const removed = this.kind.fresh ? 0 : await this.#sweep();
    await this.writer.complete(this.bucket, mark);
    return { written: this.#written, removed };
  }

  async #flush(): Promise<void> {
    if (!this.#begun) await this.writer.open(this.bucket);
    this.#begun = true;
    if (this.#waiting.length === 0) return;
    this.#written += await this.writer.put(this.bucket, this.#waiting);
    this.#waiting = [];
    this.#bytes = 0;
  }

  async #sweep(): Promise<number> {
    let removed = 0;
    for await (const fields of this.writer.fields(this.bucket)) {
      const left = fields.filter((field) => !this.#fields.has(field));
      if (left.length > 0) removed += await this.writer.removeFields(this.bucket, left);
    }
    return removed;
  }
}
