import { z } from 'zod';
import { artifactRef, tableRef } from './refs.ts';

/**
 * How far an incremental source has been read: the largest value of its watermark column. Times are microseconds
 * since 1970 in UTC, numbers are decimals, both as text: they are compared by the engine and lose no digit.
 */
export const watermark = z.strictObject({
  kind: z.enum(['time', 'number']),
  value: z.string().regex(/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i),
});
export type Watermark = z.infer<typeof watermark>;

/** A file of a source as it was read: `path` is its name at the source, `identity` stands for its content. */
export const seenFile = z.strictObject({ path: z.string(), identity: z.string() });
export type SeenFile = z.infer<typeof seenFile>;

/** What an incremental read made of the rows of its source. */
export const incrementReport = z.strictObject({
  mode: z.enum(['watermark', 'newFiles']),
  /** Rows that came for the first time and in time. */
  new: z.number().int().nonnegative(),
  /** Rows that came for the first time but are not after the watermark of the run before. They are taken. */
  late: z.number().int().nonnegative(),
  /** Rows that came for the first time but lie below the lateness window. They are counted and not taken. */
  tooOld: z.number().int().nonnegative(),
  /** Rows without a value in the watermark column. They are counted and not taken. */
  withoutWatermark: z.number().int().nonnegative(),
  /** Rows that were read again and are there already. */
  seenBefore: z.number().int().nonnegative(),
  /** newFiles: files that were read for the first time. */
  newFiles: z.number().int().nonnegative(),
  /** The watermark after this read. */
  watermark: watermark.nullable(),
  /** Segments of which the snapshot consists now. */
  segments: z.number().int().nonnegative(),
  /** Rows of the snapshot: those of all segments. */
  rows: z.number().int().nonnegative(),
});
export type IncrementReport = z.infer<typeof incrementReport>;

/** Media type of a {@link snapshotManifest}. */
export const SNAPSHOT_MANIFEST_TYPE = 'application/vnd.perennial.snapshot+json';

/** Rows that one read added, as Parquet. */
export const segment = z.strictObject({ artifact: artifactRef, rows: z.number().int().nonnegative() });
export type Segment = z.infer<typeof segment>;

/** An artifact that stands for several Parquet files as one table: a snapshot of an incremental source. */
export const snapshotManifest = z.strictObject({
  schemaVersion: z.literal(1),
  segments: z.array(segment).min(1),
});
export type SnapshotManifest = z.infer<typeof snapshotManifest>;

/** The document of an incremental source of a pipeline: all that was taken so far. It only grows. */
export const incrementalHead = z.strictObject({
  schemaVersion: z.literal(1),
  /** By what it is told what is new, `files` or `watermark <column>`; it cannot change. */
  by: z.string(),
  segments: z.array(segment),
  columns: tableRef.shape.columns,
  watermark: watermark.nullable(),
  files: z.array(seenFile),
  /** The latest reads: an attempt of a run that has taken its rows finds its answer here. */
  taken: z.array(z.strictObject({ run: z.string(), snapshot: tableRef, report: incrementReport })),
});
export type IncrementalHead = z.infer<typeof incrementalHead>;
