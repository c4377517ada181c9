import { z } from 'zod';
import { MlflowError } from '../errors.ts';
import { type PagingArgs, paginate } from '../http/paging.ts';
import { read, write } from '../http/spec.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { assertAlias, assertNotEmpty, assertPair, assertPairs, LIMITS } from '../limits.ts';
import {
  type ModelStage,
  type ModelVersion,
  modelVersionSchema,
  type RegisteredModel,
  registeredModelSchema,
} from '../schemas/registry.ts';
import { page, toPairs, wrapped } from '../schemas/wire.ts';

/** Arguments of {@link RegisteredModels.search}. */
export interface SearchRegisteredModelsArgs extends PagingArgs {
  /** For example `name LIKE 'churn%' AND tags.team = 'growth'`. */
  filter?: string | undefined;
  /** For example `['last_updated_timestamp DESC']`. */
  orderBy?: readonly string[] | undefined;
}

const model = wrapped('registered_model', registeredModelSchema);
const modelPage = page('registered_models', registeredModelSchema);
const version = wrapped('model_version', modelVersionSchema);
const versions = z
  .object({ model_versions: z.array(modelVersionSchema).default([]) })
  .transform((wire) => wire.model_versions);

/** Registered models, their tags and their aliases. */
export class RegisteredModels {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Creates a registered model.
   *
   * @throws MlflowError with `isAlreadyExists` when the name is taken.
   * @example
   * ```ts
   * await client.registeredModels.create({ name: 'churn', description: 'Leaves within 30 days' });
   * ```
   */
  async create(
    args: {
      name: string;
      description?: string | undefined;
      tags?: Readonly<Record<string, string>> | undefined;
    },
    options?: CallOptions,
  ): Promise<RegisteredModel> {
    assertNotEmpty('registered model name', args.name);
    assertPairs('registered model tag', args.tags, LIMITS.registryTagKey, LIMITS.registryTagValue);
    const body = { name: args.name, description: args.description, tags: toPairs(args.tags) };
    const spec = write('POST', 'registeredModels.create', 'mlflow/registered-models/create', body, 'unsent');
    return this.#transport.json(spec, model, options);
  }

  /** Finds a registered model or creates it; safe when several processes do so at once. */
  async getOrCreate(
    args: {
      name: string;
      description?: string | undefined;
      tags?: Readonly<Record<string, string>> | undefined;
    },
    options?: CallOptions,
  ): Promise<RegisteredModel> {
    try {
      return await this.get({ name: args.name }, options);
    } catch (error) {
      if (!(error instanceof MlflowError) || !error.isNotFound) throw error;
    }
    try {
      return await this.create(args, options);
    } catch (error) {
      if (error instanceof MlflowError && error.isAlreadyExists)
        return this.get({ name: args.name }, options);
      throw error;
    }
  }

  /** Reads a registered model. */
  async get(args: { name: string }, options?: CallOptions): Promise<RegisteredModel> {
    const spec = read('registeredModels.get', 'mlflow/registered-models/get', { name: args.name });
    return this.#transport.json(spec, model, options);
  }

  /** Changes the description. */
  async update(args: { name: string; description: string }, options?: CallOptions): Promise<RegisteredModel> {
    const body = { name: args.name, description: args.description };
    const spec = write('PATCH', 'registeredModels.update', 'mlflow/registered-models/update', body);
    return this.#transport.json(spec, model, options);
  }

  /** Renames; not repeated after an ambiguous failure, as the old name would be gone. */
  async rename(args: { name: string; newName: string }, options?: CallOptions): Promise<RegisteredModel> {
    assertNotEmpty('registered model name', args.newName);
    const body = { name: args.name, new_name: args.newName };
    const spec = write('POST', 'registeredModels.rename', 'mlflow/registered-models/rename', body, 'unsent');
    return this.#transport.json(spec, model, options);
  }

  /** Deletes a registered model with all its versions. There is no bin to take it from again. */
  async delete(args: { name: string }, options?: CallOptions): Promise<void> {
    const spec = write('DELETE', 'registeredModels.delete', 'mlflow/registered-models/delete', {
      name: args.name,
    });
    return this.#transport.command(spec, options);
  }

  /**
   * Searches registered models, fetching page by page.
   *
   * @example
   * ```ts
   * for await (const model of client.registeredModels.search({ orderBy: ['name ASC'] })) {
   *   console.log(model.name, model.aliases);
   * }
   * ```
   */
  search(
    args: SearchRegisteredModelsArgs = {},
    options?: CallOptions,
  ): AsyncGenerator<RegisteredModel, void, undefined> {
    return paginate((token) => {
      const query = {
        filter: args.filter,
        order_by: args.orderBy,
        max_results: args.pageSize ?? 100,
        page_token: token,
      };
      const spec = read('registeredModels.search', 'mlflow/registered-models/search', query);
      return this.#transport.json(spec, modelPage, options);
    }, args.limit);
  }

  /**
   * Latest version per stage.
   *
   * @deprecated by MLflow together with stages; use aliases.
   */
  async getLatestVersions(
    args: { name: string; stages?: readonly ModelStage[] | undefined },
    options?: CallOptions,
  ): Promise<ModelVersion[]> {
    const body = { name: args.name, stages: args.stages };
    const path = 'mlflow/registered-models/get-latest-versions';
    return this.#transport.json(
      write('POST', 'registeredModels.getLatestVersions', path, body),
      versions,
      options,
    );
  }

  /** Sets one tag, replacing its value. */
  async setTag(args: { name: string; key: string; value: string }, options?: CallOptions): Promise<void> {
    assertPair('registered model tag', args.key, args.value, LIMITS.registryTagKey, LIMITS.registryTagValue);
    const body = { name: args.name, key: args.key, value: args.value };
    const spec = write('POST', 'registeredModels.setTag', 'mlflow/registered-models/set-tag', body);
    return this.#transport.command(spec, options);
  }

  /** Removes one tag. */
  async deleteTag(args: { name: string; key: string }, options?: CallOptions): Promise<void> {
    const body = { name: args.name, key: args.key };
    const spec = write('DELETE', 'registeredModels.deleteTag', 'mlflow/registered-models/delete-tag', body);
    return this.#transport.command(spec, options);
  }

  /**
   * Points an alias at a version, taking it from the version it pointed at before.
   *
   * @throws MlflowError (`invalid-argument`) for `latest` and `v1`, `v2`, …, which MLflow reserves.
   */
  async setAlias(
    args: { name: string; alias: string; version: string },
    options?: CallOptions,
  ): Promise<void> {
    assertAlias(args.alias);
    const body = { name: args.name, alias: args.alias, version: args.version };
    const spec = write('POST', 'registeredModels.setAlias', 'mlflow/registered-models/alias', body);
    return this.#transport.command(spec, options);
  }

  /** Removes an alias; one that does not exist is no error. */
  async deleteAlias(args: { name: string; alias: string }, options?: CallOptions): Promise<void> {
    const body = { name: args.name, alias: args.alias };
    const spec = write('DELETE', 'registeredModels.deleteAlias', 'mlflow/registered-models/alias', body);
    return this.#transport.command(spec, options);
  }

  /**
   * Reads the version an alias points at. This is the way to read an alias: search
   * results do not carry it reliably.
   *
   * @throws MlflowError with `isNotFound` when the model or the alias does not exist.
   * @example
   * ```ts
   * const champion = await client.registeredModels.getByAlias({ name: 'churn', alias: 'champion' });
   * ```
   */
  async getByAlias(args: { name: string; alias: string }, options?: CallOptions): Promise<ModelVersion> {
    const query = { name: args.name, alias: args.alias };
    const spec = read('registeredModels.getByAlias', 'mlflow/registered-models/alias', query);
    try {
      return await this.#transport.json(spec, version, options);
    } catch (error) {
      throw error instanceof MlflowError ? asMissingAlias(error) : error;
    }
  }
}

/** MLflow answers a missing alias with 400 INVALID_PARAMETER_VALUE; only its words tell. */
function asMissingAlias(error: MlflowError): MlflowError {
  const missing = error.errorCode === 'INVALID_PARAMETER_VALUE' && /alias .*not found/i.test(error.message);
  if (!missing) return error;
  return new MlflowError({
    code: error.code,
    message: error.message,
    status: error.status,
    errorCode: error.errorCode,
    notFound: true,
    cause: error,
  });
}
