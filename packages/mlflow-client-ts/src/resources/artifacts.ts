import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { ArtifactLister, type ListArtifactsArgs } from '../artifacts/lister.ts';
import {
  type ArtifactLocation,
  type ArtifactRoot,
  checkPath,
  encodePath,
  joinPath,
} from '../artifacts/location.ts';
import { type MultipartOptions, MultipartUploads, multipartThreshold } from '../artifacts/multipart.ts';
import { ArtifactRoots } from '../artifacts/roots.ts';
import { saveAtomically } from '../artifacts/save.ts';
import { type ArtifactBody, type UploadSource, uploadSource } from '../artifacts/source.ts';
import { invalidArgument } from '../errors.ts';
import { read, write } from '../http/spec.ts';
import type { CallOptions, RequestSpec, Transport } from '../http/transport.ts';
import { encodeSegment } from '../http/url.ts';
import { type FileInfo, type PresignedUrl, presignedUrlSchema } from '../schemas/artifact.ts';
import type { Server } from './server.ts';

/** Arguments of {@link Artifacts.upload}. */
export type UploadArgs = ArtifactLocation & {
  /** Where to put it, relative to the location. */
  path: string;
  body: ArtifactBody;
  /** Bytes a stream will yield; give it when known. */
  contentLength?: number | undefined;
  /** Default `application/octet-stream`, for text `text/plain`. */
  contentType?: string | undefined;
};

/** Arguments of {@link Artifacts.uploadFile}. */
export type UploadFileArgs = ArtifactLocation & {
  path: string;
  /** Local file. */
  file: string;
  contentType?: string | undefined;
  multipart?: MultipartOptions | undefined;
};

/** Which file to read, and which way. */
export type DownloadArgs = ArtifactLocation & {
  path: string;
  /**
   * Fetch from the store itself with a presigned URL, where the server offers that.
   * Default false: through the server.
   */
  direct?: boolean | undefined;
};

/** Files of runs, logged models and the server's artifact proxy. */
export class Artifacts {
  /** The proxy's multipart endpoints, for those who want to drive them themselves. */
  readonly multipart: MultipartUploads;
  readonly #transport: Transport;
  readonly #server: Server;
  readonly #roots: ArtifactRoots;
  readonly #lister: ArtifactLister;

  constructor(transport: Transport, server: Server) {
    this.#transport = transport;
    this.#server = server;
    this.#roots = new ArtifactRoots(transport);
    this.#lister = new ArtifactLister(transport);
    this.multipart = new MultipartUploads(transport);
  }

  /**
   * Uploads bytes, text or a stream. A stream is sent as it comes, without being held in
   * memory, and is not repeated after a failure.
   *
   * @example
   * ```ts
   * await client.artifacts.upload({ runId, path: 'report.json', body: JSON.stringify(report) });
   * ```
   */
  async upload(args: UploadArgs, options?: CallOptions): Promise<void> {
    const source = uploadSource(args.body, args.contentLength, args.contentType);
    const root = await this.#roots.of(args, options);
    return this.#put(args, root, source, options);
  }

  /**
   * Uploads a local file: in one piece, or in parts when it is large and the server's
   * store offers that. Repeated after a failure, reading the file anew.
   */
  async uploadFile(args: UploadFileArgs, options?: CallOptions): Promise<void> {
    const { size } = await stat(args.file);
    const root = await this.#roots.of(args, options);
    if (root.kind === 'proxy' && size >= multipartThreshold(args.multipart) && size > 0) {
      const path = joinPath(root.path, checkPath(args.path));
      const { multipartUploadsEnabled } = await this.#server.info(options);
      // The endpoints want a directory in the path, which a file at the very root has not.
      if (multipartUploadsEnabled && path.includes('/')) {
        return this.multipart.uploadFile({ path, file: args.file, size, multipart: args.multipart }, options);
      }
    }
    const contentType = args.contentType ?? 'application/octet-stream';
    // A file that grows meanwhile is cut at the announced size.
    const open = (): AsyncIterable<Uint8Array> =>
      size === 0 ? Readable.from([]) : createReadStream(args.file, { start: 0, end: size - 1 });
    const body = { kind: 'stream', open, length: size, contentType } as const;
    return this.#put(args, root, { body, repeat: 'always' }, options);
  }

  /**
   * Opens a file for reading. Once the stream is handed over, a broken connection ends it
   * with an `MlflowError`; use {@link Artifacts.downloadToFile} to have that repeated.
   *
   * @throws MlflowError with `isNotFound` when there is no such file.
   */
  async download(args: DownloadArgs, options?: CallOptions): Promise<Readable> {
    const answer = await this.#transport.open(await this.#downloadSpec(args, options), options);
    return Readable.from(answer.chunks, { objectMode: false });
  }

  /** Reads a whole file into memory. */
  async downloadBytes(args: DownloadArgs, options?: CallOptions): Promise<Uint8Array> {
    const spec = await this.#downloadSpec(args, options);
    return this.#transport.consume(spec, options ?? {}, async (answer) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of answer.chunks) chunks.push(chunk);
      return Buffer.concat(chunks);
    });
  }

  /**
   * Downloads into a local file, creating its directories. The file appears complete or
   * not at all; broken downloads are repeated.
   *
   * @returns bytes written.
   */
  async downloadToFile(args: DownloadArgs & { file: string }, options?: CallOptions): Promise<number> {
    const spec = await this.#downloadSpec(args, options);
    return saveAtomically(args.file, (write) => this.#transport.consume(spec, options ?? {}, write));
  }

  /**
   * Lists a directory, paths relative to the location. A directory that does not exist
   * is empty.
   *
   * @example
   * ```ts
   * for await (const file of client.artifacts.list({ runId, recursive: true })) console.log(file.path);
   * ```
   */
  list(args: ListArtifactsArgs, options?: CallOptions): AsyncGenerator<FileInfo, void, undefined> {
    return this.#lister.list(args, options);
  }

  /** Deletes a file or a whole directory through the proxy; what is not there is no error. */
  async delete(args: ArtifactLocation & { path: string }, options?: CallOptions): Promise<void> {
    const root = await this.#roots.of(args, options);
    if (root.kind !== 'proxy') throw notProxied('delete', root.scheme);
    const path = encodePath(joinPath(root.path, checkPath(args.path)));
    const target = { path: `/api/2.0/mlflow-artifacts/artifacts/${path}` };
    return this.#transport.command(
      { operation: 'artifacts.delete', method: 'DELETE', target, repeat: 'always' },
      options,
    );
  }

  /** Asks the artifact proxy for a URL to read a file straight from the store. */
  async presignProxiedDownload(
    args: ArtifactLocation & { path: string },
    options?: CallOptions,
  ): Promise<PresignedUrl> {
    const root = await this.#roots.of(args, options);
    if (root.kind !== 'proxy') throw notProxied('presignProxiedDownload', root.scheme);
    const path = encodePath(joinPath(root.path, checkPath(args.path)));
    const spec = read('artifacts.presignProxiedDownload', `mlflow-artifacts/presigned/${path}`);
    return this.#transport.json(spec, presignedUrlSchema, options);
  }

  /**
   * Asks for a URL to read a run's file straight from the store; for runs whose artifacts
   * are not behind the proxy.
   *
   * @param args `expiresInSeconds` 1 to 604 800; default: the server's.
   */
  async presignDownload(
    args: { runId: string; path: string; expiresInSeconds?: number | undefined },
    options?: CallOptions,
  ): Promise<PresignedUrl> {
    const body = { run_id: args.runId, path: checkPath(args.path), expiration: args.expiresInSeconds };
    const spec = write('POST', 'artifacts.presignDownload', 'mlflow/artifacts/presigned-download-url', body);
    return this.#transport.json(spec, presignedUrlSchema, options);
  }

  /**
   * Asks for a URL to write a run's or logged model's file straight to the store; for
   * artifacts that are not behind the proxy.
   *
   * @param args `expiresInSeconds` defaults to 900.
   */
  async presignUpload(
    args: {
      runId?: string | undefined;
      modelId?: string | undefined;
      path: string;
      expiresInSeconds?: number | undefined;
    },
    options?: CallOptions,
  ): Promise<PresignedUrl> {
    const { runId, modelId, expiresInSeconds } = args;
    if ((runId === undefined) === (modelId === undefined)) {
      throw invalidArgument('presignUpload takes either runId or modelId');
    }
    const body = {
      run_id: runId,
      model_id: modelId,
      path: checkPath(args.path),
      expiration: expiresInSeconds,
    };
    const spec = write('POST', 'artifacts.presignUpload', 'mlflow/artifacts/presigned-upload-url', body);
    return this.#transport.json(spec, presignedUrlSchema, options);
  }

  async #put(
    args: ArtifactLocation & { path: string },
    root: ArtifactRoot,
    { body, repeat }: UploadSource,
    options: CallOptions | undefined,
  ): Promise<void> {
    const path = checkPath(args.path);
    const base = { operation: 'artifacts.upload', method: 'PUT', body, repeat } as const;
    if (root.kind === 'proxy') {
      const target = { path: `/api/2.0/mlflow-artifacts/artifacts/${encodePath(joinPath(root.path, path))}` };
      return this.#transport.command({ ...base, target }, options);
    }
    if (args.uri !== undefined) throw notProxied('upload', root.scheme);
    const { url, headers } = await this.presignUpload(
      { runId: args.runId, modelId: args.modelId, path },
      options,
    );
    return this.#transport.command(
      { ...base, target: { externalUrl: url }, headers: { ...headers } },
      options,
    );
  }

  async #downloadSpec(args: DownloadArgs, options: CallOptions | undefined): Promise<RequestSpec> {
    const path = checkPath(args.path);
    const root = await this.#roots.of(args, options);
    const spec = { ...read('artifacts.download', ''), query: {} };
    if (args.direct === true) {
      const { url, headers } = await this.#presign(args, root, options);
      return { ...spec, target: { externalUrl: url }, headers: { ...headers } };
    }
    if (root.kind === 'proxy') {
      const at = encodePath(joinPath(root.path, path));
      return { ...spec, target: { path: `/api/2.0/mlflow-artifacts/artifacts/${at}` } };
    }
    // The server reads its own store for us; these routes are the ones its web page uses.
    if (args.runId !== undefined) {
      return { ...spec, target: { path: '/get-artifact' }, query: { run_id: args.runId, path } };
    }
    if (args.modelId !== undefined) {
      const target = {
        path: `/ajax-api/2.0/mlflow/logged-models/${encodeSegment(args.modelId)}/artifacts/files`,
      };
      return { ...spec, target, query: { artifact_file_path: path } };
    }
    throw notProxied('download', root.scheme);
  }

  #presign(args: DownloadArgs, root: ArtifactRoot, options: CallOptions | undefined): Promise<PresignedUrl> {
    if (root.kind === 'proxy') return this.presignProxiedDownload(args, options);
    if (args.runId !== undefined)
      return this.presignDownload({ runId: args.runId, path: args.path }, options);
    throw notProxied('download (direct)', root.scheme);
  }
}

function notProxied(what: string, scheme: string): Error {
  return invalidArgument(
    `artifacts.${what} needs an artifact location behind the server's proxy (mlflow-artifacts:), this one is "${scheme}:"`,
  );
}
