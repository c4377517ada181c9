import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { loadSpec } from '../../client/spec-file.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../../lib/duckdb/sql.ts';
import { sqlTypes } from '../../lib/features/fit.ts';
import { rawColumnsSql } from '../../lib/features/raw-sql.ts';
import { collect, type MlflowClient } from '../../packages/mlflow-client-ts/src/index.ts';
import { type FinishedRun, runLifecycle } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';
import { type ScoringServer, serveByMlflow } from '../support/integration-scoring-server.ts';

const FLIGHTS = fileURLToPath(new URL('../../examples/flights/pipeline.yaml', import.meta.url));
const PREDICT = fileURLToPath(new URL('./python/mlflow-predict.py', import.meta.url));
const CODE = { commit: '0123456789abcdef0123456789abcdef01234567', dirty: false };
const ROWS = 10_000;
const TOLERANCE = 1e-6;

type Cell = number | string | null;
interface Frame {
  columns: string[];
  data: Cell[][];
}

let platform: TestPlatform;
let spec: PipelineSpec;
let run: FinishedRun;
let mlflow: MlflowClient;
let frame: Frame;
let ours: { label: string[]; probability: number[] };
let scoring: ScoringServer | undefined;

beforeAll(async () => {
  platform = await TestPlatform.start();
  await platform.takeLease();
  spec = await twoMonths();
  run = await runLifecycle(platform, spec, CODE);
  mlflow = platform.deps.mlflow();
  frame = await laterRows();
  ours = await askServer(`${platform.server.url}/invocations`, frame);
}, 600_000);
afterAll(async () => {
  await scoring?.stop();
  await platform?.close();
}, 60_000);

/** The example as it is, but trained on January to February; the later months stay unused. */
async function twoMonths(): Promise<PipelineSpec> {
  const { input } = await loadSpec(FLIGHTS);
  const { sql, ...data } = pipelineSpec.parse(input).data;
  const where = "departure < TIMESTAMP '2013-03-01' OR hash(flight_id) % 16 = 0";
  return pipelineSpec.parse({
    ...input,
    data: { ...data, sql: `SELECT * FROM (${sql}\n) WHERE ${where}` },
    split: {
      method: 'time',
      train: { before: '2013-02-01' },
      validation: { before: '2013-02-15' },
      test: { before: '2013-03-01' },
    },
    expectations: [{ expect: 'in_set', column: 'origin', values: ['EWR', 'JFK', 'LGA'] }],
    candidates: [
      { trainer: 'lightgbm', maxIterations: 50, parameters: { num_leaves: 31 } },
      { trainer: 'logistic', maxIterations: 30 },
    ],
  });
}

/** Flights from March on, as a client sends them: `null` for a missing value, epoch seconds for a date. */
async function laterRows(): Promise<Frame> {
  const database = await Database.create({ tempDir: join(platform.folder, 'spill') });
  try {
    const store = await platform.deps.store();
    const relation = `read_parquet(${quoteLiteral(await store.path(run.ingest.table.artifact))})`;
    const { inputs } = run.model.signature;
    const raw = rawColumnsSql(inputs, await sqlTypes(database.connection, relation));
    const rows = await database.rows(
      `SELECT ${raw} FROM (SELECT * FROM ${relation} WHERE departure >= TIMESTAMP '2013-03-01' ORDER BY flight_id LIMIT ${ROWS})`,
    );
    const cell = (value: unknown): Cell =>
      typeof value === 'number' && Number.isFinite(value)
        ? value
        : typeof value === 'string' && value !== ''
          ? value
          : null;
    return {
      columns: inputs.map(({ name }) => name),
      data: rows.map((row) => inputs.map(({ name }) => cell(row[name]))),
    };
  } finally {
    database.close();
  }
}

const predictions = z.object({
  predictions: z.union([
    z.object({ label: z.array(z.string()), probability: z.array(z.number()) }),
    z.array(z.object({ label: z.string(), probability: z.number() })),
  ]),
});

async function askServer(url: string, rows: Frame): Promise<typeof ours> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ dataframe_split: rows }),
  });
  const text = await response.text();
  expect(response.status, text.slice(0, 500)).toBe(200);
  const { predictions: found } = predictions.parse(JSON.parse(text));
  if (!Array.isArray(found)) return found;
  return {
    label: found.map((row) => row.label),
    probability: found.map((row) => row.probability),
  };
}

function largestDifference(theirs: readonly number[]): number {
  expect(theirs).toHaveLength(ROWS);
  return Math.max(...theirs.map((value, row) => Math.abs(value - (ours.probability[row] ?? Number.NaN))));
}

describe('other hosts answer as the model server does', () => {
  it('the rows are hard ones: missing values, unseen categories, dates', async () => {
    expect(frame.data).toHaveLength(ROWS);
    const { inputs } = run.model.signature;
    const missing = (kind: string): number =>
      inputs.reduce(
        (sum, input, at) =>
          sum + (input.kind === kind ? frame.data.filter((row) => row[at] === null).length : 0),
        0,
      );
    expect(missing('numeric')).toBeGreaterThan(1_000);
    expect(missing('categorical')).toBeGreaterThan(100);
    expect(inputs.map(({ kind }) => kind)).toContain('datetime');
    expect(await unseenCategories()).toBeGreaterThan(5);
    expect(new Set(ours.probability).size).toBeGreaterThan(1_000);
  });

  it('mlflow.pyfunc, also with columns of whole numbers', { timeout: 120_000 }, async () => {
    const rowsFile = join(platform.folder, 'rows.json');
    const answersFile = join(platform.folder, 'answers.json');
    await writeFile(rowsFile, JSON.stringify(frame));
    await promisify(execFile)(
      platform.config.python,
      [PREDICT, `models:/${run.register.modelName}@champion`, rowsFile, answersFile],
      {
        cwd: platform.folder,
        env: { ...process.env, MLFLOW_TRACKING_URI: platform.config.mlflowTrackingUri },
      },
    );
    const answers = z.object({ label: z.array(z.string()), probability: z.array(z.number()) });
    const theirs = z
      .object({
        answers,
        answersToIntegers: answers,
        integers: z.record(z.string(), z.string()),
        types: z.record(z.string(), z.string()),
        missing: z.number(),
      })
      .parse(JSON.parse(await readFile(answersFile, 'utf8')));
    expect(theirs.missing).toBeGreaterThan(1_000);
    expect(largestDifference(theirs.answers.probability)).toBeLessThanOrEqual(TOLERANCE);
    expect(theirs.answers.label).toEqual(ours.label);
    expect(new Set(Object.values(theirs.integers))).toEqual(new Set(['int32', 'float64']));
    expect(largestDifference(theirs.answersToIntegers.probability)).toBeLessThanOrEqual(TOLERANCE);
    const text = run.model.signature.inputs
      .filter(({ kind }) => kind === 'categorical')
      .map(({ name }) => name);
    for (const [name, type] of Object.entries(theirs.types))
      expect(type, name).toBe(text.includes(name) ? 'string' : 'double');
  });

  it('mlflow models serve', { timeout: 120_000 }, async () => {
    scoring = await serveByMlflow({
      python: platform.config.python,
      modelUri: `models:/${run.register.modelName}@champion`,
      trackingUri: platform.config.mlflowTrackingUri,
      folder: platform.folder,
    });
    const theirs = await askServer(`${scoring.url}/invocations`, frame);
    expect(largestDifference(theirs.probability)).toBeLessThanOrEqual(TOLERANCE);
    expect(theirs.label).toEqual(ours.label);
  });
});

/** Categories of {@link frame} that no training row has. */
async function unseenCategories(): Promise<number> {
  const database = await Database.create({ tempDir: join(platform.folder, 'spill') });
  try {
    const store = await platform.deps.store();
    const train = `read_parquet(${quoteLiteral(await store.path(run.split.train.artifact))})`;
    let unseen = 0;
    for (const [at, { name, kind }] of run.model.signature.inputs.entries()) {
      if (kind !== 'categorical') continue;
      const rows = await database.rows(
        `SELECT DISTINCT CAST(${quoteIdent(name)} AS VARCHAR) AS word FROM ${train}`,
      );
      const known = new Set(rows.map((row) => row.word));
      unseen += new Set(frame.data.map((row) => row[at]).filter((word) => word !== null && !known.has(word)))
        .size;
    }
    return unseen;
  } finally {
    database.close();
  }
}

describe('what MLflow holds of the run', () => {
  const artifactsOf = async (
    location: { runId: string } | { modelId: string },
    path?: string,
  ): Promise<string[]> =>
    (await collect(mlflow.artifacts.list({ ...location, ...(path ? { path } : {}) }))).map(
      (file) => file.path,
    );

  it('parameters, metrics, data sets, plots, the spec and the commit', async () => {
    const { info, data, inputs, outputs } = await mlflow.runs.get({ runId: run.tracking.runId });
    expect(info.status).toBe('FINISHED');
    expect(data.params).toMatchObject({
      task: 'binary',
      target: 'late',
      'split.method': 'time',
      'training.seed': '42',
    });
    expect(data.tags).toMatchObject({
      'mlflow.source.git.commit': CODE.commit,
      'perennial.git.dirty': 'false',
      'perennial.outcome': 'deployed',
      'perennial.model_version': `${spec.name}/${run.model.version}`,
    });
    for (const [name, value] of Object.entries(run.evaluate.test))
      expect(data.metrics.find((metric) => metric.key === `test_${name}`)?.value, name).toBe(value);
    const contexts = inputs.datasets.map(({ dataset, tags }) => [
      dataset.name,
      tags?.['mlflow.data.context'],
    ]);
    expect(contexts.sort()).toEqual([
      ['airports', 'source'],
      ['flights', 'source'],
      ['flights-delay-test', 'test'],
      ['flights-delay-train', 'train'],
      ['flights-delay-validation', 'validation'],
      ['planes', 'source'],
      ['weather', 'source'],
    ]);
    expect(outputs.models.map(({ modelId }) => modelId)).toEqual([run.register.modelId]);
    expect(await artifactsOf({ runId: run.tracking.runId })).toEqual(
      expect.arrayContaining(['spec.json', 'environment.json', 'approval.html', 'plots']),
    );
    expect(await artifactsOf({ runId: run.tracking.runId }, 'plots')).toEqual(
      expect.arrayContaining(run.evaluate.plots.map((plot) => `plots/${plot.name}.svg`)),
    );
    const bytes = await mlflow.artifacts.downloadBytes({ runId: run.tracking.runId, path: 'spec.json' });
    expect(pipelineSpec.parse(JSON.parse(Buffer.from(bytes).toString('utf8')))).toEqual(spec);
  });

  it('a child run for each candidate, with metrics for each iteration', async () => {
    const children = await collect(
      mlflow.runs.search({
        experimentIds: [run.tracking.experimentId],
        filter: `tags.\`mlflow.parentRunId\` = '${run.tracking.runId}'`,
      }),
    );
    expect(children.map((child) => child.info.runName).sort()).toEqual(['lightgbm-0', 'logistic-0']);
    for (const { info, data } of children) {
      const trained = run.train.trained.find((item) => item.mlflowRunId === info.runId);
      expect(data.params.trainer).toBe(trained?.name);
      const steps = await collect(
        mlflow.runs.metricHistory({ runId: info.runId, key: 'validation_log_loss' }),
      );
      const iterations = trained?.iterations ?? 0;
      const during = steps.filter((metric) => metric.timestamp === (info.startTime ?? 0) + metric.step);
      expect(during.length).toBeGreaterThan(trained?.name === 'lightgbm' ? 5 : 1);
      expect(new Set(during.map((metric) => metric.step)).size).toBe(during.length);
      expect(Math.max(...during.map((metric) => metric.step))).toBe(iterations);
      // What the run shows is the finished model, not its last iteration.
      // Judged on the feature matrix; the composed graph adds in another order.
      for (const [name, value] of Object.entries(trained?.validation ?? {}))
        expect(data.metrics.find((metric) => metric.key === `validation_${name}`)?.value, name).toBeCloseTo(
          value,
          6,
        );
    }
  });

  it('the model directory of docs and standards', async () => {
    const { modelId, modelName, version } = run.register;
    const files = await artifactsOf({ modelId });
    expect(files).toEqual(
      expect.arrayContaining([
        ...['MLmodel', 'model.onnx', 'requirements.txt', 'python_env.yaml', 'conda.yaml'],
        ...['input_example.json', 'pipeline.json', 'lineage.json', 'model-card.html'],
      ]),
    );
    const text = async (path: string): Promise<string> =>
      Buffer.from(await mlflow.artifacts.downloadBytes({ modelId, path })).toString('utf8');
    const mlmodel: unknown = parse(await text('MLmodel'));
    expect(mlmodel).toMatchObject({
      flavors: { onnx: { data: 'model.onnx' }, python_function: { loader_module: 'mlflow.onnx' } },
      model_id: modelId,
      run_id: run.tracking.runId,
    });
    expect(await text('requirements.txt')).toMatch(/^mlflow==\d.*\n(?:.*\n)*onnxruntime==\d/);
    expect(JSON.parse(await text('lineage.json'))).toMatchObject({
      code: CODE,
      data: { digest: run.ingest.digest, split: { train: { artifact: run.split.train.artifact } } },
      model: { artifact: run.evaluate.winner.model },
    });
    expect(JSON.parse(await text('pipeline.json'))).toMatchObject({
      spec: { name: spec.name },
      features: { schemaVersion: 2 },
    });
    const found = await mlflow.registeredModels.getByAlias({ name: modelName, alias: 'champion' });
    expect(found.version).toBe(version);
    expect(found.tags).toMatchObject({
      'perennial.outcome': 'deployed',
      'perennial.git.commit': CODE.commit,
    });
    await expect(
      mlflow.registeredModels.getByAlias({ name: modelName, alias: 'challenger' }),
    ).rejects.toThrow();
  });
});
