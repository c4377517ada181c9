import { PerennialError } from '../../contracts/errors.ts';
import { OnlineStoreError } from './online-store.ts';

/** A place of one record: of which entity, in which bucket, and {@link MAIN} or which slice. */
export type RecordOf = (entity: number, bucket: number, slice: number) => Uint8Array | undefined;

/** What one look-up may need of a view. */
export interface Wanted {
  readonly entities: readonly Buffer[];
  readonly buckets: readonly number[];
  /** Slices that an edge of a window may fall into. */
  readonly slices: readonly { readonly bucket: number; readonly slice: number }[];
}

/** A record that is written: its entity's digest with the slice behind it, and its bytes. */
export interface RecordPut {
  readonly field: Buffer;
  readonly bytes: Buffer;
}

/** Bytes of an entity's digest in the store: 128 bits. */
export const ENTITY_BYTES = 16;

/** The field of a record within its bucket. */
export function fieldOf(entity: Buffer, slice: number): Buffer {
  const field = Buffer.allocUnsafe(ENTITY_BYTES + 1);
  entity.copy(field, 0, 0, ENTITY_BYTES);
  field.writeUInt8(slice, ENTITY_BYTES);
  return field;
}

/**
 * Where the records of views lie. It knows neither what is in a record nor what a key is. Views are known by their
 * id in the store; beside the records of a view there is its description, a text, and a mark for each bucket that is
 * complete.
 */
export interface OnlineBackend {
  /** For messages: a folder, or an address without its password. */
  readonly place: string;

  /**
   * What one look-up needs, of one moment: nothing that is written meanwhile is seen in part.
   *
   * @param use is called with the view's description and its records, whose bytes are valid until it asks for the next
   * @throws OnlineStoreError where the store cannot be asked, or does not have the view
   */
  read<T>(view: string, wanted: Wanted, use: (description: string, record: RecordOf) => T): T | Promise<T>;

  /** @throws OnlineStoreError where the store cannot be asked, or does not have the view */
  description(view: string): string | Promise<string>;

  /** All views; one that was never completed has no description. */
  views(): Promise<{ view: string; description: string | undefined }[]>;

  /** The marks of the buckets of a view that are complete, and buckets that have records without being so. */
  buckets(view: string): Promise<Map<number, string | undefined>>;

  /** Begins to write a view. Whoever began before can write it no more. */
  write(view: string): Promise<ViewWriter>;

  /** Deletes whatever there is of a view. */
  remove(view: string): Promise<void>;

  /**
   * Has the files of the store written anew: what was deleted leaves no bytes behind. Whoever writes a view has to begin
   * again.
   *
   * @throws PerennialError `StageFailed`, retryable, where another process does so at the same time
   */
  writeAnew(): Promise<void>;

  close(): Promise<void>;
}

/**
 * Writes one view. All of it throws a retryable PerennialError where another one began to write the view.
 */
export interface ViewWriter {
  description(): Promise<string | undefined>;
  describe(text: string): Promise<void>;
  /** Says that a bucket is not complete: before the first of its records changes. */
  open(bucket: number): Promise<void>;
  /**
   * Writes records, at once for all readers, where they are not as they should be already.
   *
   * @returns how many were written
   */
  put(bucket: number, records: readonly RecordPut[]): Promise<number>;
  /** The fields of a bucket, in parts of bounded size; they may be removed while this goes on. */
  fields(bucket: number): AsyncIterable<Buffer[]>;
  /** @returns how many there were */
  removeFields(bucket: number, fields: readonly Buffer[]): Promise<number>;
  /** Says that a bucket is complete. */
  complete(bucket: number, mark: string): Promise<void>;
  /** Removes a bucket with its mark. @returns the records that it had */
  drop(bucket: number): Promise<number>;
  close(): Promise<void>;
}

/** A writer that was thought dead must not mix what it read with what a later one wrote. */
export const supplanted = (): PerennialError =>
  new PerennialError(
    'StageFailed',
    'another process began to materialise the same view; this one stopped, and the other one writes all of it',
    true,
  );

export const unknownView = (place: string): OnlineStoreError =>
  new OnlineStoreError(`the online store ${place} does not hold the view; materialise it first`);
