import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import type { z } from 'zod';
import {
  type CacheInput,
  type CacheList,
  type CacheRemoval,
  cacheList,
  cacheRemoval,
  type collectCacheInput,
  type listCacheInput,
  type removeCachedInput,
} from '../contracts/cache.ts';
import {
  type EndpointAnswer,
  type EndpointState,
  endpointAnswer,
  endpointState,
  type RollbackUpdate,
} from '../contracts/endpoint.ts';
import { type ErasureInput, type ErasureResult, erasureResult } from '../contracts/erasure.ts';
import { PerennialError } from '../contracts/errors.ts';
import {
  type Appended,
  type AppendInput,
  appended,
  type EventLogStatus,
  eventLogStart,
  eventLogStatus,
} from '../contracts/events.ts';
import {
  type HousekeepingInput,
  type HousekeepingResult,
  housekeepingResult,
} from '../contracts/housekeeping.ts';
import {
  type CodeVersion,
  type LifecycleInput,
  type LifecycleResult,
  lifecycleInput,
  lifecycleResult,
  type ReviewUpdate,
  type RunStatus,
  runStatus,
} from '../contracts/lifecycle.ts';
import {
  DEFAULT_TASK_QUEUE,
  endpointWorkflowId,
  eventLogWorkflowId,
  QUERIES,
  SEARCH_ATTRIBUTES,
  UPDATES,
  WORKFLOW_TYPES,
} from '../contracts/names.ts';
import { type StageName, stageOutputs } from '../contracts/stages.ts';
import { clearedUp } from './cleared-up.ts';
import { EndpointRollout } from './endpoint-rollout.ts';
import { executeUpdate, wasDropped } from './execute-update.ts';
import { found } from './found.ts';
import { TrainingSearch } from './training-search.ts';
import { newWorkflowId } from './workflow-id.ts';

/** How long a log is asked again that takes over to a new run of its workflow; that takes milliseconds. */
const APPEND_ATTEMPTS = 100;
const APPEND_WAIT_MS = 100;

/** A run in a listing. */
export interface RunSummary {
  workflowId: string;
  runId: string;
  pipeline: string | null;
  status: string;
  stage: string | null;
  awaitingApproval: boolean;
  modelVersion: string | null;
  startedAt: Date;
  endedAt: Date | null;
}

/** Options of {@link PerennialClient.start}. */
export interface StartOptions {
  /** Default: `<pipeline>-<time>-<random>`. */
  workflowId?: string;
  code?: CodeVersion;
  startedBy?: string;
  /** The person who starts the run: their own approval does not count, unless the spec lets it. */
  author?: string;
  /** By default unchanged stages are taken from the step cache. */
  cache?: LifecycleInput['cache'];
  /** A retraining as of this moment, ISO 8601. */
  asOf?: string;
}

/**
 * A typed client of Perennial's workflows, over any Temporal client.
 *
 * @example
 * const perennial = new PerennialClient(new Client({ connection }));
 * const { workflowId } = await perennial.start(spec);
 * const result = await perennial.result(workflowId);
 */
export class PerennialClient {
  constructor(
    readonly temporal: Client,
    readonly taskQueue: string = DEFAULT_TASK_QUEUE,
  ) {}

  /** Starts a lifecycle run of a self-contained spec. */
  async start(
    spec: Record<string, unknown>,
    options: StartOptions = {},
  ): Promise<{ workflowId: string; runId: string }> {
    const name = typeof spec.name === 'string' ? spec.name : 'run';
    return this.#start(options.workflowId ?? newWorkflowId(name), {
      spec,
      ...(options.code ? { code: options.code } : {}),
      ...(options.cache ? { cache: options.cache } : {}),
      ...(options.asOf ? { asOf: options.asOf } : {}),
      ...(options.author === undefined ? {} : { author: options.author }),
      startedBy: options.startedBy ?? '',
    });
  }

  /** Takes an ended run up again from a stage, with all that the stages before have produced. */
  async retry(
    workflowId: string,
    from: StageName,
    options: StartOptions = {},
  ): Promise<{ workflowId: string; runId: string }> {
    const handle = this.temporal.workflow.getHandle(workflowId);
    const { runId } = await found(handle.describe(), workflowId);
    const status = await this.status(workflowId);
    await clearedUp(handle, status);
    const outputs = stageOutputs.parse(await this.outputs(workflowId));
    const input = lifecycleInput.parse(await handle.query(QUERIES.input));
    return this.#start(options.workflowId ?? newWorkflowId(status.pipeline ?? 'run'), {
      ...input,
      resume: { workflowId, runId, from, outputs },
    });
  }

  /** Stages, times and numbers of a run, also after its end. */
  async status(workflowId: string): Promise<RunStatus> {
    return runStatus.parse(
      await found(this.temporal.workflow.getHandle(workflowId).query(QUERIES.status), workflowId),
    );
  }

  /** What the stages of a run have produced so far, as the run gives it. */
  async outputs(workflowId: string): Promise<unknown> {
    return found(this.temporal.workflow.getHandle(workflowId).query<unknown>(QUERIES.outputs), workflowId);
  }

  /** Waits for the end of a run. @throws WorkflowFailedError where it failed or was cancelled */
  async result(workflowId: string): Promise<LifecycleResult> {
    return lifecycleResult.parse(
      await found(this.temporal.workflow.getHandle(workflowId).result(), workflowId),
    );
  }

  /** Votes on the candidate that a run waits for; the run refuses a wrong one with a reason. */
  async review(workflowId: string, review: ReviewUpdate): Promise<{ accepted: true; votes: number }> {
    const handle = this.temporal.workflow.getHandle(workflowId);
    return found(
      executeUpdate<{ accepted: true; votes: number }>(handle, UPDATES.review, { args: [review] }),
      workflowId,
    );
  }

  /** The search for the best model that a run does in its stage `train`. */
  async training(workflowId: string): Promise<TrainingSearch> {
    const { runId } = await found(this.temporal.workflow.getHandle(workflowId).describe(), workflowId);
    return new TrainingSearch(this.temporal, workflowId, runId);
  }

  /** Asks a run to stop; it cleans up behind itself. */
  async cancel(workflowId: string): Promise<void> {
    await found(this.temporal.workflow.getHandle(workflowId).cancel(), workflowId);
  }

  /** Lifecycle runs, newest first. */
  async *runs(filter: { pipeline?: string; awaitingApproval?: boolean } = {}): AsyncGenerator<RunSummary> {
    const conditions = [
      `WorkflowType = '${WORKFLOW_TYPES.lifecycle}'`,
      ...(filter.pipeline === undefined
        ? []
        : [`${SEARCH_ATTRIBUTES.pipeline.name} = '${filter.pipeline.replaceAll("'", '')}'`]),
      ...(filter.awaitingApproval === undefined
        ? []
        : [`${SEARCH_ATTRIBUTES.awaitingApproval.name} = ${filter.awaitingApproval}`]),
    ];
    for await (const run of this.temporal.workflow.list({ query: conditions.join(' AND ') })) {
      const attribute = (name: string): unknown => run.searchAttributes[name]?.[0];
      const text = (name: string): string | null => {
        const value = attribute(name);
        return typeof value === 'string' ? value : null;
      };
      yield {
        workflowId: run.workflowId,
        runId: run.runId,
        pipeline: text(SEARCH_ATTRIBUTES.pipeline.name),
        status: run.status.name,
        stage: text(SEARCH_ATTRIBUTES.stage.name),
        awaitingApproval: attribute(SEARCH_ATTRIBUTES.awaitingApproval.name) === true,
        modelVersion: text(SEARCH_ATTRIBUTES.modelVersion.name),
        startedAt: run.startTime,
        endedAt: run.closeTime ?? null,
      };
    }
  }

  /** What an endpoint serves, and its history. @throws PerennialError where there is no such endpoint */
  async endpoint(name: string): Promise<EndpointState> {
    const handle = this.temporal.workflow.getHandle(endpointWorkflowId(name));
    return endpointState.parse(await found(handle.query(QUERIES.endpoint), name, 'endpoint'));
  }

  /** The roll-out under way on an endpoint. @throws PerennialError where there is none */
  async rollout(endpoint: string): Promise<EndpointRollout> {
    const { slot } = await this.endpoint(endpoint);
    if (slot) return new EndpointRollout(this.temporal, endpoint, slot.rollout);
    throw new PerennialError(
      'InputInvalid',
      `no roll-out is under way on ${endpoint}; look at it with \`perennial endpoint ${endpoint}\``,
    );
  }

  /** Takes the candidate of a roll-out away, or sends an endpoint back to an earlier version. */
  async rollback(name: string, request: Omit<RollbackUpdate, 'requestId'>): Promise<EndpointAnswer> {
    const handle = this.temporal.workflow.getHandle(endpointWorkflowId(name));
    const update: RollbackUpdate = { requestId: `rollback-${randomBytes(8).toString('hex')}`, ...request };
    return endpointAnswer.parse(
      await found(
        executeUpdate(handle, UPDATES.rollback, { args: [update], updateId: update.requestId }),
        name,
        'endpoint',
      ),
    );
  }

  /**
   * Appends stored rows to an event log, which begins with its first batch, and waits for their place in it. A batch
   * id counts once: whoever does not know whether it was appended asks again.
   *
   * @param batch a reference to rows in the workers' artifact store, as `perennial ingest --no-append` prints it
   */
  async append(log: string, batch: AppendInput): Promise<Appended> {
    for (let attempt = 1; ; attempt++) {
      try {
        return appended.parse(
          await this.temporal.workflow.executeUpdateWithStart<() => Promise<void>, Appended, [AppendInput]>(
            UPDATES.append,
            {
              args: [batch],
              startWorkflowOperation: new WithStartWorkflowOperation(
                WORKFLOW_TYPES.eventLog,
                eventLogStart(log, this.taskQueue),
              ),
            },
          ),
        );
      } catch (error) {
        // A log that takes over to a new run of its workflow asks to be asked again.
        const cause = error instanceof WorkflowUpdateFailedError ? error.cause : undefined;
        const passing = cause instanceof ApplicationFailure && cause.type === 'ServerUnavailable';
        if (!(passing || wasDropped(error)) || attempt >= APPEND_ATTEMPTS) throw error;
        await sleep(APPEND_WAIT_MS);
      }
    }
  }

  /** What an event log holds and what it refused. @throws PerennialError where there is no such log */
  async eventLog(log: string): Promise<EventLogStatus> {
    const handle = this.temporal.workflow.getHandle(eventLogWorkflowId(log));
    return eventLogStatus.parse(await found(handle.query(QUERIES.batches), log, 'event log'));
  }

  /** Deletes artifacts that only failed or cancelled runs name. */
  async collectGarbage(keep: HousekeepingInput = {}): Promise<HousekeepingResult> {
    return housekeepingResult.parse(
      await this.temporal.workflow.execute(WORKFLOW_TYPES.housekeeping, {
        taskQueue: this.taskQueue,
        workflowId: `housekeeping-${randomBytes(4).toString('hex')}`,
        args: [keep],
        staticSummary: 'Delete what failed runs left behind',
      }),
    );
  }

  /**
   * Takes one person out of all stores.
   *
   * @param input `request` is what `main.js person` stored; who it is goes through no workflow
   * @throws WorkflowFailedError of type `ErasureBlocked` where lifecycle runs are in the way
   */
  async erase(input: ErasureInput): Promise<ErasureResult> {
    return erasureResult.parse(
      await this.temporal.workflow.execute(WORKFLOW_TYPES.erasure, {
        taskQueue: this.taskQueue,
        workflowId: `erasure-${randomBytes(8).toString('hex')}`,
        args: [input],
        staticSummary: input.dryRun ? 'Look for a person' : 'Take a person out of all stores',
      }),
    );
  }

  /** Results of stages that later runs can take over, the newest first. */
  async cachedResults(filter: z.input<typeof listCacheInput> = {}): Promise<CacheList> {
    return cacheList.parse(await this.#cache({ action: 'list', ...filter }, 'List the step cache'));
  }

  /** Forgets results of stages: the next run works again. */
  async removeCached(meant: z.input<typeof removeCachedInput>): Promise<CacheRemoval> {
    return cacheRemoval.parse(await this.#cache({ action: 'remove', ...meant }, 'Forget results of stages'));
  }

  /** Forgets results that nobody used for a while, and those whose artifacts are gone. */
  async collectCache(keep: z.input<typeof collectCacheInput> = {}): Promise<CacheRemoval> {
    return cacheRemoval.parse(
      await this.#cache({ action: 'collect', ...keep }, 'Forget results that nobody uses'),
    );
  }

  #cache(input: CacheInput, staticSummary: string): Promise<unknown> {
    return this.temporal.workflow.execute(WORKFLOW_TYPES.cache, {
      taskQueue: this.taskQueue,
      workflowId: `cache-${randomBytes(4).toString('hex')}`,
      args: [input],
      staticSummary,
    });
  }

  async #start(workflowId: string, input: LifecycleInput): Promise<{ workflowId: string; runId: string }> {
    const name = input.spec?.name;
    const handle = await this.temporal.workflow.start(WORKFLOW_TYPES.lifecycle, {
      taskQueue: this.taskQueue,
      workflowId,
      args: [input],
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      staticSummary: `Lifecycle of ${typeof name === 'string' ? name : 'a model'}`,
    });
    return { workflowId, runId: handle.firstExecutionRunId };
  }
}
