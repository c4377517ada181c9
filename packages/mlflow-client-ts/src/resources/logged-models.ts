import { invalidArgument } from '../errors.ts';
import { type PagingArgs, paginate } from '../http/paging.ts';
import { read, write } from '../http/spec.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { encodeSegment } from '../http/url.ts';
import { assertPairs, LIMITS } from '../limits.ts';
import {
  type LoggedModel,
  type LoggedModelStatus,
  loggedModelSchema,
  STATUS_TO_WIRE,
} from '../schemas/logged-model.ts';
import { page, toPairs, wrapped } from '../schemas/wire.ts';

/** Arguments of {@link LoggedModels.create}. */
export interface CreateLoggedModelArgs {
  experimentId: string;
  /** Default: a name the server invents. */
  name?: string | undefined;
  /** For example `sklearn`; free text. */
  modelType?: string | undefined;
  /** Run that produces it. */
  sourceRunId?: string | undefined;
  params?: Readonly<Record<string, string>> | undefined;
  tags?: Readonly<Record<string, string>> | undefined;
}

/** One key of {@link SearchLoggedModelsArgs.orderBy}. */
export interface LoggedModelOrder {
  /** For example `metrics.auc` or `creation_timestamp`. */
  field: string;
  /** Default true. */
  ascending?: boolean | undefined;
  /** Only for metrics: the dataset the metric was measured on. */
  datasetName?: string | undefined;
  datasetDigest?: string | undefined;
}

/** Arguments of {@link LoggedModels.search}. */
export interface SearchLoggedModelsArgs extends PagingArgs {
  /** At least one. */
  experimentIds: readonly string[];
  /** For example `metrics.auc > 0.9 AND params.depth = '6'`. */
  filter?: string | undefined;
  /** Metric conditions count only values measured on one of these. */
  datasets?: readonly { name: string; digest?: string | undefined }[] | undefined;
  orderBy?: readonly LoggedModelOrder[] | undefined;
}

const model = wrapped('model', loggedModelSchema);
const modelPage = page('models', loggedModelSchema);

/** Logged models (MLflow 3). Their files are under `client.artifacts` with `modelId`. */
export class LoggedModels {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Creates a logged model in state `PENDING`.
   *
   * @example
   * ```ts
   * const model = await client.loggedModels.create({ experimentId, name: 'churn', sourceRunId: runId });
   * await client.artifacts.uploadFile({ modelId: model.modelId, path: 'model.onnx', file: 'out/model.onnx' });
   * await client.loggedModels.finalize({ modelId: model.modelId, status: 'READY' });
   * ```
   */
  async create(args: CreateLoggedModelArgs, options?: CallOptions): Promise<LoggedModel> {
    assertPairs('logged model param', args.params, LIMITS.entityKey, LIMITS.paramValue);
    assertPairs('logged model tag', args.tags, LIMITS.entityKey, LIMITS.tagValue);
    const body = {
      experiment_id: args.experimentId,
      name: args.name,
      model_type: args.modelType,
      source_run_id: args.sourceRunId,
      params: toPairs(args.params),
      tags: toPairs(args.tags),
    };
    const spec = write('POST', 'loggedModels.create', 'mlflow/logged-models', body, 'unsent');
    return this.#transport.json(spec, model, options);
  }

  /** Reads a logged model. */
  async get(args: { modelId: string }, options?: CallOptions): Promise<LoggedModel> {
    return this.#transport.json(read('loggedModels.get', path(args.modelId)), model, options);
  }

  /** Says that its files are in place, or that they never will be. */
  async finalize(
    args: { modelId: string; status: Extract<LoggedModelStatus, 'READY' | 'UPLOAD_FAILED'> },
    options?: CallOptions,
  ): Promise<LoggedModel> {
    const body = { model_id: args.modelId, status: STATUS_TO_WIRE[args.status] };
    return this.#transport.json(
      write('PATCH', 'loggedModels.finalize', path(args.modelId), body),
      model,
      options,
    );
  }

  /** Deletes a logged model. */
  async delete(args: { modelId: string }, options?: CallOptions): Promise<void> {
    return this.#transport.command(write('DELETE', 'loggedModels.delete', path(args.modelId), {}), options);
  }

  /** Searches logged models, fetching page by page. */
  search(args: SearchLoggedModelsArgs, options?: CallOptions): AsyncGenerator<LoggedModel, void, undefined> {
    return paginate((token) => {
      const body = {
        experiment_ids: args.experimentIds,
        filter: args.filter,
        datasets: args.datasets?.map((dataset) => ({
          dataset_name: dataset.name,
          dataset_digest: dataset.digest,
        })),
        order_by: args.orderBy?.map((order) => ({
          field_name: order.field,
          ascending: order.ascending ?? true,
          dataset_name: order.datasetName,
          dataset_digest: order.datasetDigest,
        })),
        max_results: args.pageSize ?? 50,
        page_token: token,
      };
      const spec = write('POST', 'loggedModels.search', 'mlflow/logged-models/search', body);
      return this.#transport.json(spec, modelPage, options);
    }, args.limit);
  }

  /** Sets tags, replacing those of the same keys. */
  async setTags(
    args: { modelId: string; tags: Readonly<Record<string, string>> },
    options?: CallOptions,
  ): Promise<void> {
    assertPairs('logged model tag', args.tags, LIMITS.entityKey, LIMITS.tagValue);
    const body = { model_id: args.modelId, tags: toPairs(args.tags) };
    const spec = write('PATCH', 'loggedModels.setTags', `${path(args.modelId)}/tags`, body);
    // The protos promise the model as the answer; the open-source server sends an empty one.
    return this.#transport.command(spec, options);
  }

  /** Removes one tag. */
  async deleteTag(args: { modelId: string; key: string }, options?: CallOptions): Promise<void> {
    const at = `${path(args.modelId)}/tags/${encodeSegment(args.key)}`;
    return this.#transport.command(write('DELETE', 'loggedModels.deleteTag', at, {}), options);
  }

  /** Adds params. A key is written once, as with runs. */
  async logParams(
    args: { modelId: string; params: Readonly<Record<string, string>> },
    options?: CallOptions,
  ): Promise<void> {
    if (Object.keys(args.params).length === 0) throw invalidArgument('logParams needs at least one param');
    assertPairs('logged model param', args.params, LIMITS.entityKey, LIMITS.paramValue);
    const body = { model_id: args.modelId, params: toPairs(args.params) };
    const spec = write('POST', 'loggedModels.logParams', `${path(args.modelId)}/params`, body);
    return this.#transport.command(spec, options);
  }
}

function path(modelId: string): string {
  return `mlflow/logged-models/${encodeSegment(modelId)}`;
}
