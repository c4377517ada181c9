import { z } from 'zod';
import { invalidArgument } from '../errors.ts';
import { type PagingArgs, paginate } from '../http/paging.ts';
import { read, write } from '../http/spec.ts';
import type { CallOptions } from '../http/transport.ts';
import { assertPairs, LIMITS } from '../limits.ts';
import type { ViewType } from '../schemas/experiment.ts';
import { type Metric, metricSchema } from '../schemas/metric.ts';
import { type Run, type RunInfo, type RunStatus, runInfoSchema, runSchema } from '../schemas/run.ts';
import { page, toPairs, wrapped } from '../schemas/wire.ts';
import { RunLogging } from './run-logging.ts';

/** Arguments of {@link Runs.create}. */
export interface CreateRunArgs {
  experimentId: string;
  /** Default: a name the server invents. */
  runName?: string | undefined;
  /** Epoch milliseconds. Default: now. */
  startTime?: number | undefined;
  tags?: Readonly<Record<string, string>> | undefined;
  /** Deprecated by MLflow in favour of the `mlflow.user` tag. */
  userId?: string | undefined;
}

/** Arguments of {@link Runs.search}. */
export interface SearchRunsArgs extends PagingArgs {
  /** At least one. */
  experimentIds: readonly string[];
  /** For example `metrics.auc > 0.9 AND params.depth = '6'`. */
  filter?: string | undefined;
  /** For example `['metrics.auc DESC']`. */
  orderBy?: readonly string[] | undefined;
  /** Default `ACTIVE_ONLY`. */
  viewType?: ViewType | undefined;
}

/** Arguments of {@link Runs.metricHistory}. */
export interface MetricHistoryArgs extends PagingArgs {
  runId: string;
  key: string;
}

/** Arguments of {@link Runs.metricHistoryBulk}. */
export interface MetricHistoryBulkArgs {
  /** 1 to 100 runs. */
  runIds: readonly string[];
  key: string;
  /** First step; give both or neither. */
  startStep?: number | undefined;
  /** Last step, included. */
  endStep?: number | undefined;
  /** Values per run, 1 to 2 500. Default 2 500. */
  maxResults?: number | undefined;
}

const run = wrapped('run', runSchema);
const runInfo = wrapped('run_info', runInfoSchema);
const runPage = page('runs', runSchema);
const metricPage = page('metrics', metricSchema);
const metricList = z.object({ metrics: z.array(metricSchema).default([]) }).transform((wire) => wire.metrics);

/** Runs: their life, what is logged to them, and search. */
export class Runs extends RunLogging {
  /**
   * Starts a run.
   *
   * @example
   * ```ts
   * const run = await client.runs.create({ experimentId, runName: 'nightly' });
   * ```
   */
  async create(args: CreateRunArgs, options?: CallOptions): Promise<Run> {
    assertPairs('tag', args.tags, LIMITS.entityKey, LIMITS.tagValue);
    const body = {
      experiment_id: args.experimentId,
      run_name: args.runName,
      start_time: args.startTime ?? Date.now(),
      user_id: args.userId,
      tags: toPairs(args.tags),
    };
    return this.transport.json(
      write('POST', 'runs.create', 'mlflow/runs/create', body, 'unsent'),
      run,
      options,
    );
  }

  /** Reads a run with its latest metrics, params, tags, inputs and outputs. */
  async get(args: { runId: string }, options?: CallOptions): Promise<Run> {
    return this.transport.json(read('runs.get', 'mlflow/runs/get', { run_id: args.runId }), run, options);
  }

  /** Changes status, end time or name. */
  async update(
    args: {
      runId: string;
      status?: RunStatus | undefined;
      endTime?: number | undefined;
      runName?: string | undefined;
    },
    options?: CallOptions,
  ): Promise<RunInfo> {
    const body = { run_id: args.runId, status: args.status, end_time: args.endTime, run_name: args.runName };
    return this.transport.json(write('POST', 'runs.update', 'mlflow/runs/update', body), runInfo, options);
  }

  /**
   * Ends a run.
   *
   * @param args `status` defaults to `FINISHED`, `endTime` to now (epoch milliseconds).
   */
  async finish(
    args: {
      runId: string;
      status?: 'FINISHED' | 'FAILED' | 'KILLED' | undefined;
      endTime?: number | undefined;
    },
    options?: CallOptions,
  ): Promise<RunInfo> {
    const { runId, status = 'FINISHED', endTime = Date.now() } = args;
    return this.update({ runId, status, endTime }, options);
  }

  /** Moves a run to the bin. */
  async delete(args: { runId: string }, options?: CallOptions): Promise<void> {
    const spec = write('POST', 'runs.delete', 'mlflow/runs/delete', { run_id: args.runId }, 'delete');
    return this.transport.command(spec, options);
  }

  /** Takes a run out of the bin. */
  async restore(args: { runId: string }, options?: CallOptions): Promise<void> {
    const spec = write('POST', 'runs.restore', 'mlflow/runs/restore', { run_id: args.runId });
    return this.transport.command(spec, options);
  }

  /**
   * Searches runs, fetching page by page.
   *
   * @example
   * ```ts
   * const best = await collect(
   *   client.runs.search({ experimentIds: ['1'], orderBy: ['metrics.auc DESC'], limit: 1 }),
   * );
   * ```
   */
  search(args: SearchRunsArgs, options?: CallOptions): AsyncGenerator<Run, void, undefined> {
    return paginate((token) => {
      const body = {
        experiment_ids: args.experimentIds,
        filter: args.filter,
        order_by: args.orderBy,
        run_view_type: args.viewType ?? 'ACTIVE_ONLY',
        max_results: args.pageSize ?? 200,
        page_token: token,
      };
      return this.transport.json(write('POST', 'runs.search', 'mlflow/runs/search', body), runPage, options);
    }, args.limit);
  }

  /** Every value one metric of one run ever had, fetched page by page. */
  metricHistory(args: MetricHistoryArgs, options?: CallOptions): AsyncGenerator<Metric, void, undefined> {
    return paginate((token) => {
      const query = {
        run_id: args.runId,
        metric_key: args.key,
        // Without a page size the server answers everything at once.
        max_results: args.pageSize ?? 1000,
        page_token: token,
      };
      const spec = read('runs.metricHistory', 'mlflow/metrics/get-history', query);
      return this.transport.json(spec, metricPage, options);
    }, args.limit);
  }

  /**
   * One metric of several runs, thinned out to at most `maxResults` values per run:
   * what a chart needs. Each value names its run.
   */
  async metricHistoryBulk(args: MetricHistoryBulkArgs, options?: CallOptions): Promise<Metric[]> {
    if (args.runIds.length === 0 || args.runIds.length > 100) {
      throw invalidArgument(`metricHistoryBulk takes 1 to 100 runs, got ${args.runIds.length}`);
    }
    const query = {
      run_ids: args.runIds,
      metric_key: args.key,
      start_step: args.startStep,
      end_step: args.endStep,
      max_results: args.maxResults,
    };
    const spec = read('runs.metricHistoryBulk', 'mlflow/metrics/get-history-bulk-interval', query);
    return this.transport.json(spec, metricList, options);
  }
}
