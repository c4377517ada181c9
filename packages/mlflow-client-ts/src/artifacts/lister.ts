import { invalidArgument } from '../errors.ts';
import { type Page, paginate } from '../http/paging.ts';
import { read } from '../http/spec.ts';
import type { CallOptions, RequestSpec, Transport } from '../http/transport.ts';
import { encodeSegment } from '../http/url.ts';
import { type FileInfo, fileInfoSchema } from '../schemas/artifact.ts';
import { page } from '../schemas/wire.ts';
import { type ArtifactLocation, checkPath, joinPath, parseArtifactUri } from './location.ts';

/** Arguments of `client.artifacts.list`. */
export type ListArtifactsArgs = ArtifactLocation & {
  /** Directory, relative to the location. Default: the location itself. */
  path?: string | undefined;
  /** Descend into directories, each listed before what is in it. Default false. */
  recursive?: boolean | undefined;
};

const filePage = page('files', fileInfoSchema);

/** Lists artifact directories. */
export class ArtifactLister {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Files and directories under `args.path`. */
  async *list(args: ListArtifactsArgs, options?: CallOptions): AsyncGenerator<FileInfo, void, undefined> {
    const path = args.path === undefined || args.path === '' ? undefined : checkPath(args.path);
    for await (const file of paginate((token) => this.#page(args, path, token, options))) {
      yield file;
      if (file.isDir && args.recursive === true) yield* this.list({ ...args, path: file.path }, options);
    }
  }

  async #page(
    args: ListArtifactsArgs,
    path: string | undefined,
    token: string | undefined,
    options: CallOptions | undefined,
  ): Promise<Page<FileInfo>> {
    const answer = await this.#transport.json(this.#spec(args, path, token), filePage, options);
    if (args.uri === undefined) return answer;
    // The proxy answers bare names; every listing here is relative to its location.
    return {
      ...answer,
      items: answer.items.map((file) => ({ ...file, path: joinPath(path ?? '', file.path) })),
    };
  }

  #spec(args: ListArtifactsArgs, path: string | undefined, token: string | undefined): RequestSpec {
    if (args.runId !== undefined) {
      const query = { run_id: args.runId, path, page_token: token };
      return read('artifacts.list', 'mlflow/artifacts/list', query);
    }
    if (args.modelId !== undefined) {
      const at = `mlflow/logged-models/${encodeSegment(args.modelId)}/artifacts/directories`;
      return read('artifacts.list', at, { artifact_directory_path: path, page_token: token });
    }
    const root = parseArtifactUri(args.uri, this.#transport.config.base);
    if (root.kind !== 'proxy') {
      throw invalidArgument(`artifacts.list takes a mlflow-artifacts: URI, got "${root.scheme}:"`);
    }
    const at = joinPath(root.path, path);
    return read('artifacts.list', 'mlflow-artifacts/artifacts', { path: at === '' ? undefined : at });
  }
}
