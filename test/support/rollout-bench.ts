import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { deploymentActivities } from '../../activities/deployment.ts';
import { executeUpdate } from '../../client/execute-update.ts';
import { QUERIES, UPDATES, WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { RolloutInput, RolloutResult, RolloutStatus } from '../../contracts/rollout.ts';
import type { TrafficReport, VersionTraffic } from '../../contracts/rollout-evidence.ts';
import type { IncidentKind, RouteTable, ServedModel } from '../../contracts/serving.ts';
import { rolloutSpec } from '../../contracts/spec/rollout.ts';
import { addNumber, emptySketch } from '../../domain/rollout/sketch.ts';
import { configFromEnv } from '../../lib/config.ts';
import { servedModel } from './samples.ts';
import { Scenario } from './scenario.ts';
import { type Endpoint, eventually, type WorkflowBench } from './workflow-bench.ts';

/** How a version behaves. */
export interface Behaviour {
  /** Of a hundred requests, how many fail, and how. */
  failures?: Partial<Record<IncidentKind, number>>;
  latencyMs?: number;
  /** What it answers. */
  probability?: number;
}

/** Servers whose versions answer so many requests with every look, by the routes in force. */
export class FakeTraffic {
  /** Requests to the endpoint between two looks. */
  perLook = 400;
  epoch = 'first';
  readonly #behaviours = new Map<string, Behaviour>();
  #table: RouteTable | undefined;
  #looks = 0;

  behave(version: string, behaviour: Behaviour): void {
    this.#behaviours.set(version, behaviour);
  }

  /** Starts the servers again: their counts begin at nothing. */
  restart(): void {
    this.epoch = randomUUID();
    this.#looks = 0;
  }

  apply(table: RouteTable): void {
    if (table.generation !== this.#table?.generation) this.#looks = 0;
    this.#table = table;
  }

  report(serverId: string): TrafficReport {
    this.#looks += 1;
    const { generation = 0, routes = [] } = this.#table ?? {};
    return {
      serverId,
      epoch: this.epoch,
      generation,
      versions: routes.map(({ model, weight, role }) =>
        this.#traffic(model.version, role, Math.round((this.perLook * this.#looks * weight) / 100)),
      ),
    };
  }

  #traffic(version: string, role: VersionTraffic['role'], requests: number): VersionTraffic {
    const { failures = {}, latencyMs = 4, probability = 0.3 } = this.#behaviours.get(version) ?? {};
    const latency = emptySketch();
    const answers = emptySketch();
    for (let i = 0; i < requests; i++) {
      addNumber(latency, latencyMs * (1 + (i % 10) / 50));
      addNumber(answers, Math.min(0.999, probability * (0.5 + (i % 20) / 20)));
    }
    const counts = Object.entries(failures).flatMap(([kind, share]) => {
      const count = Math.round((requests * share) / 100);
      return count > 0 ? [[kind, count]] : [];
    });
    return {
      version,
      role,
      requests,
      rows: requests,
      failures: Object.fromEntries(counts),
      latency,
      numbers: { probability: answers },
      labels: {},
    };
  }
}

/** An endpoint with a champion, version 1, and the world around its roll-outs. */
export class RolloutBench {
  readonly traffic = new FakeTraffic();

  private constructor(
    readonly bench: WorkflowBench,
    readonly scenario: Scenario,
    readonly endpoint: Endpoint,
  ) {}

  static async start(
    bench: WorkflowBench,
    { champion = true, id }: { champion?: boolean; id?: string } = {},
  ): Promise<RolloutBench> {
    const scenario = new Scenario({}, id);
    scenario.addServer('a', bench.taskQueue);
    const endpoint = await bench.endpoint(scenario);
    const own = new RolloutBench(bench, scenario, endpoint);
    // The endpoint's own workflow is asked, as in earnest.
    const { askEndpoint, isRunning } = deploymentActivities({
      config: { ...configFromEnv({}), taskQueue: bench.taskQueue },
      client: () => bench.client,
    });
    scenario.let('askEndpoint', askEndpoint);
    scenario.let('isRunning', isRunning);
    scenario.let('applyRoutes', async ({ table }) => {
      own.traffic.apply(table);
      return {
        serverId: scenario.serverOfTask(),
        endpoint: table.endpoint,
        generation: table.generation,
        versions: table.routes.map(({ model }) => model.version),
      };
    });
    scenario.let('observeTraffic', async () => own.traffic.report(scenario.serverOfTask()));
    if (champion) await endpoint.deploy(servedModel('1'));
    return own;
  }

  /** Starts the roll-out of a version, judged against version 1. */
  async rollout(
    version: string,
    plan: Parameters<typeof rolloutSpec.parse>[0],
    more: Partial<RolloutInput> = {},
  ): Promise<Rollout> {
    const model: ServedModel = servedModel(version);
    const input: RolloutInput = {
      endpoint: this.scenario.id,
      model,
      policy: { sticky: false, deadlineMs: 10_000, log: { sample: 1, features: true } },
      plan: rolloutSpec.parse(plan),
      task: 'binary',
      classNames: ['no', 'yes'],
      positiveClass: 'yes',
      judgedAgainst: '1',
      requestedBy: `run of ${version}`,
      ...more,
    };
    const handle = await this.bench.client.workflow.start<(input: RolloutInput) => Promise<RolloutResult>>(
      WORKFLOW_TYPES.rollout,
      {
        workflowId: `${this.scenario.id}/rollout/${version}`,
        taskQueue: this.bench.taskQueue,
        args: [input],
      },
    );
    return new Rollout(this.bench.client.workflow.getHandle(handle.workflowId));
  }

  /** Shares that the servers were told, as "version share". */
  get shares(): string[] {
    return this.scenario
      .inputs('applyRoutes')
      .map(({ table }) => table.routes.map(({ model, weight }) => `${model.version} ${weight}`).join(', '));
  }
}

/** A roll-out, as a client sees it. */
export class Rollout {
  constructor(readonly handle: WorkflowHandle<(input: RolloutInput) => Promise<RolloutResult>>) {}

  status(): Promise<RolloutStatus> {
    return this.handle.query<RolloutStatus>(QUERIES.rollout);
  }

  result(): Promise<RolloutResult> {
    return this.handle.result();
  }

  order(name: 'promote' | 'rollback' | 'pause' | 'resume', by = 'ada', reason = ''): Promise<RolloutStatus> {
    return executeUpdate(this.handle, UPDATES[name], { args: [{ by, reason }] });
  }

  traffic(share: number): Promise<RolloutStatus> {
    return executeUpdate(this.handle, UPDATES.traffic, { args: [{ by: 'ada', share }] });
  }

  /** Waits until the roll-out is where `where` says. */
  until(where: (status: RolloutStatus) => boolean, what: string): Promise<RolloutStatus> {
    return eventually(async () => {
      const status = await this.status();
      return where(status) ? status : undefined;
    }, what);
  }
}
