import type { StageName } from './stages.ts';

/*
 * A Temporal server takes payloads of 2 MiB and warns from 256 KiB on (`limit.blobSize`); one message holds 4 MB. The
 * largest payload of a run is that of `register`: the spec with all that the stages gave. So each of them has a share,
 * which is checked where it comes into being, with words that help.
 */

const KIB = 1024;

/** A larger payload is refused by the Temporal server. */
export const MAX_PAYLOAD_BYTES = 2 * KIB * KIB;

/** What the activities that a workflow starts at once may take together; the rest of a message is the server's. */
export const MAX_MESSAGE_BYTES = 3 * KIB * KIB;

/** The parsed spec as JSON. */
export const MAX_SPEC_BYTES = 384 * KIB;

/** Outputs of stages as JSON; those that are not named are small by nature. */
export const MAX_OUTPUT_BYTES = {
  ingest: 640 * KIB,
  validate: 224 * KIB,
  protect: 256 * KIB,
  split: 128 * KIB,
  // Of 20 folds in two variants 62 KiB name matrices and graphs; the rest is for notes about columns.
  prepare: 96 * KIB,
  evaluate: 128 * KIB,
} as const satisfies Partial<Record<StageName, number>>;
export type BoundedStage = keyof typeof MAX_OUTPUT_BYTES;

/** Columns of all sources of a spec together. */
export const MAX_SOURCE_COLUMNS = 5_000;

/** Bytes of a value as JSON in UTF-8: what a payload takes. */
export const jsonBytes = (value: unknown): number =>
  new TextEncoder().encode(JSON.stringify(value) ?? '').length;

/** @example inKib(393_217) === '385 KiB' */
export const inKib = (bytes: number): string => `${Math.ceil(bytes / KIB).toLocaleString('en-US')} KiB`;
