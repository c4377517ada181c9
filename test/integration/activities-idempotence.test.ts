import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { exportJWK, generateKeyPair } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { loadSpec } from '../../client/spec-file.ts';
import type { AlertNotice } from '../../contracts/alerts.ts';
import { artifactDigests } from '../../contracts/artifact-digests.ts';
import { batchScoringInput } from '../../contracts/batch-scoring.ts';
import type { EventBatch } from '../../contracts/events.ts';
import { type MonitorSettings, monitorSettings } from '../../contracts/monitoring.ts';
import { monitorScheduleId } from '../../contracts/names.ts';
import { type ArtifactRef, MEDIA_TYPES } from '../../contracts/refs.ts';
import { retrainingSettings } from '../../contracts/retraining.ts';
import { routeTable, type ServedModel } from '../../contracts/serving.ts';
import { candidate } from '../../contracts/spec/candidates.ts';
import { featureViewsSpec } from '../../contracts/spec/feature-views.ts';
import { monitoringSpec } from '../../contracts/spec/monitoring.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import type { TrialInput } from '../../contracts/training-activities.ts';
import { evidenceOf, judgeGates } from '../../domain/gates.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { storePerson } from '../../lib/erasure/person.ts';
import { RowCatalogue } from '../../lib/erasure/row-catalogue.ts';
import { subjectColumns } from '../../lib/erasure/subject-column.ts';
import { storeRows } from '../../lib/events/intake.ts';
import { writeNpy } from '../../lib/npy.ts';
import type { ArtifactStore } from '../../lib/store/artifact-store.ts';
import { auditEntryOf } from '../support/audit-entries.ts';
import { personalSpec } from '../support/erasure-fixture.ts';
import { AS_OF, NO_CACHE } from '../support/integration-lifecycle.ts';
import {
  type ActivityName,
  type InputOf,
  type OutputOf,
  TestPlatform,
} from '../support/integration-platform.ts';
import {
  finishInput,
  type TrainingGround,
  trainOutput,
  trialInput,
} from '../support/integration-training.ts';

const BANK = fileURLToPath(new URL('../../examples/bank/pipeline.yaml', import.meta.url));
const WORLD = fileURLToPath(new URL('./python/mlflow-world.py', import.meta.url));
const RUN = { workflowId: 'bank-1', runId: '00000000-0000-0000-0000-000000000001' };
const CERTIFICATE = 'certificate-1';
const CODE = { commit: '0123456789abcdef0123456789abcdef01234567', dirty: true };

/** What the activities have given so far; each case takes its input from there. */
class Story {
  readonly #outputs = new Map<ActivityName, unknown>();
  constructor(
    readonly spec: PipelineSpec,
    readonly specRef: ArtifactRef,
    /** Rows that were pushed and that no log has yet. */
    readonly pushed: EventBatch,
    /** Who is to be erased. */
    readonly person: ArtifactRef,
    /** Matrices that hold nobody's values. */
    readonly plain: TrialInput['data'],
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
    return {
      ingest: this.of('ingest'),
      validate: this.of('validate'),
      protect: this.of('protect'),
      split: this.of('split'),
      prepared: this.of('prepare'),
    };
  }

  get train() {
    return trainOutput(this.spec, [this.of('finishCandidate')]);
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
  ingest: ({ spec }) => ({ spec, cache: NO_CACHE }),
  validate: (story) => ({
    spec: story.spec,
    ingest: story.of('ingest'),
    asOf: AS_OF,
    champion: null,
    cache: NO_CACHE,
  }),
  recordArtifacts: (story) => ({
    tracking: story.of('openTracking'),
    artifacts: [{ path: 'validation/report.json', artifact: story.of('validate').report }],
  }),
  protect: (story) => ({
    spec: story.spec,
    ingest: story.of('ingest'),
    validate: story.of('validate'),
    cache: NO_CACHE,
  }),
  split: (story) => ({ spec: story.spec, protect: story.of('protect'), cache: NO_CACHE }),
  recordData: (story) => ({
    tracking: story.of('openTracking'),
    spec: story.spec,
    ingest: story.of('ingest'),
    protect: story.of('protect'),
    split: story.of('split'),
  }),
  prepare: (story) => ({ spec: story.spec, split: story.of('split'), cache: NO_CACHE }),
  proposeTrials: () => ({
    space: { C: { float: [0.01, 100], log: true } },
    direction: 'maximize',
    history: [{ parameters: { C: 1 }, state: 'trained', value: 0.8 }],
    count: 2,
    seed: 7,
  }),
  trainTrial: (story) => trialInput(groundOf(story), candidateOf(story.spec)),
  // What is encrypted, as the matrices of this story are, others cannot read.
  openRemoteTrial: (story) => ({ ...remoteTrial(story), data: story.plain }),
  judgeRemoteTrial: (story) => {
    const { iterations, bestIteration, parameters, libraries, model } = story.of('trainTrial');
    return {
      trial: remoteTrial(story),
      answer: { schemaVersion: 1, iterations, bestIteration, parameters, libraries, model },
      seconds: 1,
    };
  },
  finishCandidate: (story) => finishInput(groundOf(story), candidateOf(story.spec), story.of('trainTrial')),
  evaluate: (story) => ({
    spec: story.spec,
    train: story.train,
    tracking: story.of('openTracking'),
    ...story.data,
  }),
  explain: (story) => ({
    spec: story.spec,
    split: story.of('split'),
    prepared: story.of('prepare'),
    findings: story.of('protect').findings,
    evaluate: story.of('evaluate'),
    tracking: story.of('openTracking'),
  }),
  register: (story) => ({
    spec: story.spec,
    code: CODE,
    run: RUN,
    tracking: story.of('openTracking'),
    train: story.train,
    evaluate: story.of('evaluate'),
    explain: story.of('explain'),
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
    maxMemoryBytes: 4e9,
    requests: [],
    hostile: true,
  }),
  retireCandidate: (story) => ({
    modelName: story.of('register').modelName,
    run: RUN,
    version: story.of('register').version,
    why: 'rejected',
  }),
  listModelServers: () => ({}),
  askEndpoint: (story) => ({
    endpoint: story.spec.deployment.endpoint,
    ask: {
      update: 'withdraw',
      request: {
        requestId: 'twice',
        rollout: 'a roll-out that is not there',
        by: 'ada',
        named: true,
        reason: 'a test',
        outcome: 'withdrawn',
      },
    },
  }),
  isRunning: () => ({ workflowId: 'a workflow that is not there' }),
  registeredVersion: (story) => ({
    modelName: story.of('register').modelName,
    version: story.of('register').version,
  }),
  tagVersion: (story) => ({
    modelName: story.of('register').modelName,
    version: story.of('register').version,
    tags: { 'perennial.rollout': '{"outcome":"promoted"}' },
  }),
  announceServer: ({ platform }) => platform.serverInfo,
  applyRoutes: (story) => ({
    table: routeTable.parse({
      endpoint: endpointOf(story),
      generation: 1,
      routes: [{ model: story.model, weight: 100 }],
    }),
  }),
  observeTraffic: (story) => ({ endpoint: endpointOf(story) }),
  observeTruth: (story) => ({
    endpoint: endpointOf(story),
    versions: [story.model.version],
    since: '2026-01-01T00:00:00Z',
    until: '2026-01-02T00:00:00Z',
    task: 'binary',
    classNames: story.of('split').classNames,
    positiveClass: story.of('split').positiveClass,
    quality: 'brier_score',
    business: 'revenue',
  }),
  championTraining: (story) => ({ modelName: story.of('register').modelName }),
  currentChampion: (story) => ({ modelName: story.of('register').modelName }),
  setChampion: (story) => ({ modelName: story.of('register').modelName, version: story.model.version }),
  checkApprovers: () => ({ roles: ['risk'], quorum: 1 }),
  verifyVote: () => ({ token: 'aaaaaaaa.bbbbbbbb.cccccccc', candidate: 'a'.repeat(64), run: 'bank-1/1' }),
  notify: () => ({
    kind: 'approval.requested',
    workflowId: RUN.workflowId,
    pipeline: null,
    endpoint: null,
    version: null,
    candidate: null,
    to: [],
    text: 'a candidate waits for approval',
    url: null,
  }),
  recordAudit: () => ({ stream: 'bank-1', from: 0, entries: [auditEntryOf(0), auditEntryOf(1)] }),
  closeTracking: (story) => ({
    tracking: story.of('openTracking'),
    run: RUN,
    status: 'FINISHED',
    outcome: 'deployed',
    message: 'version 1 is in production',
    artifacts: artifactDigests([story.data, story.of('finishCandidate'), story.of('evaluate')]),
  }),
  openBatch: (story) => ({
    request: batchRequest(story),
    batchId: 'batch-1',
    run: { workflowId: 'batch-1', runId: RUN.runId },
  }),
  takeBatch: (story) => ({
    request: batchRequest(story),
    model: story.of('openBatch').model,
    version: story.of('openBatch').version,
    at: AS_OF,
  }),
  scoreChunk: (story) => ({
    plan: story.of('takeBatch').plan,
    rows: { from: 0, before: story.of('takeBatch').rows },
  }),
  gatherChunks: (story) => ({ chunks: [story.of('scoreChunk')] }),
  writeBatch: (story) => ({
    request: batchRequest(story),
    batchId: 'batch-1',
    at: AS_OF,
    opened: story.of('openBatch'),
    taken: story.of('takeBatch'),
    manifests: [story.of('gatherChunks').manifest],
  }),
  closeBatch: (story) => ({
    tracking: story.of('openBatch').tracking,
    result: null,
    status: 'FAILED',
    message: 'test',
    endedAt: AS_OF,
  }),
  collectGarbage: () => ({ keepFailedRuns: '7d', keepUnnamed: '7d', keepCache: '30d' }),
  suppressPerson: ({ person }) => ({ request: person, certificate: CERTIFICATE, at: AS_OF }),
  planErasure: ({ person }) => ({ request: person, certificate: CERTIFICATE }),
  erasePerson: (story) => ({ plan: story.of('planErasure').plan, certificate: CERTIFICATE }),
  certifyErasure: (story) => ({
    certificate: CERTIFICATE,
    at: AS_OF,
    by: 'test',
    reason: '',
    complete: true,
    findings: story.of('planErasure').findings,
  }),
  forgetRequest: (story) => ({
    certificate: CERTIFICATE,
    artifacts: [story.person, story.of('planErasure').plan],
  }),
  listCache: () => ({ limit: 100 }),
  collectCache: () => ({ keep: '30d' }),
  removeCached: () => ({ stage: 'none', all: false }),
  artifactStates: (story) => ({ digests: [story.of('evaluate').winner.model.sha256] }),
  openReproduction: (story) => ({
    modelName: story.of('register').modelName,
    version: story.of('register').version,
    startedBy: 'test',
    run: { workflowId: 'reproduction/bank/1', runId: RUN.runId },
  }),
  closeReproduction: (story) => ({
    tracking: story.of('openReproduction').tracking,
    result: null,
    status: 'FAILED',
  }),
  appendEventBatches: ({ pushed }) => ({
    log: 'calls',
    head: { manifest: null, format: null, batches: 0, rows: 0 },
    batches: [pushed],
  }),
  openEventLog: () => ({ log: 'calls' }),
  ensureRetraining: (story) => ({
    settings: retrainingSettings.parse({
      pipeline: story.spec.name,
      specRef: story.specRef,
      retraining: { on: { schedule: '0 3 1 * *', newData: { poll: '1d' } } },
    }),
  }),
  findRunEnd: () => ({ workflowId: 'a run that is not there' }),
  materializeFeatures: ({ spec }) => ({
    pipeline: spec.name,
    spec: { ...spec, featureViews: featureViewsSpec.parse({ job: BY_JOB }) },
    until: '2008-07-01T00:00:00Z',
  }),
  watchEndpoint: (story) => ({ spec: watched(story), since: '2026-11-01T00:00:00Z' }),
  readCounters: (story) => ({ endpoint: endpointOf(story) }),
  planMonitoring: (story) => ({
    endpoint: endpointOf(story),
    asOf: '2026-11-03T00:00:00Z',
    again: null,
  }),
  observeWindow: (story) => ({
    settings: monitorSettingsOf(story),
    due: { window: WINDOW, labelled: WINDOW },
    champion: story.model.version,
    counters: null,
    again: false,
  }),
  recordWindow: (story) => ({
    settings: monitorSettingsOf(story),
    summary: story.of('observeWindow'),
    alerts: { open: [], outbox: [{ channel: 'log', notice: NOTICE }] },
  }),
  logWindows: (story) => ({ settings: monitorSettingsOf(story) }),
  deliverAlert: () => ({ channel: 'log', notice: NOTICE }),
  recordDelivery: (story) => ({
    endpoint: endpointOf(story),
    notice: { id: NOTICE.id, title: NOTICE.title },
    channel: 'log',
    refused: 'PERENNIAL_MAIL_TO is not set',
  }),
  settleAlerts: (story) => ({
    endpoint: endpointOf(story),
    delivered: [{ id: NOTICE.id, channel: 'log' }],
  }),
  askRetraining: () => ({
    pipeline: 'a pipeline that has no retraining',
    tick: { asOf: WINDOW.before, champion: null },
    triggers: [],
  }),
  planBacktest: (story) => ({
    request: {
      spec: { ...watched(story) },
      policies: [{ name: 'never', retraining: null }],
      from: '2009-05-01T00:00:00Z',
      to: '2009-07-01T00:00:00Z',
      code: CODE,
      startedBy: 'test',
    },
    run: { workflowId: 'backtest-1', runId: RUN.runId },
  }),
  openBacktestModel: (story) => ({
    settings: story.of('planBacktest').settings,
    name: '2009-05-01T00:00:00Z',
    table: story.of('protect').table,
    split: story.of('split'),
    evaluate: story.of('evaluate'),
    to: '2009-07-01T00:00:00Z',
  }),
  loadBacktestModel: (story) => story.of('openBacktestModel'),
  observeBacktest: (story) => ({
    settings: story.of('planBacktest').settings,
    question: {
      window: MAY,
      model: story.of('openBacktestModel'),
      labelled: {
        window: MAY,
        parts: [
          { model: story.of('openBacktestModel'), from: MAY.from, before: MAY.before, since: MAY.from },
        ],
      },
    },
  }),
  advanceBacktest: (story) => ({
    settings: story.of('planBacktest').settings,
    policy: 0,
    place: null,
    first: story.of('openBacktestModel'),
    observed: [story.of('observeBacktest').verdicts],
    ended: null,
  }),
  judgeBacktest: (story) => ({
    settings: story.of('planBacktest').settings,
    policy: 0,
    place: story.of('advanceBacktest').place,
  }),
  closeBacktest: (story) => ({
    settings: story.of('planBacktest').settings,
    from: '2009-05-01T00:00:00Z',
    to: '2009-07-01T00:00:00Z',
    firstModelFailed: [],
    tracking: story.of('planBacktest').tracking,
    outcomes: [story.of('judgeBacktest').outcome],
  }),
  lookForNewData: ({ spec }) => ({ pipeline: spec.name }),
  holdLease: ({ platform }) => ({ serverId: platform.serverInfo.serverId }),
};

const MAY = { index: 0, from: '2009-05-01T00:00:00.000Z', before: '2009-06-01T00:00:00.000Z' };
const WINDOW = { index: 0, from: '2026-11-01T00:00:00.000Z', before: '2026-11-02T00:00:00.000Z' };

const NOTICE: AlertNotice = {
  id: 'bank.0.1',
  endpoint: 'bank',
  pipeline: 'bank',
  version: '1',
  severity: 'info',
  window: { from: WINDOW.from, before: WINDOW.before },
  title: 'bank: something is beyond its limit',
  events: [
    {
      id: 'e',
      kind: 'raised',
      key: 'quality/roc_auc/',
      check: 'quality',
      severity: 'info',
      at: WINDOW.before,
      since: WINDOW.from,
      words: 'roc_auc 0.5, at least 0.7',
      observed: 0.5,
      limit: 0.7,
    },
  ],
  next: '',
  url: null,
  plot: null,
};

const BY_JOB = {
  events: "SELECT job, balance, make_date(2008, 6, day) AS called FROM bank WHERE month = 'jun'",
  entity: 'job',
  timestamp: 'called',
  windows: ['7d'],
  features: { balance: 'avg(balance)', calls: 'count(*)' },
};

const watched = ({ spec }: Story): PipelineSpec => ({
  ...spec,
  monitoring: monitoringSpec.parse({ window: 'month', quality: { metric: 'roc_auc', min: 0.5 } }),
});

function monitorSettingsOf(story: Story): MonitorSettings {
  const { monitoring } = watched(story);
  return monitorSettings.parse({
    endpoint: endpointOf(story),
    pipeline: story.spec.name,
    specRef: story.of('watchEndpoint').specRef,
    monitoring: { ...monitoring, window: '1d' },
    since: WINDOW.from,
  });
}

/** The endpoint of the pipeline. */
const endpointOf = ({ spec }: Story): string => spec.deployment.endpoint ?? spec.name;

/** Some rows of the bank, scored with the registered version. */
function batchRequest(story: Story) {
  const {
    carried: _carried,
    chunksPerRun: _chunks,
    parallel: _lanes,
    ...request
  } = batchScoringInput.parse({
    model: story.of('register').modelName,
    version: story.of('register').version,
    source: story.spec.data.sources.bank,
    sql: `WITH bank AS (SELECT * FROM source) SELECT * FROM (${story.spec.data.sql}) WHERE call % 50 = 0`,
    output: `${story.platform.folder}/scores/`,
    invalid: 'quarantine',
    cache: 'off',
  });
  return request;
}

/** A trial of a trainer that is an activity of somebody's own worker. */
function remoteTrial(story: Story) {
  const { name, parameters } = candidateOf(story.spec);
  return trialInput(
    groundOf(story),
    candidate.parse({
      name: `${name}-elsewhere`,
      trainer: 'activity',
      activity: 'train',
      taskQueue: 'theirs',
      features: 'tree',
      parameters,
    }),
  );
}

function groundOf(story: Story): TrainingGround {
  const { split, prepared } = story.data;
  return { spec: story.spec, split, prepared, tracking: story.of('openTracking'), run: RUN };
}

function candidateOf(spec: PipelineSpec): PipelineSpec['candidates'][number] {
  const [candidate] = spec.candidates;
  if (!candidate) throw new Error('the spec has no candidate');
  return candidate;
}

function gatesOf(story: Story) {
  return judgeGates(story.spec.evaluation.gates, evidenceOf(story.of('evaluate')));
}

let lists: string;
let platform: TestPlatform;
let story: Story;

beforeAll(async () => {
  lists = await mkdtemp(join(tmpdir(), 'perennial-approvers-'));
  const approvers = join(lists, 'approvers.json');
  const { publicKey } = await generateKeyPair('EdDSA', { extractable: true });
  const keys = [await exportJWK(publicKey)];
  await writeFile(approvers, JSON.stringify({ approvers: [{ name: 'Ada', roles: ['risk'], keys }] }));
  platform = await TestPlatform.start({ approvers });
  const { input } = await loadSpec(BANK);
  const { sql } = pipelineSpec.parse(input).data;
  const spec = pipelineSpec.parse({
    ...input,
    data: { ...Object(input.data), sql: `SELECT * FROM (${sql}) WHERE call % 5 = 0` },
    candidates: [{ trainer: 'lightgbm', maxIterations: 30 }],
    training: { crossValidation: { method: 'stratified', folds: 2 } },
    expectations: [{ expect: 'not_null', column: 'age' }],
    privacy: { columns: { age: 'keep' } },
  });
  const store = await platform.deps.store();
  const rows = await storeRows(pushedRows(), 'jsonl', { store, dataDir: platform.config.dataDir });
  await storePeople(store);
  const person = await storePerson(store, { entity: '2', column: null, pipelines: null });
  story = new Story(spec, await store.putJson(input), rows, person, await storeMatrices(store), platform);
  await platform.takeLease();
  // Says which key of the keyring it goes by.
  await platform.deps.features();
}, 120_000);
afterAll(async () => {
  await platform?.close();
  await rm(lists, { recursive: true, force: true });
}, 60_000);

/** Feature matrices of two rows. */
async function storeMatrices(store: ArtifactStore): Promise<TrialInput['data']> {
  const npy = async (name: string, data: Float32Array | Int32Array, shape: number[]) => {
    const path = join(platform.folder, name);
    await writeNpy(path, data, shape);
    return store.putFile(path, MEDIA_TYPES.npy, { encrypt: false });
  };
  const matrix = {
    features: await npy('plain-features.npy', Float32Array.of(1, 2), [2, 1]),
    labels: await npy('plain-labels.npy', Int32Array.of(0, 1), [2]),
    rows: 2,
  };
  return { featureNames: await store.putJson(['x']), train: matrix, validation: matrix };
}

/** A table of three people, as a stage would have stored it. */
async function storePeople(store: ArtifactStore): Promise<void> {
  const path = join(platform.folder, 'people.parquet');
  const database = await Database.create({ tempDir: join(platform.folder, 'spill') });
  await database.copyToParquet('SELECT unnest([1, 2, 3]) AS customer', path);
  database.close();
  const people = personalSpec();
  await new RowCatalogue(store.documents).record(people, {
    artifact: await store.putFile(path, MEDIA_TYPES.parquet, { encrypt: true }),
    kind: 'snapshot',
    subject: subjectColumns(people, ['customer'], { state: 'raw' }),
  });
}

async function* pushedRows(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('{"call":1,"seconds":30}\n{"call":2,"seconds":12.5}\n');
}

it('every activity has a case', () => {
  expect(Object.keys(CASES).sort()).toEqual([...platform.activityNames].sort());
});

it.each(Object.keys(CASES) as ActivityName[])(
  '%s: a second time changes nothing',
  { timeout: 240_000 },
  async (name) => {
    const first = await once(name, 1);
    const before = await outsideWorld();
    const second = await once(name, 2);
    const after = await outsideWorld();
    expect(after).toEqual(before);
    expect(withoutClock(second)).toEqual(withoutClock(first));
  },
);

it('the rows that a server is checked with are encrypted like the test part that they are from', async () => {
  const store = await platform.deps.store();
  for (const artifact of [story.of('split').test.artifact, story.of('evaluate').samples])
    expect(await store.isEncrypted(artifact)).toBe(true);
});

it('features were fitted again for each fold', () => {
  const { variants, crossValidation } = story.of('prepare');
  expect(crossValidation?.folds).toHaveLength(2);
  expect(variants.tree?.folds).toHaveLength(2);
});

async function once(name: ActivityName, attempt: number): Promise<unknown> {
  if (name === 'holdLease') return heldForAMoment(attempt);
  const input = CASES[name](story) as InputOf<typeof name>;
  const output = await (attempt === 1 ? platform.run(name, input) : platform.runAgain(name, input));
  // What is scheduled comes at its hour, whatever is tried then.
  if (name === 'materializeFeatures') await platform.pauseFeatures(story.spec.name);
  if (name === 'watchEndpoint')
    await platform.client.schedule.getHandle(monitorScheduleId(endpointOf(story))).pause();
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
    audit: await filesOf(join(dataDir, 'audit')),
    features: withoutClock(await (await platform.deps.features()).views()),
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
    if (path.startsWith('cache/')) files[path] = 'a result, and when it was used';
    else if (path.startsWith('runs/'))
      files[path] = JSON.stringify(withoutClock(JSON.parse(content.toString())));
    else if (name === 'trainer-stderr.txt') files[path] = 'words of a trainer, with its times';
    else files[path] = createHash('sha256').update(content).digest('hex');
  }
  return files;
}

const CLOCK =
  /^(end_time|endedAt|last_update_time|last_updated_time|last_updated_timestamp|materializedAt|seconds|p95Ms|memoryBytes)$/;

/** Of what an activity found to do: a second time there is nothing. */
const WORK = /^(changed|written|removed)$/;

/** Without what is measured anew each time: times, and memory; everything else must be the same. */
function withoutClock(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((item) => !isTrainingTime(item)).map(withoutClock);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      CLOCK.test(key) || WORK.test(key) ? 'another each time' : withoutClock(inner),
    ]),
  );
}

/** The one metric that is a measured time: each attempt adds its own. */
const isTrainingTime = (row: unknown): boolean =>
  typeof row === 'object' && row !== null && Reflect.get(row, 'key') === 'training_seconds';
