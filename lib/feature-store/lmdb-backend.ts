import { createHash, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { type Database, open, type RootDatabase } from 'lmdb';
import {
  ENTITY_BYTES,
  type OnlineBackend,
  type RecordOf,
  type RecordPut,
  supplanted,
  unknownView,
  type ViewWriter,
  type Wanted,
} from './online-backend.ts';
import { OnlineStoreError } from './online-store.ts';

/** Address space, not disk: a process that has the file open need not notice that it grows. */
const MAP_BYTES = 2 ** 40;
const VIEW_BYTES = 8;
const BUCKET_BYTES = 6;
/** Buckets before 1970 too, in the order of time. */
const BUCKET_ZERO = 2 ** 47;
const BUCKET_AT = VIEW_BYTES;
const FIELD_AT = BUCKET_AT + BUCKET_BYTES;
const KEY_BYTES = FIELD_AT + ENTITY_BYTES + 1;
/** Keys that are read or removed at once. */
const PART = 5_000;

type Records = Database<Buffer, Buffer>;
type Texts = Database<string, string>;

/**
 * The online store in a folder: one LMDB file, which any number of processes of this machine read while one writes.
 *
 * ```
 * records:  SHA-256 of the view's id, 8 bytes | bucket + 2^47, 6 bytes | digest of the entity, 16 | slice, 1
 * texts:    "view <id>": its description, "run <id>": who writes it, "mark <id> <bucket>"
 * ```
 *
 * A reader sees what was committed last when it began, and holds nobody up.
 */
export class LmdbBackend implements OnlineBackend {
  readonly #keys = new Map<string, Buffer>();

  private constructor(
    readonly place: string,
    private readonly env: RootDatabase<Buffer, Buffer>,
    private readonly records: Records,
    private readonly texts: Texts,
  ) {}

  /** Opens it, and makes it where there is none. @throws OnlineStoreError */
  static async open(folder: string): Promise<LmdbBackend> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const env = open<Buffer, Buffer>({
        path: folder,
        encoding: 'binary',
        keyEncoding: 'binary',
        mapSize: MAP_BYTES,
        maxDbs: 2,
        maxReaders: 1_024,
        // A commit is on disk when it returns.
        overlappingSync: false,
      });
      const records = env.openDB<Buffer, Buffer>('records', { encoding: 'binary', keyEncoding: 'binary' });
      const texts = env.openDB<string, string>('texts', { encoding: 'string' });
      return new LmdbBackend(folder, env, records, texts);
    } catch (error) {
      throw failed(folder, error);
    }
  }

  read<T>(view: string, wanted: Wanted, use: (description: string, record: RecordOf) => T): T {
    const key = this.#keyOf(view);
    try {
      return use(this.description(view), (entity, bucket, slice) => {
        writeBucket(key, bucket);
        wanted.entities[entity]?.copy(key, FIELD_AT, 0, ENTITY_BYTES);
        key[KEY_BYTES - 1] = slice;
        return bytesAt(this.records, key);
      });
    } catch (error) {
      throw error instanceof OnlineStoreError ? error : failed(this.place, error);
    }
  }

  /** A key of the view that is filled in for each record; its hash is made once. */
  #keyOf(view: string): Buffer {
    const known = this.#keys.get(view) ?? keyOf(view);
    this.#keys.set(view, known);
    return known;
  }

  description(view: string): string {
    const description = this.texts.get(`view ${view}`);
    if (description === undefined) throw unknownView(this.place);
    return description;
  }

  async views(): Promise<{ view: string; description: string | undefined }[]> {
    return [...this.texts.getKeys({ start: 'run ', end: 'run!' })].map((key) => {
      const view = key.slice('run '.length);
      return { view, description: this.texts.get(`view ${view}`) };
    });
  }

  async write(view: string): Promise<ViewWriter> {
    const run = randomUUID();
    // What readers that were killed still held is given back.
    this.env.readerCheck();
    this.env.transactionSync(() => {
      this.texts.putSync(`run ${view}`, run);
    });
    return new LmdbWriter(view, run, this.env, this.records, this.texts);
  }

  async remove(view: string): Promise<void> {
    const writer = await this.write(view);
    this.env.transactionSync(() => {
      this.texts.removeSync(`view ${view}`);
    });
    for (const bucket of (await writer.buckets()).keys()) await writer.drop(bucket);
    this.env.transactionSync(() => {
      this.texts.removeSync(`run ${view}`);
    });
  }

  async close(): Promise<void> {
    await this.env.close();
  }
}

class LmdbWriter implements ViewWriter {
  constructor(
    private readonly view: string,
    private readonly run: string,
    private readonly env: RootDatabase<Buffer, Buffer>,
    private readonly records: Records,
    private readonly texts: Texts,
  ) {}

  async description(): Promise<string | undefined> {
    return this.texts.get(`view ${this.view}`);
  }

  async describe(text: string): Promise<void> {
    this.#change(() => this.texts.putSync(`view ${this.view}`, text));
  }

  async buckets(): Promise<Map<number, string | undefined>> {
    const found = new Map<number, string | undefined>();
    // From bucket to bucket: their records are not looked at.
    const [from, end] = [keyOf(this.view), keyOf(this.view, 0xff)];
    for (;;) {
      const [key] = this.records.getKeys({ start: from, end, limit: 1 });
      if (key === undefined) break;
      const bucket = key.readUIntBE(BUCKET_AT, BUCKET_BYTES) - BUCKET_ZERO;
      found.set(bucket, undefined);
      writeBucket(from, bucket + 1);
    }
    const prefix = `mark ${this.view} `;
    for (const { key, value } of this.texts.getRange({ start: prefix, end: `mark ${this.view}!` }))
      found.set(Number(key.slice(prefix.length)), value);
    return found;
  }

  async open(bucket: number): Promise<void> {
    this.#change(() => this.texts.removeSync(`mark ${this.view} ${bucket}`));
  }

  async put(bucket: number, records: readonly RecordPut[]): Promise<number> {
    const key = keyOf(this.view);
    writeBucket(key, bucket);
    return this.#change(() => {
      let written = 0;
      for (const { field, bytes } of records) {
        field.copy(key, FIELD_AT);
        if (bytesAt(this.records, key)?.equals(bytes)) continue;
        this.records.putSync(key, bytes);
        written++;
      }
      return written;
    });
  }

  async *fields(bucket: number): AsyncGenerator<Buffer[]> {
    const start = keyOf(this.view);
    const end = keyOf(this.view);
    writeBucket(start, bucket);
    writeBucket(end, bucket + 1);
    for (let from = start, first = true; ; first = false) {
      const keys = [...this.records.getKeys({ start: from, end, limit: PART, exclusiveStart: !first })];
      if (keys.length > 0) yield keys.map((key) => key.subarray(FIELD_AT));
      from = keys.at(-1) ?? from;
      if (keys.length < PART) return;
    }
  }

  async removeFields(bucket: number, fields: readonly Buffer[]): Promise<number> {
    return this.#change(() => this.#removed(bucket, fields));
  }

  async eraseFields(bucket: number, fields: readonly Buffer[]): Promise<number> {
    return this.#change(() => {
      const removed = this.#removed(bucket, fields);
      if (removed > 0) this.texts.removeSync(`mark ${this.view} ${bucket}`);
      return removed;
    });
  }

  async complete(bucket: number, mark: string): Promise<void> {
    this.#change(() => this.texts.putSync(`mark ${this.view} ${bucket}`, mark));
  }

  async drop(bucket: number): Promise<number> {
    await this.open(bucket);
    let removed = 0;
    for await (const fields of this.fields(bucket)) removed += await this.removeFields(bucket, fields);
    return removed;
  }

  #removed(bucket: number, fields: readonly Buffer[]): number {
    const key = keyOf(this.view);
    writeBucket(key, bucket);
    let removed = 0;
    for (const field of fields) {
      field.copy(key, FIELD_AT);
      if (this.records.removeSync(key)) removed++;
    }
    return removed;
  }

  async close(): Promise<void> {}

  /** One transaction, for as long as nobody else began to write the view. */
  #change<T>(change: () => T): T {
    return this.env.transactionSync(() => {
      if (this.texts.get(`run ${this.view}`) !== this.run) throw supplanted();
      return change();
    });
  }
}

const failed = (place: string, cause: unknown): OnlineStoreError =>
  new OnlineStoreError(
    `the online store ${place} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );

/** Valid until the next is asked for. What `lmdb` gives is longer than it says, to all that looks at the memory itself. */
function bytesAt(records: Records, key: Buffer): Buffer | undefined {
  const found = records.getBinaryFast(key);
  return found && Buffer.from(found.buffer, found.byteOffset, found.length);
}

function keyOf(view: string, fill = 0): Buffer {
  const key = Buffer.alloc(KEY_BYTES, fill);
  createHash('sha256').update(view).digest().copy(key, 0, 0, VIEW_BYTES);
  return key;
}

const writeBucket = (key: Buffer, bucket: number): void => {
  key.writeUIntBE(bucket + BUCKET_ZERO, BUCKET_AT, BUCKET_BYTES);
};
