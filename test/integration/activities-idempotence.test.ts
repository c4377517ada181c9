import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadSpec } from '../../client/spec-file.ts';
import { artifactDigests } from '../../contracts/artifact-digests.ts';
import type { ArtifactRef } from '../../contracts/refs.ts';
import type { ServedModel } from '../../contracts/serving.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { judgeGates } from '../../domain/gates.ts';
import {
  type ActivityName,
  type InputOf,
  type OutputOf,
  TestPlatform,
} from '../support/integration-platform.ts';

const BANK = fileURLToPath(new URL('../../examples/bank/pipeline.yaml', import.meta.url));
const WORLD = fileURLToPath(new URL('./python/mlflow-world.py', import.meta.url));
const RUN = { workflowId: 'bank-1', runId: '00000000-0000-0000-0000-000000000001' };
const CODE = { commit: '0123456789abcdef0123456789abcdef01234567', dirty: true };

/** What the activities have given so far; each case takes its input from there. */
class Story {
  readonly #outputs = new Map<ActivityName, unknown>();
  constructor(
    readonly spec: PipelineSpec,
    readonly specRef: ArtifactRef,
    readonly platform: TestPlatform,
  ) {}

  of<K extends ActivityName>(name: K): OutputOf<K> {
    if (!this.#outputs.has(name)) throw new Error(`${name} has not run`);
    return this.#outputs.get(name) as OutputOf<K>;
  }

  set(name: ActivityName, output: unknown): void {
    this.#outputs.set(name, output);
  }

  get data() {
    return { ingest: this.of('ingest'), split: this.of('split'), prepared: this.of('prepare') };
  }

  get train() {
    return { trained: [this.of('trainCandidate')], failed: [] };
  }

  get model(): ServedModel {
    const { winner, signature } = this.of('evaluate');
    return { version: this.of('register').version, onnx: winner.model, signature };
  }
}

/** An input for every activity that there is, in an order in which each finds what it needs. */
const CASES: { [K in ActivityName]: (story: Story) => InputOf<K> } = {
  loadSpec: ({ specRef }) => ({ specRef }),
  openTracking: ({ spec }) => ({ spec, code: CODE, startedBy: 'test', run: RUN }),
  ingest: ({ spec }) => ({ data: spec.data, target: spec.columns.target }),
  validate: (story) => ({ table: story.of('ingest').table, spec: story.spec }),
  split: (story) => ({ table: story.of('ingest').table, spec: story.spec }),
  recordData: (story) => ({
    tracking: story.of('openTracking'),
    spec: story.spec,
    ingest: story.of('ingest'),
    split: story.of('split'),
  }),
  prepare: (story) => ({ split: story.of('split'), spec: story.spec }),
  trainCandidate: (story) => ({
    candidate: candidateOf(story.spec),
    task: story.spec.task,
    target: story.spec.columns.target,
    training: story.spec.training,
    tracking: story.of('openTracking'),
    run: RUN,
    ...story.data,
  }),
  evaluate: (story) => ({
    spec: story.spec,
    train: story.train,
    tracking: story.of('openTracking'),
    ...story.data,
  }),
  register: (story) => ({
    spec: story.spec,
    code: CODE,
    run: RUN,
    tracking: story.of('openTracking'),
    train: story.train,
    evaluate: story.of('evaluate'),
    gates: gatesOf(story),
    ...story.data,
  }),
  precheck: (story) => ({
    endpoint: story.spec.deployment.endpoint,
    model: story.model,
    samples: story.of('evaluate').samples,
    rows: 50,
    tolerance: 1e-6,
    maxLatencyMs: 5_000,
  }),
  retireCandidate: (story) => ({
    modelName: story.of('register').modelName,
    run: RUN,
    version: story.of('register').version,
    why: 'rejected',
  }),
  listModelServers: () => ({}),
  requestDeploy: (story) => ({
    endpoint: story.spec.deployment.endpoint,
    request: { model: story.model, requestId: 'bank-1/1', requestedBy: 'bank-1' },
  }),
  announceServer: ({ platform }) => platform.serverInfo,
  applyRoutes: ({ platform }) => {
    const [table] = platform.server.tables();
    if (!table) throw new Error('nothing is served');
    return { table };
  },
  currentChampion: (story) => ({ modelName: story.of('register').modelName }),
  setChampion: (story) => ({ modelName: story.of('register').modelName, version: story.model.version }),
  closeTracking: (story) => ({
    tracking: story.of('openTracking'),
    run: RUN,
    status: 'FINISHED',
    outcome: 'deployed',
    message: 'version 1 is in production',
    artifacts: artifactDigests([story.data, story.of('trainCandidate'), story.of('evaluate')]),
  }),
  collectGarbage: () => ({ keepFailedRuns: '7d', keepUnnamed: '7d' }),
  holdLease: ({ platform }) => ({ serverId: platform.serverInfo.serverId }),
};

function candidateOf(spec: PipelineSpec): PipelineSpec['candidates'][number] {
  const [candidate] = spec.candidates;
  if (!candidate) throw new Error('the spec has no candidate');
  return candidate;
}

function gatesOf(story: Story) {
  const { test, train, baseline, champion } = story.of('evaluate');
  return judgeGates(story.spec.evaluation.gates, { test, train, baseline, champion: champion?.test ?? null });
}

let platform: TestPlatform;
let story: Story;

beforeAll(async () => {
  platform = await TestPlatform.start();
  const { input } = await loadSpec(BANK);
  const { sql } = pipelineSpec.parse(input).data;
  const spec = pipelineSpec.parse({
    ...input,
    data: { ...Object(input.data), sql: `SELECT * FROM (${sql}) WHERE call % 5 = 0` },
    candidates: [{ trainer: 'lightgbm', maxIterations: 30 }],
    expectations: [{ expect: 'not_null', column: 'age' }],
  });
  const store = await platform.deps.store();
  story = new Story(spec, await store.putJson(input), platform);
  await platform.takeLease();
}, 120_000);
afterAll(async () => platform?.close(), 60_000);

it('every activity has a case', () => {
  expect(Object.keys(CASES).sort()).toEqual([...platform.activityNames].sort());
});

it.each(Object.keys(CASES) as ActivityName[])(
  '%s: a second time changes nothing',
  { timeout: 60_000 },
  async (name) => {
    const first = await once(name, 1);
    const before = await outsideWorld();
    const second = await once(name, 2);
    const after = await outsideWorld();
    expect(after).toEqual(before);
    expect(withoutClock(second)).toEqual(withoutClock(first));
  },
);

async function once(name: ActivityName, attempt: number): Promise<unknown> {
  if (name === 'holdLease') return heldForAMoment(attempt);
  const output = await platform.run(name, CASES[name](story) as InputOf<typeof name>);
  story.set(name, output);
  return output;
}

/** The lease never ends by itself: it is taken, cancelled, and given back. */
async function heldForAMoment(attempt: number): Promise<string> {
  const workflowId = `lease-${attempt}`;
  const held = platform
    .run('holdLease', CASES.holdLease(story), workflowId)
    .catch((error: Error) => error.name);
  const handle = platform.client.workflow.getHandle(workflowId);
  const isHeld = async (): Promise<boolean> => {
    const { raw } = await handle.describe().catch(() => ({ raw: undefined }));
    return (raw?.pendingActivities ?? []).some((activity) => activity.lastHeartbeatTime);
  };
  while (!(await isHeld())) await new Promise((resolve) => setTimeout(resolve, 50));
  await handle.cancel();
  return String(await held);
}

/** All that an activity could have changed: artifacts, MLflow's database and files, and what the server serves. */
async function outsideWorld() {
  const { dataDir } = platform.config;
  const { stdout } = await promisify(execFile)(
    platform.config.python,
    [WORLD, join(dataDir, 'mlflow', 'mlflow.db')],
    { maxBuffer: 50_000_000 },
  );
  const live = await fetch(`${platform.server.url}/v2/models/${story.spec.deployment.endpoint}`);
  return {
    artifacts: await filesOf(join(dataDir, 'artifacts')),
    scratch: await filesOf(join(dataDir, 'scratch')),
    mlflowFiles: await filesOf(join(dataDir, 'mlflow', 'artifacts')),
    mlflow: withoutClock(JSON.parse(stdout)),
    routes: platform.server.tables(),
    live: [live.status, await live.text()],
  };
}

async function filesOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files: Record<string, string> = {};
  for (const { name, parentPath } of entries.filter((item) => item.isFile())) {
    const content = await readFile(join(parentPath, name));
    const path = relative(folder, join(parentPath, name));
    if (path.startsWith('runs/')) files[path] = JSON.stringify(withoutClock(JSON.parse(content.toString())));
    else if (name === 'trainer-stderr.txt') files[path] = 'words of a trainer, with its times';
    else files[path] = createHash('sha256').update(content).digest('hex');
  }
  return files;
}

const CLOCK = /^(end_time|endedAt|last_update_time|last_updated_time|last_updated_timestamp|seconds|p95Ms)$/;

/** Without times that are measured anew each time; everything else must be the same. */
function withoutClock(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => !isTrainingTime(item)).map(withoutClock);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, CLOCK.test(key) ? 'a time' : withoutClock(inner)]),
  );
}

/** The one metric that is a measured time: each attempt adds its own. */
const isTrainingTime = (row: unknown): boolean =>
  typeof row === 'object' && row !== null && Reflect.get(row, 'key') === 'training_seconds';
