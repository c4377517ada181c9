import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure } from '@temporalio/common';
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  type WorkerInterceptors,
} from '@temporalio/worker';
import { pino } from 'pino';
import { type ActivityDependencies, dependencies } from '../../activities/dependencies.ts';
import { createActivities, registered } from '../../activities/index.ts';
import { modelServerActivities } from '../../activities/model-server.ts';
import { DEFAULT_LIMITS } from '../../client/platform/options.ts';
import { Platform } from '../../client/platform/platform.ts';
import { findPython } from '../../client/platform/programs.ts';
import type { ModelServerActivities, PerennialActivities } from '../../contracts/activities.ts';
import {
  ACTIVITY_PREFIX,
  DEFAULT_TASK_QUEUE,
  featuresScheduleId,
  modelServerTaskQueue,
  modelServerWorkflowId,
  WORKFLOW_TYPES,
} from '../../contracts/names.ts';
import type { ModelServerInfo } from '../../contracts/serving.ts';
import type { PerennialConfig } from '../../lib/config.ts';
import { openStore, type StoreSettings } from '../../lib/store/open-store.ts';
import { ModelServer } from '../../serving/server.ts';
import { freePort } from './free-port.ts';
import { EXPLAINING } from './patience.ts';
import { sharedBundle } from './workflow-code.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const WORKFLOWS = fileURLToPath(new URL('./integration-workflows.ts', import.meta.url));
const SERVER_ID = 'test-server';

/** Every activity that there is, in whatever process it runs. */
export type AllActivities = PerennialActivities & ModelServerActivities;
export type ActivityName = keyof AllActivities & string;
export type InputOf<K extends ActivityName> = Parameters<AllActivities[K]>[0];
export type OutputOf<K extends ActivityName> = Awaited<ReturnType<AllActivities[K]>>;

/**
 * Temporal, MLflow, a worker and a model server with everything real: the servers are processes of their own, the
 * worker and the model server run in the test's process, so that a test can look at them.
 */
export class TestPlatform {
  readonly #closing: (() => Promise<void>)[] = [];

  private constructor(
    /** Workflows whose activities' first attempts are lost. */
    private readonly losing: Set<string>,
    /** Folder of everything; gone after {@link close}. */
    readonly folder: string,
    readonly config: PerennialConfig,
    readonly deps: ActivityDependencies,
    readonly client: Client,
    readonly server: ModelServer,
    /** The names under which activities can be run. */
    readonly activityNames: readonly string[],
  ) {}

  /** @param more where its artifacts lie (by default in its folder), the custom checks and the hosts of sources that are allowed */
  static async start(
    more: Omit<StoreSettings, 'dataDir'> &
      Pick<
        PerennialConfig,
        'modules' | 'sourceHosts' | 'sourcePrivateHosts' | 'outputHosts' | 'approvers' | 'notifyUrl'
      > = {},
  ): Promise<TestPlatform> {
    quietRuntime();
    const folder = await mkdtemp(join(tmpdir(), 'perennial-integration-'));
    const dataDir = join(folder, 'data');
    const closing: (() => Promise<void>)[] = [() => rm(folder, { recursive: true, force: true })];
    try {
      const ports = { temporal: await freePort(), temporalUi: await freePort(), mlflow: await freePort() };
      const servers = await Platform.start({
        dataDir,
        parts: ['temporal', 'mlflow'],
        ports,
        limits: { ...DEFAULT_LIMITS, graceMs: 5_000 },
      });
      closing.unshift(() => servers.stop());
      const { temporalAddress, mlflowUri = '' } = servers.status();
      const config: PerennialConfig = {
        dataDir,
        python: findPython(undefined),
        sourceRoots: [ROOT, folder],
        outputRoots: [folder],
        mlflowTrackingUri: mlflowUri,
        mlflowUi: mlflowUri,
        taskQueue: DEFAULT_TASK_QUEUE,
        ...more,
      };
      const connection = await NativeConnection.connect({ address: temporalAddress });
      closing.unshift(() => connection.close());
      const client = new Client({ connection });
      const deps = dependencies(config, () => client);
      const store = await deps.store();
      const server = await ModelServer.create({
        serverId: SERVER_ID,
        store: await openStore(config),
        routesFile: join(folder, 'routes.json'),
        logger: pino({ level: 'silent' }),
        explaining: EXPLAINING,
      });
      closing.unshift(() => server.close());
      const losing = new Set<string>();
      const activities = createActivities(deps);
      const ofServer = modelServerActivities({ config, server, store });
      closing.unshift(
        await running(
          await Worker.create({
            connection,
            taskQueue: config.taskQueue,
            workflowBundle: { codePath: await sharedBundle(WORKFLOWS) },
            activities: registered(activities),
            interceptors: losingFirstAttempts(losing),
          }),
        ),
        await running(
          await Worker.create({
            connection,
            taskQueue: modelServerTaskQueue(SERVER_ID),
            activities: registered(ofServer),
            interceptors: losingFirstAttempts(losing),
            // A cancellation comes back with a heartbeat, and those are held back for 80 % of their time-out otherwise.
            maxHeartbeatThrottleInterval: '200ms',
          }),
        ),
      );
      const names = [...Object.keys(activities), ...Object.keys(ofServer)];
      const platform = new TestPlatform(losing, folder, config, deps, client, server, names);
      platform.#closing.push(...closing);
      return platform;
    } catch (error) {
      for (const close of closing) await close();
      throw error;
    }
  }

  /** The model server as endpoints know it. */
  get serverInfo(): ModelServerInfo {
    return { serverId: SERVER_ID, url: this.server.url, taskQueue: modelServerTaskQueue(SERVER_ID) };
  }

  /** Gives the model server its lease, as its own process would. Resolves when endpoints can find it. */
  async takeLease(): Promise<void> {
    const workflowId = modelServerWorkflowId(SERVER_ID);
    await this.client.workflow.start(WORKFLOW_TYPES.modelServer, {
      workflowId,
      taskQueue: this.config.taskQueue,
      args: [this.serverInfo],
      memo: { server: this.serverInfo },
    });
    for (;;) {
      const { servers } = await this.run('listModelServers', {});
      if (servers.length > 0) return;
    }
  }

  /** From now on a test says when views are brought up to date, whatever the hour is; call it after the first time. */
  async pauseFeatures(pipeline: string): Promise<void> {
    await this.client.schedule.getHandle(featuresScheduleId(pipeline)).pause();
  }

  /** Runs an activity as {@link run} does, as the attempt that follows a lost one. */
  runAgain<K extends ActivityName>(name: K, input: InputOf<K>): Promise<OutputOf<K>> {
    const workflowId = `${name}-${randomUUID()}`;
    this.losing.add(workflowId);
    return this.run(name, input, workflowId);
  }

  /** Runs one activity by a workflow; throws the activity's own failure. */
  async run<K extends ActivityName>(
    name: K,
    input: InputOf<K>,
    workflowId = `${name}-${randomUUID()}`,
  ): Promise<OutputOf<K>> {
    const onServer = ['holdLease', 'applyRoutes', 'precheck', 'observeTraffic', 'readCounters'].includes(
      name,
    );
    const argument = {
      type: `${ACTIVITY_PREFIX}${name}`,
      input,
      attempts: this.losing.has(workflowId) ? 2 : 1,
      ...(onServer ? { taskQueue: this.serverInfo.taskQueue } : {}),
    };
    try {
      return await this.client.workflow.execute('oneActivity', {
        workflowId,
        taskQueue: this.config.taskQueue,
        args: [argument],
      });
    } catch (error) {
      const cause = error instanceof WorkflowFailedError ? error.cause : undefined;
      throw cause instanceof ActivityFailure && cause.cause ? cause.cause : error;
    }
  }

  async close(): Promise<void> {
    for (const close of this.#closing) await close();
  }
}

/** What Temporal sees of a worker that is killed before its activity did anything. */
const losingFirstAttempts = (losing: ReadonlySet<string>): WorkerInterceptors => ({
  activity: [
    ({ info }) => ({
      inbound: {
        execute: async (input, next) => {
          if (info.attempt === 1 && losing.has(info.workflowExecution?.workflowId ?? ''))
            throw new Error('this attempt is lost');
          return next(input);
        },
      },
    }),
  ],
});

/** Starts a worker; the answer stops it. */
async function running(worker: Worker): Promise<() => Promise<void>> {
  const ended = worker.run();
  return async () => {
    worker.shutdown();
    await ended;
  };
}

let quiet = false;
/** One runtime per process; a refused activity is the subject of a test, not news. */
function quietRuntime(): void {
  if (quiet) return;
  quiet = true;
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [] });
}
