import { z } from 'zod';
import { invalidArgument, MlflowError } from '../errors.ts';
import { type PagingArgs, paginate } from '../http/paging.ts';
import { read, write } from '../http/spec.ts';
import type { CallOptions, Transport } from '../http/transport.ts';
import { assertLength, assertNotEmpty, assertPair, assertPairs, LIMITS } from '../limits.ts';
import {
  type DatasetSummary,
  datasetSummarySchema,
  type Experiment,
  experimentSchema,
  type ViewType,
} from '../schemas/experiment.ts';
import { page, toPairs, wrapped } from '../schemas/wire.ts';

/** Arguments of {@link Experiments.search}. */
export interface SearchExperimentsArgs extends PagingArgs {
  /** For example `name LIKE 'churn%' AND tags.team = 'growth'`. */
  filter?: string | undefined;
  /** For example `['last_update_time DESC']`. */
  orderBy?: readonly string[] | undefined;
  /** Default `ACTIVE_ONLY`. */
  viewType?: ViewType | undefined;
}

const experiment = wrapped('experiment', experimentSchema);
const experimentPage = page('experiments', experimentSchema);
const created = z.object({ experiment_id: z.string() }).transform((wire) => wire.experiment_id);
const summaries = z
  .object({ dataset_summaries: z.array(datasetSummarySchema).default([]) })
  .transform((wire) => wire.dataset_summaries);

/** Experiments and their tags. */
export class Experiments {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /**
   * Creates an experiment.
   *
   * @returns its identifier.
   * @throws MlflowError with `isAlreadyExists` when the name is taken, deleted experiments included.
   * @example
   * ```ts
   * const experimentId = await client.experiments.create({ name: 'churn', tags: { team: 'growth' } });
   * ```
   */
  async create(
    args: {
      name: string;
      artifactLocation?: string | undefined;
      tags?: Readonly<Record<string, string>> | undefined;
    },
    options?: CallOptions,
  ): Promise<string> {
    assertNotEmpty('experiment name', args.name);
    assertLength('experiment name', args.name, LIMITS.experimentName);
    assertPairs('experiment tag', args.tags, LIMITS.experimentTagKey, LIMITS.experimentTagValue);
    const body = { name: args.name, artifact_location: args.artifactLocation, tags: toPairs(args.tags) };
    const spec = write('POST', 'experiments.create', 'mlflow/experiments/create', body, 'unsent');
    return this.#transport.json(spec, created, options);
  }

  /**
   * Finds an experiment by name or creates it; safe when several processes do so at once.
   *
   * @returns its identifier.
   * @throws MlflowError with `isAlreadyExists` when the name belongs to a deleted experiment.
   */
  async getOrCreate(
    args: {
      name: string;
      artifactLocation?: string | undefined;
      tags?: Readonly<Record<string, string>> | undefined;
    },
    options?: CallOptions,
  ): Promise<string> {
    const found = await this.#findActive(args.name, options);
    if (found !== undefined) return found;
    try {
      return await this.create(args, options);
    } catch (error) {
      if (!(error instanceof MlflowError) || !error.isAlreadyExists) throw error;
      // Somebody else was faster, or the name lies in the bin.
      const now = await this.#findActive(args.name, options);
      if (now === undefined) throw error;
      return now;
    }
  }

  /** Reads an experiment by identifier; deleted ones are found as well. */
  async get(args: { experimentId: string }, options?: CallOptions): Promise<Experiment> {
    const query = { experiment_id: args.experimentId };
    return this.#transport.json(
      read('experiments.get', 'mlflow/experiments/get', query),
      experiment,
      options,
    );
  }

  /**
   * Reads an experiment by name; a deleted one is found when no active one has the name.
   *
   * @throws MlflowError with `isNotFound` when there is none.
   */
  async getByName(args: { name: string }, options?: CallOptions): Promise<Experiment> {
    const query = { experiment_name: args.name };
    const spec = read('experiments.getByName', 'mlflow/experiments/get-by-name', query);
    return this.#transport.json(spec, experiment, options);
  }

  /**
   * Searches experiments, fetching page by page.
   *
   * @example
   * ```ts
   * for await (const experiment of client.experiments.search({ filter: "name LIKE 'churn%'" })) {
   *   console.log(experiment.name);
   * }
   * ```
   */
  search(
    args: SearchExperimentsArgs = {},
    options?: CallOptions,
  ): AsyncGenerator<Experiment, void, undefined> {
    return paginate((token) => {
      const body = {
        filter: args.filter,
        order_by: args.orderBy,
        view_type: args.viewType ?? 'ACTIVE_ONLY',
        max_results: args.pageSize ?? 200,
        page_token: token,
      };
      const spec = write('POST', 'experiments.search', 'mlflow/experiments/search', body);
      return this.#transport.json(spec, experimentPage, options);
    }, args.limit);
  }

  /** Renames an experiment. */
  async rename(args: { experimentId: string; newName: string }, options?: CallOptions): Promise<void> {
    assertNotEmpty('experiment name', args.newName);
    assertLength('experiment name', args.newName, LIMITS.experimentName);
    const body = { experiment_id: args.experimentId, new_name: args.newName };
    return this.#transport.command(
      write('POST', 'experiments.rename', 'mlflow/experiments/update', body),
      options,
    );
  }

  /** Moves an experiment and its runs to the bin. */
  async delete(args: { experimentId: string }, options?: CallOptions): Promise<void> {
    const body = { experiment_id: args.experimentId };
    const spec = write('POST', 'experiments.delete', 'mlflow/experiments/delete', body, 'delete');
    return this.#transport.command(spec, options);
  }

  /** Takes an experiment out of the bin. MLflow answers "not found" when it is not in there. */
  async restore(args: { experimentId: string }, options?: CallOptions): Promise<void> {
    const body = { experiment_id: args.experimentId };
    // A repeat after a lost success also answers "not found": the same rule as for deletes.
    const spec = write('POST', 'experiments.restore', 'mlflow/experiments/restore', body, 'delete');
    return this.#transport.command(spec, options);
  }

  /** Sets one tag, replacing its value. */
  async setTag(
    args: { experimentId: string; key: string; value: string },
    options?: CallOptions,
  ): Promise<void> {
    assertPair('experiment tag', args.key, args.value, LIMITS.experimentTagKey, LIMITS.experimentTagValue);
    const body = { experiment_id: args.experimentId, key: args.key, value: args.value };
    const spec = write('POST', 'experiments.setTag', 'mlflow/experiments/set-experiment-tag', body);
    return this.#transport.command(spec, options);
  }

  /** Removes one tag. */
  async deleteTag(args: { experimentId: string; key: string }, options?: CallOptions): Promise<void> {
    const body = { experiment_id: args.experimentId, key: args.key };
    const path = 'mlflow/experiments/delete-experiment-tag';
    return this.#transport.command(write('POST', 'experiments.deleteTag', path, body, 'delete'), options);
  }

  /**
   * Lists the datasets that runs of these experiments read (the latest 1 000 or so).
   *
   * @param args at most 20 experiments per call.
   */
  async searchDatasets(
    args: { experimentIds: readonly string[] },
    options?: CallOptions,
  ): Promise<DatasetSummary[]> {
    if (args.experimentIds.length === 0 || args.experimentIds.length > 20) {
      throw invalidArgument(`searchDatasets takes 1 to 20 experiments, got ${args.experimentIds.length}`);
    }
    const body = { experiment_ids: args.experimentIds };
    // MLflow 3.17 serves the public route without a slash ("/api/2.0mlflow/…"); its web page's route works.
    const target = { path: '/ajax-api/2.0/mlflow/experiments/search-datasets' };
    const spec = { ...write('POST', 'experiments.searchDatasets', '', body), target };
    return this.#transport.json(spec, summaries, options);
  }

  async #findActive(name: string, options: CallOptions | undefined): Promise<string | undefined> {
    try {
      const found = await this.getByName({ name }, options);
      return found.lifecycleStage === 'active' ? found.experimentId : undefined;
    } catch (error) {
      if (error instanceof MlflowError && error.isNotFound) return undefined;
      throw error;
    }
  }
}
