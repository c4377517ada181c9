import { delimiter, join } from 'node:path';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { expect } from 'vitest';
import { z } from 'zod';
import { PerennialClient } from '../../client/perennial-client.ts';
import { readyUrl } from '../../client/platform/own-part.ts';
import { Platform } from '../../client/platform/platform.ts';
import type { Ports } from '../../client/platform/ports.ts';
import { findPython, packageRoot } from '../../client/platform/programs.ts';
import { trainingWorkflowId, WORKFLOW_TYPES } from '../../contracts/names.ts';
import type { RolloutInput, RolloutResult } from '../../contracts/rollout.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { rolloutSpec } from '../../contracts/spec/rollout.ts';
import { MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { type RunningCommand, startNode } from './e2e-cli.ts';
import { aliasFollows, registryFacts, runFacts, servedFacts } from './e2e-facts.ts';
import { MlflowProxy } from './e2e-mlflow-proxy.ts';
import { ownFolder, removePlatform } from './e2e-platform.ts';
import { BANK, bankSpec } from './e2e-spec.ts';
import { freePort } from './free-port.ts';
import { StepGate } from './step-gate.ts';

const MAIN = join(packageRoot(), 'dist', 'workers', 'main.js');
const SERVER_ID = 'chaos';

const heartbeat = z.object({ iteration: z.number(), checkpoint: z.object({ uri: z.string() }).nullable() });

/** The platform's own Temporal and MLflow, with worker and model server as processes that a test starts and kills. */
export class ChaosPlatform {
  server: RunningCommand | undefined;
  worker: RunningCommand | undefined;
  serverUrl = '';

  private constructor(
    readonly folder: string,
    readonly platform: Platform,
    /** Between the worker and MLflow. */
    readonly proxy: MlflowProxy,
    readonly connection: Connection,
    readonly perennial: PerennialClient,
    readonly gate: StepGate,
    private readonly more: Record<string, string>,
  ) {}

  /** @param more of the environment of worker and model server */
  static async create(name: string, more: Record<string, string> = {}): Promise<ChaosPlatform> {
    const folder = ownFolder(`chaos-${name}`);
    const platform = await Platform.start({
      dataDir: join(folder, 'data'),
      parts: ['temporal', 'mlflow'],
      ports: await freePorts(),
    });
    const { mlflowUri = '', temporalAddress } = platform.status();
    const proxy = await MlflowProxy.start(mlflowUri);
    const connection = await Connection.connect({ address: temporalAddress });
    const perennial = new PerennialClient(new Client({ connection }));
    const chaos = new ChaosPlatform(
      folder,
      platform,
      proxy,
      connection,
      perennial,
      new StepGate(join(folder, 'gate')),
      more,
    );
    await Promise.all([chaos.startWorker(), chaos.startServer()]);
    return chaos;
  }

  get dataDir(): string {
    return this.platform.status().dataDir;
  }

  /** MLflow itself, past the proxy. */
  get mlflowUri(): string {
    return this.platform.status().mlflowUri ?? '';
  }

  async startWorker(): Promise<void> {
    const worker = startNode([...this.gate.preload, MAIN, 'worker'], this.#environment());
    this.worker = worker;
    await worker.find(readyUrl);
  }

  async startServer(): Promise<void> {
    const server = startNode([...this.gate.preload, MAIN, 'serve'], this.#environment());
    this.server = server;
    this.serverUrl = await server.find(readyUrl);
  }

  /** Ends a process as a power cut would. */
  async kill(role: 'worker' | 'server'): Promise<void> {
    this[role]?.child.kill('SIGKILL');
    await this[role]?.ended;
  }

  /** Ends a part of the platform's own in the same way, and waits until it is there again. */
  async killPart(name: 'temporal' | 'mlflow'): Promise<void> {
    const part = () => this.platform.status().parts.find((one) => one.name === name);
    const before = part();
    process.kill(before?.process?.pid ?? Number.NaN, 'SIGKILL');
    await expect
      .poll(() => part()?.state === 'ready' && part()?.restarts, { timeout: 60_000 })
      .toBeGreaterThan(before?.restarts ?? 0);
    if (name === 'temporal') await this.#connected();
  }

  /** The test's own client needs a moment to find the server again. */
  async #connected(): Promise<void> {
    const { workflow } = this.perennial.temporal;
    await expect
      .poll(() => workflow.count("WorkflowType = 'lifecycle'").catch(() => undefined), { timeout: 30_000 })
      .toBeDefined();
  }

  /** Starts a run of the bank example on an endpoint of its own; nobody is asked to approve. */
  async run(name: string, changes: Record<string, unknown> = {}): Promise<string> {
    const spec = await bankSpec({
      name,
      candidates: ['logistic'],
      approval: { required: false },
      ...changes,
    });
    return (await this.perennial.start(spec)).workflowId;
  }

  /**
   * Rolls a regression model out that no run made: registers a version, and judges it against version 1 or, as
   * version 1, against nothing. A roll-out that was started before is the same one.
   */
  async rollout(
    name: string,
    model: ServedModel,
    plan: Parameters<typeof rolloutSpec.parse>[0],
    more: Partial<RolloutInput> = {},
  ): Promise<WorkflowHandle<(argument: RolloutInput) => Promise<RolloutResult>>> {
    await this.#register(name);
    const input: RolloutInput = {
      endpoint: name,
      model,
      policy: { sticky: false, deadlineMs: 10_000, log: { sample: 1, features: true } },
      plan: rolloutSpec.parse(plan),
      task: 'regression',
      judgedAgainst: model.version === '1' ? null : '1',
      requestedBy: `run of ${name}`,
      ...more,
    };
    const { temporal, taskQueue } = this.perennial;
    await temporal.workflow.start(WORKFLOW_TYPES.rollout, {
      workflowId: `${name}/rollout/${model.version}`,
      taskQueue,
      workflowIdConflictPolicy: 'USE_EXISTING',
      args: [input],
    });
    return temporal.workflow.getHandle(`${name}/rollout/${model.version}`);
  }

  /** Another version of a registered model. */
  async #register(name: string): Promise<void> {
    const mlflow = new MlflowClient({ trackingUri: this.mlflowUri });
    await mlflow.registeredModels.getOrCreate({ name });
    const experimentId = await mlflow.experiments.getOrCreate({ name });
    const { info } = await mlflow.runs.create({ experimentId });
    await mlflow.modelVersions.create({ name, source: `runs:/${info.runId}/model`, runId: info.runId });
  }

  /** Waits until a run's training is at an iteration, and has a checkpoint that its next attempt will find. */
  async checkpointed(workflowId: string, iteration = 1): Promise<void> {
    let state: string | undefined;
    await expect
      .poll(
        async () => {
          const { runId } = await this.perennial.status(workflowId);
          const handle = this.perennial.temporal.workflow.getHandle(trainingWorkflowId(workflowId, runId));
          const description = await handle.describe().catch(() => undefined);
          state = description?.status.name;
          for (const activity of description?.raw.pendingActivities ?? []) {
            const [payload] = activity.heartbeatDetails?.payloads ?? [];
            const details = payload?.data
              ? JSON.parse(Buffer.from(payload.data).toString('utf8'))
              : undefined;
            const parsed = heartbeat.safeParse(details);
            if (parsed.success && parsed.data.checkpoint) return parsed.data.iteration;
          }
          // Over before it was seen: as far as it will ever be.
          return state === 'COMPLETED' ? Number.POSITIVE_INFINITY : 0;
        },
        { timeout: 150_000, interval: 100 },
      )
      .toBeGreaterThanOrEqual(iteration);
    expect(state, 'the training came to its end before its checkpoint was seen').toBe('RUNNING');
  }

  /** How often activities of a type were started in a workflow: the attempt that completed. */
  async attempts(workflowId: string, type: string): Promise<number[]> {
    const { events } = await this.perennial.temporal.workflow.getHandle(workflowId).fetchHistory();
    const scheduled = (events ?? [])
      .filter(
        (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === `perennial.${type}`,
      )
      .map(({ eventId }) => String(eventId));
    return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) =>
      started && scheduled.includes(String(started.scheduledEventId)) ? [started.attempt ?? 0] : [],
    );
  }

  /**
   * Asserts that a run came to exactly one of everything: one MLflow run for it and one for each candidate, one logged
   * model, one version, one change of the endpoint, one route.
   */
  async expectOneDeployment(workflowId: string, name: string, candidates: readonly string[]): Promise<void> {
    expect(await this.perennial.result(workflowId)).toMatchObject({ outcome: 'deployed', version: '1' });
    expect(await runFacts(this.mlflowUri, name, workflowId)).toEqual({
      lifecycle: ['FINISHED'],
      candidates: candidates.map((candidate) => `${candidate}-0: FINISHED`),
      loggedModels: 1,
    });
    await aliasFollows(this.mlflowUri, name, '1');
    expect(await registryFacts(this.mlflowUri, name)).toEqual({
      versions: [{ version: '1', outcome: 'deployed', workflowId }],
      aliases: { champion: '1' },
    });
    const endpoint = await this.perennial.endpoint(name);
    expect(endpoint).toMatchObject({
      current: { version: '1' },
      served: [],
      alias: '1',
      aliasUncertain: false,
      acknowledged: { [SERVER_ID]: 1 },
    });
    expect(endpoint.changes.map(({ from, to, outcome }) => ({ from, to, outcome }))).toEqual([
      { from: null, to: '1', outcome: 'done' },
    ]);
    expect(await servedFacts(this.serverUrl, name)).toEqual({
      versions: ['1'],
      weights: [100],
      generation: 1,
    });
  }

  async close(): Promise<void> {
    await Promise.all([this.kill('worker'), this.kill('server')]);
    await this.connection.close();
    await this.proxy.close();
    await this.platform.stop();
    await removePlatform(this.dataDir, this.folder);
  }

  #environment(): Record<string, string> {
    return {
      TEMPORAL_ADDRESS: this.platform.status().temporalAddress,
      MLFLOW_TRACKING_URI: this.proxy.url,
      PERENNIAL_DATA_DIR: this.dataDir,
      PERENNIAL_SOURCE_ROOTS: [BANK, this.folder].join(delimiter),
      PERENNIAL_OUTPUT_ROOTS: this.folder,
      PERENNIAL_PYTHON: findPython(undefined),
      PERENNIAL_SERVER_ID: SERVER_ID,
      PERENNIAL_SERVER_PORT: '0',
      PERENNIAL_CHECKPOINT_SECONDS: '0.5',
      ...this.gate.environment,
      ...this.more,
    };
  }
}

/** Other tests start beside these: the usual ports, which are free for both, would be taken by one of them. */
async function freePorts(): Promise<Partial<Ports>> {
  return { temporal: await freePort(), temporalUi: await freePort(), mlflow: await freePort() };
}
