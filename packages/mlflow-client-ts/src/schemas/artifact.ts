import { z } from 'zod';
import { int64, text } from './wire.ts';

/** A file or directory of an artifact store. */
export interface FileInfo {
  /** Path relative to the root that was listed (the run, the model, the URI). */
  readonly path: string;
  readonly isDir: boolean;
  /** Bytes; undefined for directories. */
  readonly fileSize: number | undefined;
}

/** A URL that carries its own permission, and the headers to send with it. */
export interface PresignedUrl {
  /** Holds a secret: never log it. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Bytes of the file, when the store told (downloads only). */
  readonly fileSize: number | undefined;
}

/** Where one part of a multipart upload goes. */
export interface MultipartCredential {
  /** Holds a secret: never log it. */
  readonly url: string;
  /** Counts from 1. */
  readonly partNumber: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** A multipart upload that has begun. */
export interface MultipartUpload {
  /** Undefined on stores that need none (Azure). */
  readonly uploadId: string | undefined;
  readonly credentials: readonly MultipartCredential[];
}

/** One uploaded part. */
export interface MultipartPart {
  readonly partNumber: number;
  /** `ETag` the store answered. */
  readonly etag: string;
  /** URL it was sent to. */
  readonly url: string;
}

export const fileInfoSchema = z
  .object({ path: z.string(), is_dir: z.boolean().default(false), file_size: int64.optional() })
  .transform(
    (wire): FileInfo => ({
      path: wire.path,
      isDir: wire.is_dir,
      // The server leaves the size of an empty file out.
      fileSize: wire.is_dir ? undefined : (wire.file_size ?? 0),
    }),
  );

const headersSchema = z.record(z.string(), z.string()).default({});

/** Both spellings MLflow uses: `url` on the proxy, `presigned_url` on the tracking service. */
export const presignedUrlSchema = z
  .object({ url: text, presigned_url: text, headers: headersSchema, file_size: int64.optional() })
  .transform((wire, context): PresignedUrl => {
    const url = wire.url ?? wire.presigned_url;
    if (url === undefined) {
      context.addIssue({ code: 'custom', message: 'no URL in the answer' });
      return z.NEVER;
    }
    return { url, headers: wire.headers, fileSize: wire.file_size };
  });

export const multipartUploadSchema = z
  .object({
    upload_id: text,
    credentials: z
      .array(z.object({ url: z.string(), part_number: int64, headers: headersSchema }))
      .default([]),
  })
  .transform(
    (wire): MultipartUpload => ({
      uploadId: wire.upload_id,
      credentials: wire.credentials.map((credential) => ({
        url: credential.url,
        partNumber: credential.part_number,
        headers: credential.headers,
      })),
    }),
  );
