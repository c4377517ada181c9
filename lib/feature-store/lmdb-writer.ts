import { bytesAt, fieldIn, keyOf, type LmdbFile, readBucket, writeBucket, writeField } from './lmdb-file.ts';
import { type RecordPut, supplanted, type ViewWriter } from './online-backend.ts';

/** Keys that are read or removed at once. */
const PART = 5_000;

/** Names of texts: a view's description, who writes it, and the marks of its buckets. */
export const viewKey = (view: string): string => `view ${view}`;
export const runKey = (view: string): string => `run ${view}`;
const markKey = (view: string, bucket: number): string => `mark ${view} ${bucket}`;

/** The views that a file has anything of. */
export function viewsIn({ texts }: LmdbFile): { view: string; description: string | undefined }[] {
  const start = runKey('');
  return [...texts.getKeys({ start, end: after(start) })].map((key) => {
    const view = key.slice(start.length);
    return { view, description: texts.get(viewKey(view)) };
  });
}

/** The marks of the buckets of a view, and buckets that have records without being complete. */
export function bucketsIn({ records, texts }: LmdbFile, view: string): Map<number, string | undefined> {
  const found = new Map<number, string | undefined>();
  // From bucket to bucket: their records are not looked at.
  const [from, end] = [keyOf(view), keyOf(view, 0xff)];
  for (;;) {
    const [key] = records.getKeys({ start: from, end, limit: 1 });
    if (key === undefined) break;
    const bucket = readBucket(key);
    found.set(bucket, undefined);
    writeBucket(from, bucket + 1);
  }
  const start = `mark ${view} `;
  for (const { key, value } of texts.getRange({ start, end: after(start) }))
    found.set(Number(key.slice(start.length)), value);
  return found;
}

/** The end of the texts whose names begin so: with a space at the end. */
const after = (prefix: string): string => `${prefix.trimEnd()}!`;

/** Writes a view into an LMDB file. */
export class LmdbWriter implements ViewWriter {
  constructor(
    private readonly view: string,
    private readonly run: string,
    private readonly file: LmdbFile,
  ) {}

  async description(): Promise<string | undefined> {
    return this.file.texts.get(viewKey(this.view));
  }

  async describe(text: string): Promise<void> {
    this.#change(() => this.file.texts.putSync(viewKey(this.view), text));
  }

  async open(bucket: number): Promise<void> {
    this.#change(() => this.file.texts.removeSync(markKey(this.view, bucket)));
  }

  async put(bucket: number, records: readonly RecordPut[]): Promise<number> {
    const key = keyOf(this.view);
    writeBucket(key, bucket);
    return this.#change(() => {
      let written = 0;
      for (const { field, bytes } of records) {
        writeField(key, field);
        if (bytesAt(this.file.records, key)?.equals(bytes)) continue;
        this.file.records.putSync(key, bytes);
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
      const keys = [...this.file.records.getKeys({ start: from, end, limit: PART, exclusiveStart: !first })];
      if (keys.length > 0) yield keys.map(fieldIn);
      from = keys.at(-1) ?? from;
      if (keys.length < PART) return;
    }
  }

  async removeFields(bucket: number, fields: readonly Buffer[]): Promise<number> {
    const key = keyOf(this.view);
    writeBucket(key, bucket);
    return this.#change(() => {
      let removed = 0;
      for (const field of fields) {
        writeField(key, field);
        if (this.file.records.removeSync(key)) removed++;
      }
      return removed;
    });
  }

  async complete(bucket: number, mark: string): Promise<void> {
    this.#change(() => this.file.texts.putSync(markKey(this.view, bucket), mark));
  }

  async drop(bucket: number): Promise<number> {
    await this.open(bucket);
    let removed = 0;
    for await (const fields of this.fields(bucket)) removed += await this.removeFields(bucket, fields);
    return removed;
  }

  /** Deletes all of it; its description goes first, that nobody reads what is half gone. */
  async removeView(): Promise<void> {
    this.#change(() => this.file.texts.removeSync(viewKey(this.view)));
    for (const bucket of bucketsIn(this.file, this.view).keys()) await this.drop(bucket);
    this.#change(() => this.file.texts.removeSync(runKey(this.view)));
  }

  async close(): Promise<void> {}

  /** One transaction, for as long as nobody else began to write the view. */
  #change<T>(change: () => T): T {
    const { texts } = this.file;
    return this.file.transaction(() => {
      if (texts.get(runKey(this.view)) !== this.run) throw supplanted();
      return change();
    });
  }
}
