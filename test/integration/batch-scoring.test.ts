import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { BatchClient } from '../../client/batch-scoring.ts';
import { loadSpec } from '../../client/spec-file.ts';
import {
  type BatchScoringInput,
  type BatchScoringResult,
  batchScoringInput,
} from '../../contracts/batch-scoring.ts';
import { pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteIdent } from '../../lib/duckdb/sql.ts';
import { failure } from '../support/failures.ts';
import { type FinishedRun, runLifecycle } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';

const BANK = join(import.meta.dirname, '../../examples/bank/pipeline.yaml');

let platform: TestPlatform;
let run: FinishedRun;
let batches: BatchClient;
let database: Database;
/** Rows like those that the model was trained on. */
let sql: string;

beforeAll(async () => {
  platform = await TestPlatform.start();
  const { input } = await loadSpec(BANK);
  const all = pipelineSpec.parse(input).data.sql;
  // Few rows to train on: what is scored is not how well the model does.
  const own = pipelineSpec.parse({
    ...input,
    data: { ...Object(input.data), sql: `SELECT * FROM (${all}) WHERE call % 10 = 0` },
    candidates: [{ trainer: 'lightgbm', maxIterations: 20 }],
  });
  sql = `WITH bank AS (SELECT * FROM source) SELECT * FROM (${all}) WHERE call % 10 = 3`;
  await platform.takeLease();
  run = await runLifecycle(platform, own, { commit: null, dirty: false });
  batches = new BatchClient(platform.client, platform.config.taskQueue);
  database = await Database.create({ tempDir: join(platform.folder, 'spill') });
}, 900_000);
afterAll(async () => {
  database?.close();
  await platform?.close();
}, 60_000);

const inputOf = (changes: Partial<BatchScoringInput> = {}): BatchScoringInput => ({
  model: run.register.modelName,
  source: { path: join(BANK, '../data/bank.csv'), delimiter: ';', rowNumber: 'call' },
  sql,
  output: `${platform.folder}/scores/`,
  chunkRows: 1_000,
  ...changes,
});
const score = async (changes: Partial<BatchScoringInput> = {}): Promise<BatchScoringResult> => {
  const { workflowId } = await batches.start(inputOf(changes));
  return batches.result(workflowId);
};

const predictions = z.object({
  predictions: z.array(z.object({ label: z.string(), probability: z.number() })),
});

describe('a batch', () => {
  it('answers every row as the model server does, and is recorded in MLflow', async () => {
    const result = await score({ batchId: 'first' });
    expect(result).toMatchObject({
      version: run.register.version,
      digest: run.model.onnx.sha256,
      invalid: 0,
      output: { destination: `${platform.folder}/scores/first.parquet`, rows: result.rows },
    });
    expect(result.chunks).toBe(Math.ceil(result.rows / 1_000));
    expect(result.chunks).toBeGreaterThan(2);
    const file = `read_parquet('${result.output.destination}')`;
    const inputs = run.model.signature.inputs.map(({ name }) => quoteIdent(name));
    const rows = await database.rows(
      `SELECT row, output_label, output_probability, to_json({${run.model.signature.inputs
        .map(
          ({ name, kind }) =>
            `${quoteIdent(name)}: ${kind === 'categorical' ? `${quoteIdent(name)}::VARCHAR` : quoteIdent(name)}`,
        )
        .join(', ')}}) AS input FROM ${file} ORDER BY row`,
    );
    expect(inputs.length).toBeGreaterThan(3);
    expect(rows.map(({ row }) => row)).toEqual(Array.from({ length: result.rows }, (_, row) => row));
    const answered = await fetch(`${platform.server.url}/endpoints/${run.register.modelName}/invocations`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ dataframe_records: rows.map(({ input }) => JSON.parse(String(input))) }),
    });
    const { predictions: expected } = predictions.parse(await answered.json());
    expect(rows.map(({ output_label, output_probability }) => [output_label, output_probability])).toEqual(
      expected.map(({ label, probability }) => [label, probability]),
    );
    const { info, data } = await platform.deps.mlflow().runs.get({ runId: result.run.runId });
    expect(info.status).toBe('FINISHED');
    expect(JSON.stringify(data)).toContain(result.digest);
  });

  it('takes over what an earlier one scored, and writes the same answers', async () => {
    const [first, second] = [await score({ batchId: 'a' }), await score({ batchId: 'b' })];
    const rows = (result: BatchScoringResult) =>
      database.rows(
        `SELECT * EXCLUDE (request_id, time) FROM read_parquet('${result.output.destination}') ORDER BY row`,
      );
    expect(await rows(second)).toEqual(await rows(first));
    const { total } = await platform.run('listCache', { limit: 500, stage: 'score' });
    expect(total).toBe(first.chunks);
  });

  it('that is started again finds its own output, and another one is refused at once', async () => {
    const output = `${platform.folder}/again.csv`;
    const first = await score({ batchId: 'again', output });
    // With other words than before: each start is on record by itself.
    const second = await score({ batchId: 'again', output, invalid: 'quarantine' });
    expect(second.output).toEqual(first.output);
    expect(second.run.runId).not.toBe(first.run.runId);
    const { workflowId } = await batches.start(inputOf({ batchId: 'other', output }));
    expect(await failure(batches.result(workflowId))).toMatchObject({ type: 'OutputExists' });
  });

  it('keeps the version that it was opened with, wherever its alias goes', async () => {
    const mlflow = platform.deps.mlflow();
    const alias = { name: run.register.modelName, alias: 'nightly' };
    await mlflow.registeredModels.setAlias({ ...alias, version: run.register.version });
    const {
      carried: _c,
      chunksPerRun: _n,
      parallel: _p,
      ...request
    } = batchScoringInput.parse(inputOf({ alias: 'nightly' }));
    const input = { request, batchId: 'moved', run: { workflowId: 'moved', runId: 'r1' } };
    const opened = await platform.run('openBatch', input);
    expect(opened.version).toBe(run.register.version);
    await mlflow.registeredModels.deleteAlias(alias);
    expect(await platform.run('openBatch', input)).toEqual(opened);
    await expect(
      platform.run('openBatch', { ...input, run: { ...input.run, runId: 'r2' } }),
    ).rejects.toMatchObject({ type: 'InputInvalid' });
  });

  it('is encrypted at rest where its rows are personal, in the store alone', async () => {
    const result = await score({
      batchId: 'personal',
      personal: ['age'],
      output: `${platform.folder}/scores/p.csv`,
    });
    const store = await platform.deps.store();
    const plain = (
      await readdir(join(platform.config.dataDir, 'artifacts', 'sha256', result.table.slice(0, 2)))
    ).filter((name) => name === result.table);
    expect(plain).toEqual([]);
    expect(await store.holds(result.table)).toBe(true);
    const lines = (await readFile(result.output.destination, 'utf8')).trimEnd().split('\n');
    expect(lines).toHaveLength(result.rows + 1);
  });

  it('goes on as a new run of its workflow, and leaves nothing in its scratch folders', async () => {
    const result = await score({ batchId: 'many', chunkRows: 500, chunksPerRun: 2 });
    expect(
      await database.row(
        `SELECT count(*) AS n, count(DISTINCT row) AS d FROM read_parquet('${result.output.destination}')`,
      ),
    ).toEqual({
      n: result.rows,
      d: result.rows,
    });
  });
});

describe('a batch that cannot be done', () => {
  it.each([
    [
      'a model that is not there',
      { model: 'nobody' },
      'InputInvalid',
      'has no version with the alias champion',
    ],
    ['a version that is not there', { version: '99' }, 'InputInvalid', 'version 99'],
    ['a folder that is not allowed', { output: '/usr/scores.csv' }, 'OutputDenied', 'PERENNIAL_OUTPUT_ROOTS'],
    ['a source that is not there', { source: '/tmp/none.csv' }, 'SourceNotFound', 'none.csv'],
    ['SQL that is none', { sql: 'DROP TABLE source' }, 'SqlInvalid', 'sql: only a SELECT'],
    ['rows without inputs', { sql: 'SELECT 1 AS x' }, 'ColumnMissing', 'none of the model'],
    [
      'a column that is not there',
      { passThrough: ['call_id'] },
      'ColumnMissing',
      'but the source has called_on, call, age',
    ],
  ])('%s is told', async (_what, changes, code, words) => {
    const { workflowId } = await batches.start(inputOf(changes));
    const { type, message } = await failure(batches.result(workflowId));
    expect(type).toBe(code);
    expect(message).toContain(words);
  });
});
