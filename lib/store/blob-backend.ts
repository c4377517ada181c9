import type { Documents } from './documents.ts';

/** A blob as it lies in a backend. */
export interface BlobHead {
  /** Size as stored: of an encrypted blob that of its ciphertext. */
  bytes: number;
  /** When it was last written or touched, epoch milliseconds. */
  touchedAt: number;
}

/**
 * Where the bytes of the artifact store lie. A name is a SHA-256 as hex, with `.sealed` behind it where the bytes are
 * encrypted; what is behind a name never changes.
 */
export interface BlobBackend {
  /** For messages: a folder, or `s3://bucket/prefix`. */
  readonly root: string;
  readonly documents: Documents;
  /** Whether what {@link local} gives may be deleted while it is in use, to make room. */
  readonly evicts: boolean;

  /** A path for a new file that {@link adopt} will take; its folder is there, on the right disk. */
  tempPath(): string;
  /** Takes a whole file as the blob of a name, durably and in one step. The file is gone or moved then. */
  adopt(temp: string, name: string): Promise<void>;
  head(name: string): Promise<BlobHead | undefined>;
  /**
   * Tells the garbage collector that somebody needs the blob again.
   *
   * @returns the blob, which stays from now on; `undefined` where there is none (any more)
   */
  touch(name: string): Promise<BlobHead | undefined>;
  /** A local file with the bytes; `undefined` where there is no such blob. */
  local(name: string): Promise<string | undefined>;
  /** Drops a copy that is kept beside the blob itself. */
  forget(name: string): Promise<void>;
  /** Names of all such copies on this machine. */
  copies(): Promise<string[]>;
  list(): AsyncIterable<BlobHead & { name: string }>;
  /** @returns whether it was deleted: not where it was touched after `untouchedSince` */
  remove(name: string, untouchedSince: number): Promise<boolean>;
  /** Deletes it whoever needs it, every version and copy that this process can reach. */
  erase(name: string): Promise<void>;
  /** How many blobs that were deleted it keeps in former versions, where {@link erase} was not asked for. */
  formerVersions(): Promise<number>;
  /** Deletes what writers that were killed left half written before `before`, epoch milliseconds. */
  sweep(before: number): Promise<void>;
}

export const SEALED_SUFFIX = '.sealed';

/** The document that says which key of the keyring the list of erased people is kept under. */
export const SUPPRESSION_KEY = 'suppression/key';

/** The document that says which key of the keyring the entities of recorded predictions are kept under. */
export const PREDICTION_KEY = 'predictions/key';

/** The document that says which key of the keyring the entities of the online feature store are kept under. */
export const FEATURE_KEY = 'features/key';

/** Whether anything needs a key of the keyring: an encrypted blob, the list of erased people, recorded predictions, the online feature store. */
export async function needsKeys(backend: BlobBackend): Promise<boolean> {
  for (const key of [SUPPRESSION_KEY, PREDICTION_KEY, FEATURE_KEY])
    if (await backend.documents.read(key)) return true;
  for await (const { name } of backend.list()) if (name.endsWith(SEALED_SUFFIX)) return true;
  return false;
}

/** Where a blob lies below the root: `sha256/ab/cdef…`. */
export const blobPath = (name: string): string => `sha256/${name.slice(0, 2)}/${name.slice(2)}`;

/** The name of what lies at a path below `sha256/`; `undefined` where it is none of ours. */
export function blobName(path: string): string | undefined {
  const name = path.replace('/', '');
  return /^[0-9a-f]{64}(\.sealed)?$/.test(name) ? name : undefined;
}
