import { open } from 'node:fs/promises';
import { invalidArgument, MlflowError } from '../errors.ts';
import { write } from '../http/spec.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import {
  type MultipartCredential,
  type MultipartPart,
  type MultipartUpload,
  multipartUploadSchema,
} from '../schemas/artifact.ts';
import { encodePath } from './location.ts';

/** When and how large files are uploaded in parts. */
export interface MultipartOptions {
  /** Files of at least this many bytes go in parts, if the server offers it. Default 100 MiB. */
  thresholdBytes?: number | undefined;
  /** Bytes per part. Default 10 MiB; grows so that no more than 10 000 parts are needed. */
  partBytes?: number | undefined;
  /** Parts under way at once. Default 4. */
  concurrency?: number | undefined;
}

const MEBIBYTE = 1024 * 1024;
// S3's bound; the other stores allow more.
const MAX_PARTS = 10_000;

/** Bytes from which a file is uploaded in parts. */
export function multipartThreshold(options: MultipartOptions | undefined): number {
  return options?.thresholdBytes ?? 100 * MEBIBYTE;
}

/**
 * The proxy's multipart endpoints. Parts go straight to the store, with the store's own
 * permission and without this client's credentials. `path` is the place below the proxy's
 * root, for example `1/<runId>/artifacts/model.onnx`.
 */
export class MultipartUploads {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Begins an upload. */
  async create(args: { path: string; parts: number }, options?: CallOptions): Promise<MultipartUpload> {
    const body = { path: baseName(args.path), num_parts: args.parts };
    const spec = write('POST', 'artifacts.multipart.create', at('create', args.path), body, 'unsent');
    return this.#transport.json(spec, multipartUploadSchema, options);
  }

  /** Joins the parts into the file. */
  async complete(
    args: { path: string; uploadId: string | undefined; parts: readonly MultipartPart[] },
    options?: CallOptions,
  ): Promise<void> {
    const parts = args.parts.map((part) => ({
      part_number: part.partNumber,
      etag: part.etag,
      url: part.url,
    }));
    const body = { path: baseName(args.path), upload_id: args.uploadId, parts };
    // Once complete, the upload's id is gone: a repeat would report a failure that was none.
    const spec = write('POST', 'artifacts.multipart.complete', at('complete', args.path), body, 'unsent');
    return this.#transport.command(spec, options);
  }

  /** Gives an upload up and frees the parts sent so far. */
  async abort(args: { path: string; uploadId: string | undefined }, options?: CallOptions): Promise<void> {
    const body = { path: baseName(args.path), upload_id: args.uploadId };
    const spec = write('POST', 'artifacts.multipart.abort', at('abort', args.path), body, 'delete');
    return this.#transport.command(spec, options);
  }

  /** Uploads a file in parts; gives the upload up when any part fails for good. */
  async uploadFile(
    args: { path: string; file: string; size: number; multipart?: MultipartOptions | undefined },
    options?: CallOptions,
  ): Promise<void> {
    const { path, file, size } = args;
    const wanted = args.multipart?.partBytes ?? 10 * MEBIBYTE;
    const partBytes = Math.max(1, wanted, Math.ceil(size / MAX_PARTS));
    const count = Math.max(1, Math.ceil(size / partBytes));
    const upload = await this.create({ path, parts: count }, options);
    const { uploadId } = upload;
    try {
      if (upload.credentials.length !== count) {
        const message = `asked for ${count} upload parts of ${path}, the server offered ${upload.credentials.length}`;
        throw new MlflowError({ code: 'invalid-response', message });
      }
      const parts = await this.#sendParts(
        upload,
        file,
        size,
        partBytes,
        args.multipart?.concurrency ?? 4,
        options,
      );
      await this.complete({ path, uploadId, parts }, options);
    } catch (error) {
      // The caller's signal may be what ended it; tidying up must not depend on it.
      await this.abort({ path, uploadId }, { timeoutMs: options?.timeoutMs }).catch(() => undefined);
      throw error;
    }
  }

  async #sendParts(
    upload: MultipartUpload,
    file: string,
    size: number,
    partBytes: number,
    concurrency: number,
    options: CallOptions | undefined,
  ): Promise<MultipartPart[]> {
    const handle = await open(file, 'r');
    const stop = new AbortController();
    const signal =
      options?.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal]);
    const waiting = [...upload.credentials].sort((a, b) => a.partNumber - b.partNumber).entries();
    const parts: MultipartPart[] = [];
    const worker = async (): Promise<void> => {
      for (const [index, credential] of waiting) {
        const start = index * partBytes;
        const bytes = new Uint8Array(Math.min(partBytes, size - start));
        const { bytesRead } = await handle.read(bytes, 0, bytes.byteLength, start);
        if (bytesRead !== bytes.byteLength)
          throw invalidArgument(`${file} became shorter while it was uploaded`);
        parts.push(await this.#sendPart(credential, bytes, { ...options, signal }));
      }
    };
    try {
      const workers = Array.from({ length: Math.max(1, concurrency) }, worker);
      const settled = await Promise.allSettled(
        workers.map((work) =>
          work.catch((error: unknown) => {
            stop.abort();
            throw error;
          }),
        ),
      );
      const failure = firstFailure(settled);
      if (failure !== undefined) throw failure.reason;
      return parts.sort((a, b) => a.partNumber - b.partNumber);
    } finally {
      await handle.close();
    }
  }

  async #sendPart(
    credential: MultipartCredential,
    bytes: Uint8Array,
    options: CallOptions,
  ): Promise<MultipartPart> {
    const etag = await this.#transport.consume(
      {
        operation: 'artifacts.multipart.part',
        method: 'PUT',
        target: { externalUrl: credential.url },
        headers: { ...credential.headers },
        body: {
          kind: 'bytes',
          bytes,
          contentType: credential.headers['content-type'] ?? 'application/octet-stream',
        },
        repeat: 'always',
      },
      options,
      async (answer) => {
        for await (const _ of answer.chunks);
        return answer.headers.get('etag') ?? '';
      },
    );
    return { partNumber: credential.partNumber, etag, url: credential.url };
  }
}

/** The failure that came first, not the aborts it caused in the other workers. */
function firstFailure(settled: readonly PromiseSettledResult<void>[]): PromiseRejectedResult | undefined {
  const failures = settled.filter((result) => result.status === 'rejected');
  const isAbort = (error: unknown): boolean => error instanceof MlflowError && error.code === 'aborted';
  return failures.find((failure) => !isAbort(failure.reason)) ?? failures[0];
}

/** The endpoints take the directory in the URL and the file's name in the body. */
function at(step: 'create' | 'complete' | 'abort', path: string): string {
  const cut = path.lastIndexOf('/');
  if (cut <= 0) throw invalidArgument(`multipart upload needs a directory in the path, got "${path}"`);
  return `mlflow-artifacts/mpu/${step}/${encodePath(path.slice(0, cut))}`;
}

function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
