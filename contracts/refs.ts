import { z } from 'zod';

/**
 * A reference to one immutable blob in the artifact store. Payloads carry these, never the bytes.
 *
 * `uri` is `cas:<sha256>` (content-addressed, resolved by the worker's own store), `bytes` its size.
 *
 * @example
 * { uri: 'cas:9f86d0…', sha256: '9f86d0…', bytes: 1024, mediaType: 'application/vnd.apache.parquet' }
 */
export const artifactRef = z.strictObject({
  uri: z.string().regex(/^cas:[0-9a-f]{64}$/),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  bytes: z.number().int().nonnegative(),
  mediaType: z.string().min(1).max(120),
});
export type ArtifactRef = z.infer<typeof artifactRef>;

/** Media types of the artifacts that stages hand to each other. */
export const MEDIA_TYPES = {
  parquet: 'application/vnd.apache.parquet',
  npy: 'application/x-npy',
  onnx: 'application/onnx',
  json: 'application/json',
  html: 'text/html',
  svg: 'image/svg+xml',
  text: 'text/plain',
} as const;
export type MediaType = (typeof MEDIA_TYPES)[keyof typeof MEDIA_TYPES];

/** A table as Parquet with what is known of it: columns in order and the number of rows. */
export const tableRef = z.strictObject({
  artifact: artifactRef,
  rows: z.number().int().nonnegative(),
  columns: z.array(z.strictObject({ name: z.string(), type: z.string() })),
});
export type TableRef = z.infer<typeof tableRef>;

/** Rows of a table, counted from 0. */
export const rowRange = z.strictObject({
  from: z.number().int().nonnegative(),
  before: z.number().int().nonnegative(),
});
export type RowRange = z.infer<typeof rowRange>;
