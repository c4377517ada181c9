import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { PerennialError } from '../../contracts/errors.ts';
import { bytesAt, keyOf, LmdbFile, writeBucket, writeField } from './lmdb-file.ts';
import { bucketsIn, LmdbWriter, runKey, viewKey, viewsIn } from './lmdb-writer.ts';
import {
  type OnlineBackend,
  type RecordOf,
  unknownView,
  type ViewWriter,
  type Wanted,
} from './online-backend.ts';
import { OnlineStoreError } from './online-store.ts';

/**
 * The online store in a folder: one LMDB file, which any number of processes of this machine read while one writes.
 *
 * ```
 * records:  see `keyOf`
 * texts:    "view <id>": its description, "run <id>": who writes it, "mark <id> <bucket>"
 * ```
 *
 * A reader sees what was committed last when it began, and holds nobody up.
 */
export class LmdbBackend implements OnlineBackend {
  readonly #keys = new Map<string, Buffer>();
  #file: LmdbFile;

  private constructor(
    readonly place: string,
    file: LmdbFile,
  ) {
    this.#file = file;
  }

  /** Opens it, and makes it where there is none. @throws OnlineStoreError */
  static async open(folder: string): Promise<LmdbBackend> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return new LmdbBackend(folder, LmdbFile.open(folder));
    } catch (error) {
      throw failed(folder, error);
    }
  }

  read<T>(view: string, wanted: Wanted, use: (description: string, record: RecordOf) => T): T {
    const key = this.#keyOf(view);
    try {
      const description = this.description(view);
      const { records } = this.#file;
      return use(description, (entity, bucket, slice) => {
        writeBucket(key, bucket);
        const digest = wanted.entities[entity];
        if (digest === undefined) return undefined;
        writeField(key, digest, slice);
        return bytesAt(records, key);
      });
    } catch (error) {
      throw error instanceof OnlineStoreError ? error : failed(this.place, error);
    }
  }

  description(view: string): string {
    // A file that another one took the place of has no description any more.
    const description = this.#file.texts.get(viewKey(view)) ?? this.#current().texts.get(viewKey(view));
    if (description === undefined) throw unknownView(this.place);
    return description;
  }

  async views(): Promise<{ view: string; description: string | undefined }[]> {
    return viewsIn(this.#current());
  }

  async buckets(view: string): Promise<Map<number, string | undefined>> {
    return bucketsIn(this.#current(), view);
  }

  async write(view: string): Promise<ViewWriter> {
    return this.#writer(view);
  }

  async remove(view: string): Promise<void> {
    await this.#writer(view).removeView();
  }

  async writeAnew(): Promise<void> {
    try {
      this.#current().writeAnew();
    } catch (error) {
      throw error instanceof PerennialError ? error : failed(this.place, error);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** The file in use: another process may have written it anew. */
  #current(): LmdbFile {
    if (this.#file.movedTo() === undefined) return this.#file;
    const old = this.#file;
    this.#file = LmdbFile.open(this.place);
    void old.close();
    return this.#file;
  }

  #writer(view: string): LmdbWriter {
    const run = randomUUID();
    for (;;) {
      const file = this.#current();
      file.forgetDeadReaders();
      const begun = file.transaction(() => {
        if (file.movedTo() !== undefined) return false;
        file.texts.putSync(runKey(view), run);
        return true;
      });
      if (begun) return new LmdbWriter(view, run, file);
    }
  }

  /** A key of the view that is filled in for each record; its hash is made once. */
  #keyOf(view: string): Buffer {
    const known = this.#keys.get(view) ?? keyOf(view);
    this.#keys.set(view, known);
    return known;
  }
}

const failed = (place: string, cause: unknown): OnlineStoreError =>
  new OnlineStoreError(
    `the online store ${place} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
    { cause },
  );
