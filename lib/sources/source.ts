import type { Source, SourceKind } from '../../contracts/spec/sources.ts';
import type { Secrets } from '../secrets.ts';
import type { Keyring } from '../store/keyring.ts';
import type { HostRules } from './hosts.ts';

export type SourceFormat = 'csv' | 'parquet' | 'jsonl';

/** What acquiring a source needs and may do: all of it the worker's decision. */
export interface SourceOptions {
  /** Folders that file sources may lie in. */
  roots: readonly string[];
  /** Folders and files below them that are the worker's own; only a root within such a folder is read. */
  denied?: readonly string[];
  hosts: HostRules;
  secrets: Secrets;
  /** Folder for what is downloaded or unpacked; the caller deletes it. */
  scratchDir: string;
  /** Remembers what web addresses answered, encrypted with these keys; without it every address is read anew. */
  cache?: { folder: string; keyring: Keyring };
  /** Aborting ends downloads and queries, on the server's side too. */
  signal?: AbortSignal;
  /** Reads event logs; without it such sources are refused. */
  events?: AcquireEvents;
  /** Time limits of network calls in milliseconds. */
  timeouts?: Partial<Timeouts>;
}

/** Time limits in milliseconds. */
export interface Timeouts {
  /** To a connection, TLS included; default 10 s. */
  connect: number;
  /** From the request to the answer's head; default 60 s. */
  headers: number;
  /** Without a byte of the body; default 60 s. */
  idle: number;
}

export const timeoutsOf = (options: Pick<SourceOptions, 'timeouts'>): Timeouts => ({
  connect: 10_000,
  headers: 60_000,
  idle: 60_000,
  ...options.timeouts,
});

/** A source's content as local files. */
export interface AcquiredSource {
  kind: SourceKind;
  /** Local files in reading order. */
  files: readonly string[];
  format: SourceFormat;
  /** Identity of the content: the SHA-256 of the bytes, or over those of all files. */
  sha256: string;
  /** What {@link identifySource} says of this content, to ask later whether it changed; `null` where it cannot. */
  identity: string | null;
  /** Where it came from, for people; no secrets. */
  origin: string;
  /** The files by the names that they have at the source, with the SHA-256 of their bytes; left out for tables. */
  parts?: readonly { name: string; sha256: string }[];
  /** Size of what was read, before unpacking. */
  bytes: number;
  /** Folders such as `year=2024` in the paths are columns. */
  partitioned: boolean;
  /** The one file is the snapshot already: rows, order and settings are final. */
  finished: boolean;
  /** Throws where the files changed since they were looked at. */
  verify?(): Promise<void>;
}

/** Reads an event log; see {@link SourceOptions.events}. */
export type AcquireEvents = (
  name: string,
  source: Extract<Source, { events: string }>,
  options: SourceOptions,
) => Promise<AcquiredSource>;

/** Bytes that are read of a source that sets no limit. */
const DEFAULT_MAX_BYTES = 200e9;

export const maxBytesOf = (source: Source): number => source.maxBytes ?? DEFAULT_MAX_BYTES;
