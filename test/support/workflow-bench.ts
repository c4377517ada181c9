import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { executeUpdate } from '../../client/execute-update.ts';
import type {
  AdmitAnswer,
  AdmitUpdate,
  EndpointAnswer,
  EndpointInput,
  EndpointState,
  RollbackUpdate,
  ShiftUpdate,
} from '../../contracts/endpoint.ts';
import type { LifecycleInput, LifecycleResult, ReviewUpdate, RunStatus } from '../../contracts/lifecycle.ts';
import { endpointWorkflowId, QUERIES, UPDATES, WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import type { PipelineSpecInput } from '../../contracts/spec/pipeline.ts';
import { smallSpec } from './samples.ts';
import { type Scenario, scenarioActivities } from './scenario.ts';

const WAIT_MS = 30_000;

/** Where a bench finds its server and its workflows. */
export interface BenchOptions {
  address: string;
  bundle: string;
  /** Recorded histories must not hold a host's name. */
  identity?: string;
}

let quiet = false;

/** Failures that a test wants are not worth a line. */
export function quietRuntime(): void {
  if (!quiet) Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  quiet = true;
}

/** Waits until `look` gives something other than `undefined`, and gives it back. */
export async function eventually<T>(look: () => Promise<T | undefined>, what: string): Promise<T> {
  const deadline = Date.now() + WAIT_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(25);
  }
}

/** Cancels a workflow and waits until it has had its say about that. */
export async function cancelAndSettle(handle: WorkflowHandle): Promise<void> {
  await handle.cancel();
  await eventually(async () => {
    const { events } = await handle.fetchHistory();
    const asked = events?.findIndex((event) => event.workflowExecutionCancelRequestedEventAttributes) ?? -1;
    return asked < 0
      ? undefined
      : events?.slice(asked).find((event) => event.workflowTaskCompletedEventAttributes);
  }, 'the cancellation to be handled');
}

/** A client and workers with the real workflows and the activities of {@link Scenario}s, on task queues of their own. */
export class WorkflowBench {
  readonly #running: Promise<void>[] = [];
  readonly #workers: Worker[] = [];

  private constructor(
    readonly client: Client,
    readonly taskQueue: string,
    readonly address: string,
    private readonly connection: NativeConnection,
    private readonly options: BenchOptions,
  ) {}

  static async start(options: BenchOptions): Promise<WorkflowBench> {
    quietRuntime();
    const { address, identity } = options;
    const own = identity === undefined ? {} : { identity };
    const [connection, native] = await Promise.all([
      Connection.connect({ address }),
      NativeConnection.connect({ address }),
    ]);
    const client = new Client({ connection, ...own });
    const bench = new WorkflowBench(client, `test-${randomUUID().slice(0, 8)}`, address, native, options);
    await bench.#work(bench.taskQueue, true);
    return bench;
  }

  async #work(taskQueue: string, withWorkflows: boolean): Promise<void> {
    const { identity, bundle } = this.options;
    const worker = await Worker.create({
      connection: this.connection,
      taskQueue,
      activities: scenarioActivities(),
      shutdownForceTime: '2s',
      ...(withWorkflows ? { workflowBundle: { codePath: bundle } } : {}),
      ...(identity === undefined ? {} : { identity }),
    });
    this.#workers.push(worker);
    this.#running.push(worker.run());
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) worker.shutdown();
    // A worker that a test left with an activity that never ends is given up by force.
    await Promise.allSettled(this.#running);
    await this.client.connection.close();
    await this.connection.close();
  }

  /** Gives a scenario a live model server with a queue and a worker of its own. */
  async addServer(scenario: Scenario, name: string): Promise<string> {
    const taskQueue = `perennial-server-${scenario.id}-${name}`;
    await this.#work(taskQueue, false);
    return scenario.addServer(name, taskQueue).serverId;
  }

  /** Starts a lifecycle of a small spec; the scenario gets a server where it has none. */
  async lifecycle(
    scenario: Scenario,
    spec: Partial<PipelineSpecInput> = {},
    input: Partial<LifecycleInput> = {},
    suffix = '',
  ): Promise<Lifecycle> {
    return this.lifecycleOf(scenario, { spec: { ...smallSpec(spec) }, ...input }, suffix);
  }

  /** Starts a lifecycle with an argument of the test's own. */
  async lifecycleOf(scenario: Scenario, input: LifecycleInput, suffix = ''): Promise<Lifecycle> {
    if (scenario.servers.length === 0) scenario.addServer('a', this.taskQueue);
    const handle = await this.client.workflow.start<(input: LifecycleInput) => Promise<LifecycleResult>>(
      WORKFLOW_TYPES.lifecycle,
      {
        workflowId: `${scenario.id}${suffix}`,
        taskQueue: this.taskQueue,
        args: [input],
      },
    );
    return new Lifecycle(handle);
  }

  /** Starts the endpoint of a scenario. */
  async endpoint(scenario: Scenario, input: Partial<EndpointInput> = {}): Promise<Endpoint> {
    const handle = await this.client.workflow.start(WORKFLOW_TYPES.endpoint, {
      workflowId: endpointWorkflowId(scenario.id),
      taskQueue: this.taskQueue,
      args: [{ endpoint: scenario.id, ...input }],
    });
    return new Endpoint(this.client.workflow.getHandle(handle.workflowId));
  }
}

/** A lifecycle run, as a client sees it. */
export class Lifecycle {
  constructor(readonly handle: WorkflowHandle<(input: LifecycleInput) => Promise<LifecycleResult>>) {}

  status(): Promise<RunStatus> {
    return this.handle.query<RunStatus>(QUERIES.status);
  }

  review(review: Record<string, unknown>): Promise<{ accepted: true; votes: number }> {
    return executeUpdate(this.handle, UPDATES.review, { args: [review] });
  }

  approve(candidate: string, by = 'ada'): Promise<{ accepted: true; votes: number }> {
    return this.review({ decision: 'approve', by, candidate } satisfies Partial<ReviewUpdate>);
  }

  /** Waits until the run asks for an approval. */
  awaiting(): Promise<NonNullable<RunStatus['awaiting']>> {
    return eventually(async () => (await this.status()).awaiting ?? undefined, 'a request for approval');
  }
}

/** The workflow of an endpoint, as a client sees it. */
export class Endpoint {
  constructor(readonly handle: WorkflowHandle) {}

  state(): Promise<EndpointState> {
    return this.handle.query<EndpointState>(QUERIES.endpoint);
  }

  /** A roll-out asks for its turn; by default it was judged against what serves. */
  async admit(model: ServedModel, more: Partial<AdmitUpdate> = {}): Promise<AdmitAnswer> {
    const judgedAgainst = (await this.state()).current?.version ?? null;
    const request: AdmitUpdate = {
      requestId: `admit ${model.version}`,
      rollout: rolloutOf(model),
      model,
      policy: { sticky: false, deadlineMs: 10_000, log: { sample: 1, features: true } },
      judgedAgainst,
      busy: 'queue',
      requestedBy: 'test',
      ...more,
    };
    return executeUpdate(this.handle, UPDATES.admit, { args: [request] });
  }

  shift(model: ServedModel, share: number, more: Partial<ShiftUpdate> = {}): Promise<EndpointAnswer> {
    const request: ShiftUpdate = {
      requestId: `shift ${model.version} to ${share}`,
      rollout: rolloutOf(model),
      share,
      role: 'challenger',
      ...more,
    };
    return executeUpdate(this.handle, UPDATES.shift, { args: [request] });
  }

  promote(model: ServedModel, requestId = `promote ${model.version}`): Promise<EndpointAnswer> {
    return executeUpdate(this.handle, UPDATES.promote, {
      args: [{ requestId, rollout: rolloutOf(model), by: 'test', named: false, reason: '' }],
    });
  }

  withdraw(model: ServedModel, requestId = `withdraw ${model.version}`): Promise<EndpointAnswer> {
    return executeUpdate(this.handle, UPDATES.withdraw, {
      args: [
        {
          requestId,
          rollout: rolloutOf(model),
          by: 'test',
          named: false,
          reason: 'enough',
          outcome: 'rolled_back',
        },
      ],
    });
  }

  /** Takes a turn and promotes, as a roll-out without steps does; where that fails, it gives the turn back. */
  async deploy(
    model: ServedModel,
    requestId = `deploy ${model.version}`,
    more: Partial<AdmitUpdate> = {},
  ): Promise<EndpointAnswer> {
    await this.admit(model, more);
    try {
      return await this.promote(model, requestId);
    } catch (error) {
      await this.withdraw(model, `after ${requestId}`);
      throw error;
    }
  }

  rollback(requestId: string, more: Partial<RollbackUpdate> = {}): Promise<EndpointAnswer> {
    return executeUpdate(this.handle, UPDATES.rollback, {
      args: [{ requestId, requestedBy: 'ada', ...more }],
    });
  }
}

/** The id of a test's roll-out of a model. */
export const rolloutOf = ({ version }: ServedModel): string => `roll-out of ${version}`;
