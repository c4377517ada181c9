import { z } from 'zod';
import { type PagingArgs, paginate } from '../http/paging.ts';
import { read, write } from '../http/spec.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { assertNotEmpty, assertPair, assertPairs, LIMITS } from '../limits.ts';
import { type ModelStage, type ModelVersion, modelVersionSchema } from '../schemas/registry.ts';
import { page, toPairs, wrapped } from '../schemas/wire.ts';

/** Arguments of {@link ModelVersions.create}. */
export interface CreateModelVersionArgs {
  /** Registered model; must exist. */
  name: string;
  /**
   * Where the files are: `runs:/<run>/<path>`, `models:/<modelId>`, or an artifact URI. The
   * server refuses a source that does not belong to `runId` or `modelId`.
   */
  source: string;
  runId?: string | undefined;
  /** Logged model behind the version. */
  modelId?: string | undefined;
  /** Link to a run on another server. */
  runLink?: string | undefined;
  description?: string | undefined;
  tags?: Readonly<Record<string, string>> | undefined;
}

/** Arguments of {@link ModelVersions.search}. */
export interface SearchModelVersionsArgs extends PagingArgs {
  /** For example `name = 'churn' AND tags.stage = 'candidate'`. */
  filter?: string | undefined;
  /** For example `['version_number DESC']`. */
  orderBy?: readonly string[] | undefined;
}

const version = wrapped('model_version', modelVersionSchema);
const versionPage = page('model_versions', modelVersionSchema);
const downloadUri = z.object({ artifact_uri: z.string() }).transform((wire) => wire.artifact_uri);

/** Versions of registered models. Aliases are under `client.registeredModels`. */
export class ModelVersions {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Creates the next version of a registered model. Two calls make two versions, so a
   * failure that leaves the outcome open is never repeated; look for the version (for
   * example by a tag of your own) before trying again.
   *
   * @example
   * ```ts
   * const version = await client.modelVersions.create({
   *   name: 'churn',
   *   source: `runs:/${runId}/model`,
   *   runId,
   *   tags: { request: '7f3c' },
   * });
   * ```
   */
  async create(args: CreateModelVersionArgs, options?: CallOptions): Promise<ModelVersion> {
    assertNotEmpty('registered model name', args.name);
    assertNotEmpty('source', args.source);
    assertPairs('model version tag', args.tags, LIMITS.registryTagKey, LIMITS.registryTagValue);
    const body = {
      name: args.name,
      source: args.source,
      run_id: args.runId,
      model_id: args.modelId,
      run_link: args.runLink,
      description: args.description,
      tags: toPairs(args.tags),
    };
    const spec = write('POST', 'modelVersions.create', 'mlflow/model-versions/create', body, 'unsent');
    return this.#transport.json(spec, version, options);
  }

  /** Reads one version, its aliases included. */
  async get(args: { name: string; version: string }, options?: CallOptions): Promise<ModelVersion> {
    const query = { name: args.name, version: args.version };
    return this.#transport.json(
      read('modelVersions.get', 'mlflow/model-versions/get', query),
      version,
      options,
    );
  }

  /** Changes the description. */
  async update(
    args: { name: string; version: string; description: string },
    options?: CallOptions,
  ): Promise<ModelVersion> {
    const body = { name: args.name, version: args.version, description: args.description };
    const spec = write('PATCH', 'modelVersions.update', 'mlflow/model-versions/update', body);
    return this.#transport.json(spec, version, options);
  }

  /** Deletes one version; its number is not given again. */
  async delete(args: { name: string; version: string }, options?: CallOptions): Promise<void> {
    const body = { name: args.name, version: args.version };
    const spec = write('DELETE', 'modelVersions.delete', 'mlflow/model-versions/delete', body);
    return this.#transport.command(spec, options);
  }

  /**
   * Searches versions, fetching page by page. The results' `aliases` are not reliable; ask
   * `client.registeredModels.getByAlias`.
   *
   * @example
   * ```ts
   * const [latest] = await collect(
   *   client.modelVersions.search({ filter: "name = 'churn'", orderBy: ['version_number DESC'], limit: 1 }),
   * );
   * ```
   */
  search(
    args: SearchModelVersionsArgs = {},
    options?: CallOptions,
  ): AsyncGenerator<ModelVersion, void, undefined> {
    return paginate((token) => {
      const query = {
        filter: args.filter,
        order_by: args.orderBy,
        max_results: args.pageSize ?? 200,
        page_token: token,
      };
      const spec = read('modelVersions.search', 'mlflow/model-versions/search', query);
      return this.#transport.json(spec, versionPage, options);
    }, args.limit);
  }

  /** URI of the version's files in their store. */
  async getDownloadUri(args: { name: string; version: string }, options?: CallOptions): Promise<string> {
    const query = { name: args.name, version: args.version };
    const spec = read('modelVersions.getDownloadUri', 'mlflow/model-versions/get-download-uri', query);
    return this.#transport.json(spec, downloadUri, options);
  }

  /**
   * Moves a version to a stage.
   *
   * @param args `archiveExisting` sends the versions now in that stage to `Archived`. Default false.
   * @deprecated by MLflow together with stages; use aliases.
   */
  async transitionStage(
    args: { name: string; version: string; stage: ModelStage; archiveExisting?: boolean | undefined },
    options?: CallOptions,
  ): Promise<ModelVersion> {
    const body = {
      name: args.name,
      version: args.version,
      stage: args.stage,
      archive_existing_versions: args.archiveExisting ?? false,
    };
    const spec = write(
      'POST',
      'modelVersions.transitionStage',
      'mlflow/model-versions/transition-stage',
      body,
    );
    return this.#transport.json(spec, version, options);
  }

  /** Sets one tag, replacing its value. */
  async setTag(
    args: { name: string; version: string; key: string; value: string },
    options?: CallOptions,
  ): Promise<void> {
    assertPair('model version tag', args.key, args.value, LIMITS.registryTagKey, LIMITS.registryTagValue);
    const body = { name: args.name, version: args.version, key: args.key, value: args.value };
    const spec = write('POST', 'modelVersions.setTag', 'mlflow/model-versions/set-tag', body);
    return this.#transport.command(spec, options);
  }

  /** Removes one tag. */
  async deleteTag(
    args: { name: string; version: string; key: string },
    options?: CallOptions,
  ): Promise<void> {
    const body = { name: args.name, version: args.version, key: args.key };
    const spec = write('DELETE', 'modelVersions.deleteTag', 'mlflow/model-versions/delete-tag', body);
    return this.#transport.command(spec, options);
  }
}
