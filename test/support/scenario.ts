import { randomUUID } from 'node:crypto';
import { activityInfo, heartbeat, sleep } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import type { ModelServerActivities, PerennialActivities } from '../../contracts/activities.ts';
import type { AppendVerdict, EventBatch, EventLogHead } from '../../contracts/events.ts';
import { ACTIVITY_PREFIX } from '../../contracts/names.ts';
import type { ModelServerInfo } from '../../contracts/serving.ts';
import { admit, type KnownBatch } from '../../domain/event-log.ts';
import { remoteRequest } from '../../domain/remote-training.ts';
import { reproductionPlan, storedArtifact } from './lineage-samples.ts';
import { quietBacktest, quietMonitoring } from './monitoring-samples.ts';
import * as samples from './samples.ts';

type Activities = PerennialActivities & ModelServerActivities;
type ActivityName = keyof Activities & string;
/** Only the parameter and the answer of an activity matter to the workflows. */
type ActivityFunction = (input: never) => Promise<unknown>;

const heldUntilCancelled = async (): Promise<never> => {
  for (;;) {
    heartbeat();
    await sleep(200);
  }
};

/** Activities that answer as the real ones do when all goes well. */
function goodActivities(world: Pick<Scenario, 'servers' | 'serverOfTask' | 'eventLog'>): Activities {
  return {
    loadSpec: async () => ({ spec: { ...samples.smallSpec() } }),
    ingest: async () => samples.ingested,
    validate: async () => samples.validated,
    protect: async () => samples.protectedData,
    split: async () => samples.parts,
    prepare: async () => samples.prepared,
    trainTrial: async ({ candidate }) => samples.trainedTrial(candidate.name, candidate.trainer),
    proposeTrials: async ({ count }) => ({ proposals: Array.from({ length: count }, () => ({})) }),
    openRemoteTrial: async ({ candidate, problem, training, data, parameters }) => ({
      request: remoteRequest({
        candidate,
        task: problem.task,
        split: problem,
        training,
        prepared: data,
        parameters,
      }),
    }),
    judgeRemoteTrial: async ({ trial: { candidate } }) =>
      samples.trainedTrial(candidate.name, candidate.trainer),
    finishCandidate: async ({ name, members: [first] }) => samples.trained(name, first?.trainer ?? ''),
    evaluate: async ({ train }) => {
      const [winner] = train.trained;
      if (!winner) throw ApplicationFailure.nonRetryable('nothing to judge', 'StageFailed');
      return samples.evaluated(winner);
    },
    explain: async () => samples.explained,
    openTracking: async () => samples.tracking,
    recordData: async () => undefined,
    recordArtifacts: async () => undefined,
    register: async () => samples.registered,
    retireCandidate: async () => undefined,
    closeTracking: async () => undefined,
    setChampion: async () => undefined,
    championTraining: async () => ({ champion: null }),
    currentChampion: async () => ({ model: null }),
    listModelServers: async () => ({ servers: world.servers }),
    announceServer: async () => undefined,
    registeredVersion: async () => ({ model: null, outcome: null }),
    tagVersion: async () => undefined,
    askEndpoint: async ({ endpoint, ask }) =>
      ask.update === 'admit'
        ? { state: 'admitted', champion: null }
        : {
            endpoint,
            version: samples.registered.version,
            previousVersion: null,
            generation: 1,
            since: new Date().toISOString(),
            servers: world.servers.map(({ serverId }) => serverId),
          },
    isRunning: async () => ({ running: true }),
    observeTruth: async ({ since, until, versions }) => ({
      since,
      until,
      versions: versions.map((version) => ({ version, rows: 0, quality: null, business: null })),
      unreadable: 0,
    }),
    checkApprovers: async () => undefined,
    verifyVote: async () => ({ state: 'refused', claimed: null, reason: 'no approvers are known here' }),
    notify: async () => undefined,
    recordAudit: async ({ from, entries }) => ({ next: from + entries.length }),
    openEventLog: async () => ({ head: { manifest: null, format: null, batches: 0, rows: 0 } }),
    appendEventBatches: async ({ head, batches }) => world.eventLog.append(head, batches),
    collectGarbage: async () => ({
      deletedArtifacts: 2,
      deletedBytes: 8_192,
      keptArtifacts: 40,
      forgottenRuns: 1,
      forgottenResults: 0,
    }),
    suppressPerson: async () => undefined,
    planErasure: async () => samples.nothingToErase,
    erasePerson: async () => ({ taken: true }),
    certifyErasure: async ({ certificate, complete, findings }) => ({ certificate, complete, ...findings }),
    forgetRequest: async () => undefined,
    listCache: async () => ({ entries: [], total: 0 }),
    removeCached: async () => ({ removed: 3, kept: 0 }),
    collectCache: async () => ({ removed: 1, kept: 2 }),
    artifactStates: async ({ digests }) => ({ states: digests.map(storedArtifact) }),
    openReproduction: async () => reproductionPlan(),
    closeReproduction: async () => undefined,
    openBatch: async () => samples.openedBatch,
    takeBatch: async () => samples.takenBatch(250),
    scoreChunk: async ({ rows }) => samples.scoredChunk(rows),
    gatherChunks: async ({ chunks }) => ({
      manifest: samples.artifact(JSON.stringify(chunks), 'application/json'),
    }),
    writeBatch: async ({ request, taken }) => samples.writtenBatch(request.output, taken.rows),
    closeBatch: async () => undefined,
    materializeFeatures: async () => ({ views: [], forgotten: [] }),
    ...quietMonitoring(),
    ...quietBacktest(),
    ensureRetraining: async () => undefined,
    findRunEnd: async () => ({ end: null }),
    lookForNewData: async () => ({ found: false, words: 'nothing is new' }),
    holdLease: heldUntilCancelled,
    applyRoutes: async ({ table }) => ({
      serverId: world.serverOfTask(),
      endpoint: table.endpoint,
      generation: table.generation,
      versions: table.routes.map(({ model }) => model.version),
    }),
    precheck: async ({ rows }) => ({
      serverId: world.serverOfTask(),
      rows,
      maxDifference: 0,
      exact: true,
      p95Ms: 1.5,
      memoryBytes: null,
      requests: 0,
      hostile: 0,
    }),
    readCounters: async () => ({
      requests: 0,
      failed: 0,
      refused: 0,
      invalidInputs: 0,
      invalidOutputs: 0,
      startedAt: 0,
    }),
    observeTraffic: async () => ({
      serverId: world.serverOfTask(),
      epoch: 'e1',
      generation: 1,
      versions: [],
    }),
  };
}

/** Manifests in memory: every state of a log that was ever given out, by the digest of its reference. */
export class FakeManifests {
  readonly #states = new Map<string, EventBatch[]>();

  /** The batches that a head stands for. */
  batches({ manifest }: Pick<EventLogHead, 'manifest'>): EventBatch[] {
    return manifest === null ? [] : (this.#states.get(manifest.sha256) ?? []);
  }

  append(head: EventLogHead, offered: EventBatch[]): { head: EventLogHead; verdicts: AppendVerdict[] } {
    const before = this.batches(head);
    const known = (id: string): KnownBatch | undefined => {
      const offset = before.findIndex(({ batchId }) => batchId === id);
      const batch = before[offset];
      return batch && { offset, sha256: batch.artifact.sha256, rows: batch.rows };
    };
    const { admitted, verdicts } = admit(
      { batches: before.length, format: head.format, known },
      offered,
      new Map(),
    );
    const after = [...before, ...admitted];
    const manifest = samples.artifact(
      JSON.stringify(after.map(({ batchId }) => batchId)),
      'application/json',
    );
    this.#states.set(manifest.sha256, after);
    return {
      head: {
        manifest: after.length > 0 ? manifest : null,
        format: after[0]?.format ?? null,
        batches: after.length,
        rows: after.reduce((sum, { rows }) => sum + rows, 0),
      },
      verdicts,
    };
  }
}

const NAMES = Object.keys(
  goodActivities({ servers: [], serverOfTask: () => '', eventLog: new FakeManifests() }),
) as ActivityName[];

const scenarios = new Map<string, Scenario>();

/**
 * What one test makes of the world: its activities, its model servers, and what was asked of them. Its `id` is part
 * of the ids of all its workflows, by which one worker serves many tests side by side.
 */
export class Scenario {
  readonly id: string;
  readonly calls: { name: ActivityName; input: unknown; server: string }[] = [];
  /** What the event log of this scenario holds. */
  readonly eventLog = new FakeManifests();
  /** The live model servers. */
  servers: ModelServerInfo[] = [];
  readonly #activities: Record<ActivityName, ActivityFunction>;

  constructor(own: Partial<Activities> = {}, id = `s${randomUUID().slice(0, 8)}`) {
    this.id = id;
    this.#activities = { ...goodActivities(this), ...own };
    scenarios.set(this.id, this);
  }

  /** What the activities do when all goes well. */
  get usual(): Activities {
    return goodActivities(this);
  }

  /** Replaces an activity from now on. */
  let<K extends ActivityName>(name: K, activity: Activities[K]): void {
    this.#activities[name] = activity;
  }

  /** A live server whose activities the test's own worker on `taskQueue` runs. */
  addServer(name: string, taskQueue: string): ModelServerInfo {
    const info = { serverId: `${this.id}-${name}`, url: 'http://127.0.0.1:1', taskQueue };
    this.servers = [...this.servers, info];
    return info;
  }

  /** Inside a server's activity: the name of the server. */
  serverOfTask(): string {
    const { taskQueue } = activityInfo();
    return this.servers.find((server) => server.taskQueue === taskQueue)?.serverId ?? taskQueue;
  }

  /** The inputs of every call of one activity, in order. */
  inputs<K extends ActivityName>(name: K): Parameters<Activities[K]>[0][] {
    return this.calls.filter((call) => call.name === name).map((call) => call.input as never);
  }

  count(name: ActivityName): number {
    return this.inputs(name).length;
  }

  perform(name: ActivityName, input: unknown): Promise<unknown> {
    this.calls.push({ name, input, server: activityInfo().taskQueue });
    return this.#activities[name](input as never);
  }
}

/** Activities for a worker: each call goes to the scenario whose id stands in the workflow's id. */
export function scenarioActivities(): Record<string, (input: unknown) => Promise<unknown>> {
  const perform =
    (name: ActivityName) =>
    (input: unknown): Promise<unknown> => {
      const { workflowId } = activityInfo().workflowExecution ?? { workflowId: '' };
      const scenario = [...scenarios.values()].find(({ id }) => workflowId.includes(id));
      if (!scenario) throw ApplicationFailure.nonRetryable(`no scenario for workflow ${workflowId}`, 'Test');
      return scenario.perform(name, input);
    };
  return Object.fromEntries(NAMES.map((name) => [`${ACTIVITY_PREFIX}${name}`, perform(name)]));
}
