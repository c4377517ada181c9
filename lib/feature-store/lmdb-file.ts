import { createHash, randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';
import { z } from 'zod';
import { PerennialError } from '../../contracts/errors.ts';
import { ENTITY_BYTES } from './online-backend.ts';

/** Address space, not disk: a process that has the file open need not notice that it grows. */
const MAP_BYTES = 2 ** 40;
const VIEW_BYTES = 8;
const BUCKET_BYTES = 6;
/** Buckets before 1970 too, in the order of time. */
const BUCKET_ZERO = 2 ** 47;
const BUCKET_AT = VIEW_BYTES;
const FIELD_AT = BUCKET_AT + BUCKET_BYTES;
const SLICE_AT = FIELD_AT + ENTITY_BYTES;
const KEY_BYTES = SLICE_AT + 1;
/** Records that are copied at once. */
const PART = 10_000;
/** Copies that were made in vain, since somebody wrote meanwhile, before nobody may write. */
const MOST_TRIES = 2;

/** Names the file that is in use. */
const CURRENT = 'current';
const FILE = 'store-';
/** The text in a file that another one took the place of: the name of that one. */
const MOVED = 'moved';

export type Records = Database<Buffer, Buffer>;
export type Texts = Database<string, string>;

/**
 * The LMDB file of an online store. A file is written anew to leave nothing of what was deleted: LMDB keeps the bytes of
 * records that are gone, in pages that are free and in what is empty of others.
 *
 * ```
 * <folder>/current       the name of the file in use
 * <folder>/store-<id>/   an LMDB environment: records and texts
 * ```
 */
export class LmdbFile {
  #closed = false;

  private constructor(
    private readonly folder: string,
    private readonly name: string,
    private readonly env: RootDatabase<Buffer, Buffer>,
    private readonly ownRecords: Records,
    private readonly ownTexts: Texts,
  ) {}

  /** The file in use; one is made where there is none. */
  static open(folder: string): LmdbFile {
    for (;;) {
      const name = nameIn(folder) ?? firstName(folder);
      const file = LmdbFile.#openedWhile(folder, name, name);
      if (!file) continue;
      const next = file.movedTo();
      // What was deleted between its name was read and it was opened is an empty file now.
      if (next === undefined && nameIn(folder) === name) return file;
      void file.close();
      // Whoever wrote it anew was killed, or is about to say so.
      if (next !== undefined) LmdbFile.#follow(folder, name, next);
    }
  }

  /** Says that a file took the place of another one, unless yet another one did so since. */
  static #follow(folder: string, name: string, next: string): void {
    const file = LmdbFile.#openedWhile(folder, name, next);
    if (!file) return;
    try {
      file.transaction(() => {
        if (file.movedTo() === undefined && nameIn(folder) === name) point(folder, next);
      });
    } finally {
      void file.close();
    }
    discard(join(folder, name));
  }

  /** @returns `undefined` where a file was deleted while it was opened, since `current` names another one by now */
  static #openedWhile(folder: string, current: string, name: string): LmdbFile | undefined {
    try {
      return LmdbFile.#opened(folder, name);
    } catch (error) {
      if (nameIn(folder) === current) throw error;
      return undefined;
    }
  }

  static #opened(folder: string, name: string): LmdbFile {
    const env = open<Buffer, Buffer>({
      path: join(folder, name),
      encoding: 'binary',
      keyEncoding: 'binary',
      mapSize: MAP_BYTES,
      maxDbs: 2,
      maxReaders: 1_024,
      // A commit is on disk when it returns.
      overlappingSync: false,
      // What this process had in its memory before does not come into the file.
      noMemInit: false,
    });
    const records = env.openDB<Buffer, Buffer>('records', { encoding: 'binary', keyEncoding: 'binary' });
    return new LmdbFile(
      folder,
      name,
      env,
      records,
      env.openDB<string, string>('texts', { encoding: 'string' }),
    );
  }

  /** @throws PerennialError `StageFailed`, retryable, where another file took the place of this one */
  get records(): Records {
    if (this.#closed) throw movedMeanwhile();
    return this.ownRecords;
  }

  /** As {@link records}. */
  get texts(): Texts {
    if (this.#closed) throw movedMeanwhile();
    return this.ownTexts;
  }

  /** The name of the file that took the place of this one. */
  movedTo(): string | undefined {
    return this.texts.get(MOVED);
  }

  /** All of it or nothing. */
  transaction<T>(work: () => T): T {
    return this.env.transactionSync(work);
  }

  /** What readers that were killed still held is given back. */
  forgetDeadReaders(): void {
    this.env.readerCheck();
  }

  /**
   * Writes what is there into a new file, which takes the place of this one; who had begun to write a view has to begin
   * again. Readers see the one or the other. Killed at any moment, it was done or not. For a while there have to be two
   * files.
   *
   * @throws PerennialError `StageFailed`, retryable, where another process did so at the same time
   */
  writeAnew(): void {
    for (let tries = 0; ; tries++) {
      const name = FILE + randomUUID();
      const fresh = LmdbFile.#opened(this.folder, name);
      try {
        // Nobody has to wait for a copy, unless there is no end to what is written.
        const seen = this.#commits();
        // What this process looked at in the same turn may be older than that.
        this.env.resetReadTxn();
        const ahead = tries < MOST_TRIES;
        if (ahead) copy(this, fresh);
        if (!this.#moveTo(name, () => (ahead ? this.#commits() === seen : copy(this, fresh)))) {
          discard(join(this.folder, name));
          continue;
        }
      } catch (error) {
        discard(join(this.folder, name));
        throw error;
      } finally {
        void fresh.close();
      }
      LmdbFile.#follow(this.folder, this.name, name);
      return;
    }
  }

  /** How often anything was written. */
  #commits(): number {
    return Number(z.object({ lastTxnId: z.number() }).parse(this.env.getStats()).lastTxnId);
  }

  /** @param isWhole whether the other file has all that this one has; nobody writes meanwhile */
  #moveTo(name: string, isWhole: () => boolean): boolean {
    return this.transaction(() => {
      if (this.movedTo() !== undefined) throw movedMeanwhile();
      if (!isWhole()) return false;
      // What a killed process left; whoever else is at it waits for this transaction.
      for (const other of readdirSync(this.folder))
        if (other.startsWith(FILE) && ![name, this.name].includes(other)) discard(join(this.folder, other));
      for (const key of [...this.texts.getKeys()]) this.texts.removeSync(key);
      this.texts.putSync(MOVED, name);
      return true;
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.env.close();
  }
}

const movedMeanwhile = (): PerennialError =>
  new PerennialError('StageFailed', 'the online store was written anew, or closed, meanwhile', true);

/** Another process may be about to open it; what is left is discarded the next time. */
function discard(file: string): void {
  try {
    rmSync(file, { recursive: true, force: true });
  } catch {}
}

function copy(from: LmdbFile, to: LmdbFile): true {
  for (let start: Buffer | undefined, full = true; full; ) {
    const part = [...from.records.getRange({ limit: PART, ...(start && { start, exclusiveStart: true }) })];
    to.transaction(() => {
      for (const { key, value } of part) to.records.putSync(key, value);
    });
    start = part.at(-1)?.key;
    full = part.length === PART;
  }
  to.transaction(() => {
    for (const { key, value } of from.texts.getRange()) to.texts.putSync(key, value);
  });
  return true;
}

function nameIn(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, CURRENT), 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Of several processes that come first, one decides. */
function firstName(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const name = FILE + randomUUID();
  const temp = join(folder, `${CURRENT}.${name}`);
  writeFileSync(temp, name, { flush: true });
  try {
    linkSync(temp, join(folder, CURRENT));
    // Of the time when a store was one file for good; it is filled anew.
    for (const old of ['data.mdb', 'lock.mdb']) discard(join(folder, old));
    return name;
  } catch (error) {
    const other = nameIn(folder);
    if (other === undefined) throw error;
    return other;
  } finally {
    rmSync(temp, { force: true });
  }
}

function point(folder: string, name: string): void {
  const temp = join(folder, `${CURRENT}.${randomUUID()}`);
  writeFileSync(temp, name, { flush: true });
  renameSync(temp, join(folder, CURRENT));
}

/** Keys of records: SHA-256 of the view's id, 8 bytes | bucket + 2^47, 6 bytes | digest of the entity, 16 | slice, 1. */
export function keyOf(view: string, fill = 0): Buffer {
  const key = Buffer.alloc(KEY_BYTES, fill);
  createHash('sha256').update(view).digest().copy(key, 0, 0, VIEW_BYTES);
  return key;
}

export const writeBucket = (key: Buffer, bucket: number): void => {
  key.writeUIntBE(bucket + BUCKET_ZERO, BUCKET_AT, BUCKET_BYTES);
};

export const readBucket = (key: Buffer): number => key.readUIntBE(BUCKET_AT, BUCKET_BYTES) - BUCKET_ZERO;

/** @param field an entity's digest, with or without the slice behind it */
export const writeField = (key: Buffer, field: Buffer, slice?: number): void => {
  field.copy(key, FIELD_AT);
  if (slice !== undefined) key[SLICE_AT] = slice;
};

export const fieldIn = (key: Buffer): Buffer => key.subarray(FIELD_AT);

/** Valid until the next is asked for. What `lmdb` gives is longer than it says, to all that looks at the memory itself. */
export function bytesAt(records: Records, key: Buffer): Buffer | undefined {
  const found = records.getBinaryFast(key);
  return found && Buffer.from(found.buffer, found.byteOffset, found.length);
}
