import { appendFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startReproduction, statesOf } from '../../client/lineage-questions.ts';
import { snapshotUses } from '../../client/lineage-uses.ts';
import { tracedVersion } from '../../client/model-versions.ts';
import { PerennialClient } from '../../client/perennial-client.ts';
import { modelLineage } from '../../contracts/lineage.ts';
import { type ReproductionResult, reproductionResult } from '../../contracts/reproduction.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { storePerson } from '../../lib/erasure/person.ts';
import { MlflowError } from '../../packages/mlflow-client-ts/src/index.ts';
import { failure } from '../support/failures.ts';
import { type FinishedRun, runLifecycle } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';

const CODE = { commit: '0123456789abcdef0123456789abcdef01234567', dirty: true };
const ROWS = 3_000;

let platform: TestPlatform;
let perennial: PerennialClient;
let path: string;
const runs = new Map<string, FinishedRun>();

beforeAll(async () => {
  platform = await TestPlatform.start();
  perennial = new PerennialClient(platform.client, platform.config.taskQueue);
  await platform.takeLease();
  path = join(platform.folder, 'calls.csv');
  await writeFile(path, calls());
  for (const [name, candidate] of Object.entries({
    boosted: { trainer: 'lightgbm', maxIterations: 200, parameters: { num_leaves: 8, learning_rate: 0.3 } },
    straight: { trainer: 'logistic', maxIterations: 100 },
  }))
    runs.set(name, await runLifecycle(platform, specOf(name, candidate), CODE));
}, 600_000);
afterAll(async () => platform?.close(), 60_000);

/** Rows with a signal, noise, missing values and categories; the same in every run of the test. */
function calls(): string {
  let state = 7;
  const random = (): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
  const lines = Array.from({ length: ROWS }, (_, i) => {
    const [age, balance, channel] = [20 + Math.floor(60 * random()), random(), 'abc'[i % 3] ?? 'a'];
    const answer = age / 80 + balance + (channel === 'a' ? 0.4 : 0) + random() > 1.5 ? 'bought' : 'left';
    return `c${i},${random() < 0.05 ? '' : age},${balance.toFixed(4)},${channel},${answer}`;
  });
  return `customer,age,balance,channel,answer\n${lines.join('\n')}\n`;
}

const specOf = (name: string, candidate: object, more: object = {}): PipelineSpec =>
  pipelineSpec.parse({
    name,
    task: 'binary',
    data: {
      sources: { calls: path },
      sql: 'SELECT *, balance * 2 AS twice FROM calls WHERE age IS NULL OR age < 75',
    },
    columns: { target: 'answer', positive: 'bought', entity: 'customer' },
    expectations: [
      { expect: 'range', column: 'balance', min: 0, max: 0.99, rows: 'quarantine', maxShare: 0.1 },
    ],
    candidates: [{ search: false, ...candidate }],
    evaluation: { gates: [] },
    ...more,
  });

const runOf = (name: string): FinishedRun => {
  const run = runs.get(name);
  if (!run) throw new Error(`${name} was not trained`);
  return run;
};

async function reproduced(modelName: string): Promise<ReproductionResult> {
  const { version } = runOf(modelName).register;
  return (await startReproduction(perennial, { modelName, version, startedBy: 'test' })).result();
}

describe('lineage.json', () => {
  it('leads from the version back to commit, spec, rows, seed, libraries and machine', async () => {
    const { lineage, aliases } = await tracedVersion(platform.deps.mlflow(), 'boosted');
    const run = runOf('boosted');
    expect(aliases).toEqual(['champion']);
    expect(lineage).toMatchObject({
      code: CODE,
      model: { name: 'boosted', artifact: run.evaluate.winner.model },
      data: {
        digest: run.ingest.digest,
        sources: [{ name: 'calls', snapshot: run.ingest.sources[0]?.snapshot.artifact, rows: ROWS }],
        sql: { text: expect.stringContaining('twice') },
        split: { test: { artifact: run.split.test.artifact } },
      },
      training: { trainer: 'lightgbm', seed: 42, iterations: run.evaluate.winner.iterations },
      evaluation: { metric: 'roc_auc', test: run.evaluate.test },
      parents: { champion: null },
      environment: {
        node: process.version.slice(1),
        packages: { npm: { '@duckdb/node-api': expect.any(String) }, python: { onnx: expect.any(String) } },
        locks: { python: expect.stringMatching(/^[0-9a-f]{64}$/) },
        machine: { platform: process.platform, arch: process.arch },
      },
    });
    // The spec that it holds is the spec, also when it is read again.
    expect(pipelineSpec.parse(lineage.spec.content)).toEqual(
      specOf('boosted', {
        trainer: 'lightgbm',
        maxIterations: 200,
        parameters: { num_leaves: 8, learning_rate: 0.3 },
      }),
    );
  });

  it('tells nothing of hosts and users', async () => {
    const { lineage } = await tracedVersion(platform.deps.mlflow(), 'boosted');
    const { hostname, userInfo } = await import('node:os');
    const { spec: _spec, data: _data, run: _run, ...rest } = lineage;
    const words = JSON.stringify(rest).split(/\W+/);
    expect(words).not.toContain(hostname());
    expect(Object.keys(lineage.environment)).toEqual([
      ...['perennial', 'node', 'python', 'packages', 'locks', 'machine'],
    ]);
    expect(userInfo().username.length).toBeGreaterThan(0);
  });

  it('is described in the registry, with tags and a source run', async () => {
    const { version } = runOf('boosted').register;
    const found = await platform.deps.mlflow().modelVersions.get({ name: 'boosted', version });
    expect(found.runId).toBe(runOf('boosted').tracking.runId);
    expect(found.description).toMatch(
      /^\*\*lightgbm\*\* \(lightgbm, \d+ iterations\): roc_auc \*\*0\.\d{4}\*\*/,
    );
    expect(found.description).toContain('| metric&emsp; | test&emsp; | interval&emsp; | trivial |');
    expect(found.tags).toMatchObject({ 'perennial.pipeline': 'boosted', 'perennial.trainer': 'lightgbm' });
  });
});

describe('reproduction', () => {
  it.each(['boosted', 'straight'])(
    '%s comes out again, byte for byte, whatever became of the source',
    { timeout: 300_000 },
    async (name) => {
      await appendFile(path, 'c9999,33,0.5,a,bought\n');
      const before = await registryOf(name);
      const result = await reproduced(name);
      expect(result.links.filter(({ same }) => !same)).toEqual([]);
      expect(result).toMatchObject({ verdict: 'identical', departed: null, environment: [] });
      expect(result.metrics.length).toBeGreaterThan(10);
      expect(result.metrics.filter(({ was, is }) => was !== is)).toEqual([]);
      expect(result.erased).toEqual({ people: 0, sources: [], certificates: [] });
      expect(await registryOf(name)).toEqual(before);
      const { data } = await platform.deps.mlflow().runs.get({ runId: result.run.mlflowRunId });
      expect(data.tags).toMatchObject({
        'perennial.reproduces': `${name}/${runOf(name).register.version}`,
        'perennial.verdict': 'identical',
      });
      const written = await platform.deps
        .mlflow()
        .artifacts.downloadBytes({ runId: result.run.mlflowRunId, path: 'reproduction.json' });
      expect(reproductionResult.parse(JSON.parse(Buffer.from(written).toString('utf8')))).toEqual(result);
    },
  );

  it('the snapshot is seen from below: runs, versions and reproductions of it', async () => {
    const snapshot = runOf('boosted').ingest.sources[0]?.snapshot.artifact.sha256 ?? '';
    const [use, ...others] = await snapshotUses(platform.deps.mlflow(), { digests: [snapshot.slice(0, 10)] });
    expect(others).toEqual([]);
    expect(use).toMatchObject({ sha256: snapshot, source: 'calls', rows: ROWS });
    const found = use?.tables.flatMap((table) => table.runs) ?? [];
    expect(found.flatMap(({ version }) => (version ? [version] : []))).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'boosted', aliases: ['champion'], outcome: 'deployed' }),
        expect.objectContaining({ name: 'straight', aliases: ['champion'] }),
      ]),
    );
    expect(found.filter(({ reproduces }) => reproduces === 'boosted/1')).toHaveLength(1);
    const ofSource = await snapshotUses(platform.deps.mlflow(), { source: 'calls' });
    expect(ofSource.map(({ sha256 }) => sha256)).toEqual([snapshot]);
  });

  it('a version that does not exist, or is none of ours, is named', async () => {
    const { result } = await startReproduction(perennial, { modelName: 'boosted', version: '77' });
    expect(await failure(result())).toMatchObject({
      type: 'InputInvalid',
      message: expect.stringContaining('version 77 of boosted does not exist'),
    });
    await expect(tracedVersion(platform.deps.mlflow(), 'bosted')).rejects.toThrow(
      'there is no model bosted; did you mean boosted?',
    );
    await expect(tracedVersion(platform.deps.mlflow(), 'boosted@chalenger')).rejects.toThrow(
      /boosted has no alias chalenger.* Versions: 1; aliases: champion \(1\)/,
    );
    await expect(tracedVersion(platform.deps.mlflow(), 'boosted', '12')).rejects.toThrow(
      'boosted has no version 12. Versions: 1',
    );
  });

  it('a version trained with other words departs where it was changed', { timeout: 300_000 }, async () => {
    const { modelId, version } = runOf('straight').register;
    const mlflow = platform.deps.mlflow();
    const bytes = await mlflow.artifacts.downloadBytes({ modelId, path: 'lineage.json' });
    const lineage = modelLineage.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    const tampered = structuredClone(lineage);
    Object.assign(tampered.training.trials[0]?.parameters ?? {}, { C: 0.001 });
    await mlflow.artifacts.upload({ modelId, path: 'lineage.json', body: JSON.stringify(tampered) });
    const { result } = await startReproduction(perennial, { modelName: 'straight', version });
    const found = await result();
    await mlflow.artifacts.upload({ modelId, path: 'lineage.json', body: JSON.stringify(lineage) });
    expect(found).toMatchObject({ verdict: 'different', departed: 'model' });
    expect(found.links.filter(({ same }) => !same).map(({ link }) => link)).toEqual(['model']);
    const auc = found.metrics.find(({ split, name }) => split === 'test' && name === 'roc_auc');
    expect(auc?.is).not.toBe(auc?.was);
  });

  it('a snapshot with other bytes, and one that is gone, are named before anything is done', async () => {
    const snapshot = runOf('straight').ingest.sources[0]?.snapshot.artifact;
    if (!snapshot) throw new Error('no snapshot');
    const file = await (await platform.deps.store()).path(snapshot);
    const { version } = runOf('straight').register;
    const refusal = async () => {
      const { result } = await startReproduction(perennial, { modelName: 'straight', version });
      return failure(result());
    };
    await rm(file, { force: true });
    const gone = await refusal();
    expect(gone.type).toBe('ArtifactMissing');
    expect(gone.message).toMatch(
      /^straight\/1 cannot be made again: of source calls, artifact cas:[0-9a-f]{64} .* is not in the store .*; bring it back with `perennial restore`/,
    );
    const states = await statesOf(perennial, [snapshot.sha256]);
    expect(states.get(snapshot.sha256)).toMatchObject({ stored: false, certificates: [] });
    await writeFile(file, 'other bytes');
    const other = await refusal();
    expect(other).toMatchObject({
      type: 'ArtifactCorrupt',
      message: expect.stringContaining('of source calls'),
    });
  });
});

describe('a version whose rows held somebody who was erased since', () => {
  let erased: FinishedRun;
  const snapshotOf = (run: FinishedRun): string => run.ingest.sources[0]?.snapshot.artifact.sha256 ?? '';

  beforeAll(async () => {
    await writeFile(path, calls());
    const spec = specOf(
      'people',
      { trainer: 'logistic', maxIterations: 100 },
      {
        privacy: { subject: 'customer', columns: { customer: 'keep' } },
        columns: { target: 'answer', positive: 'bought' },
      },
    );
    erased = await runLifecycle(platform, spec, CODE);
    const request = await storePerson(await platform.deps.store(), {
      entity: 'c17',
      column: null,
      pipelines: ['people'],
    });
    expect(await perennial.erase({ request, reason: 'test' })).toMatchObject({ complete: true });
  }, 600_000);

  it('is made again without them, and the answer says so', { timeout: 300_000 }, async () => {
    const { version } = erased.register;
    const result = await (await startReproduction(perennial, { modelName: 'people', version })).result();
    expect(result.erased).toMatchObject({ people: 1, sources: ['calls'] });
    expect(result).toMatchObject({ departed: 'table' });
    expect(result.verdict).not.toBe('identical');
    const words = JSON.stringify(result);
    expect(words).not.toMatch(/\bc17\b/);
  });

  it('its snapshot leads to the one that took its place, and back', async () => {
    const sha256 = snapshotOf(erased);
    const state = (await statesOf(perennial, [sha256])).get(sha256);
    expect(state).toMatchObject({ stored: true, certificates: [expect.any(String)] });
    const inForce = state?.inForce ?? '';
    expect(inForce).not.toBe(sha256);
    expect((await statesOf(perennial, [inForce])).get(inForce)?.formerly).toEqual([sha256]);
    const uses = await snapshotUses(platform.deps.mlflow(), { digests: [sha256, inForce] });
    const versions = uses.flatMap(({ tables }) =>
      tables.flatMap(({ runs: of }) => of.map((run) => run.version?.name)),
    );
    expect(versions).toContain('people');
  });
});

async function registryOf(name: string) {
  const mlflow = platform.deps.mlflow();
  const { aliases } = await mlflow.registeredModels.get({ name });
  const versions: string[] = [];
  for await (const { version } of mlflow.modelVersions.search({ filter: `name = '${name}'` }))
    versions.push(version);
  const next = await mlflow.modelVersions
    .get({ name, version: String(versions.length + 1) })
    .catch((error: unknown) => error instanceof MlflowError && error.isNotFound);
  return { aliases, versions, next };
}

it('a version with feature views comes out again, though its events changed since', {
  timeout: 300_000,
}, async () => {
  const file = join(platform.folder, 'told.csv');
  const told = calls();
  await writeFile(file, told);
  const called =
    "SELECT *, TIMESTAMP '2026-01-01' + to_minutes(CAST(substr(customer, 2) AS BIGINT)) AS called FROM calls";
  const spec = specOf(
    'viewed',
    { trainer: 'logistic', maxIterations: 50 },
    {
      data: { sources: { calls: file }, sql: called },
      columns: { target: 'answer', positive: 'bought', entity: 'customer', timestamp: 'called' },
      split: { method: 'random' },
      featureViews: {
        channel: {
          events: `SELECT channel, called, balance FROM (${called})`,
          entity: 'channel',
          timestamp: 'called',
          windows: ['1h', '1d'],
          features: { mean: 'avg(balance)', calls: 'count(*)' },
        },
      },
    },
  );
  runs.set('viewed', await runLifecycle(platform, spec, CODE));
  const [header = '', ...lines] = told.trimEnd().split('\n');
  await writeFile(file, `${[header, ...lines.toReversed().slice(500)].join('\n')}\n`);
  const result = await reproduced('viewed');
  expect(result).toMatchObject({ verdict: 'identical', departed: null });
  expect(result.links.filter(({ same }) => !same)).toEqual([]);
  const { lineage } = await tracedVersion(platform.deps.mlflow(), 'viewed');
  expect(lineage.data.table.columns).toContain('channel_mean_1h');
});
