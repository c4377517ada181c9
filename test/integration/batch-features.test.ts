import { mkdtemp, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BatchClient } from '../../client/batch-scoring.ts';
import {
  type BatchRequest,
  type BatchScoringInput,
  batchScoringInput,
  type TakenBatch,
} from '../../contracts/batch-scoring.ts';
import { type PipelineSpec, pipelineSpec } from '../../contracts/spec/pipeline.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { Person } from '../../lib/erasure/person.ts';
import { Suppressions } from '../../lib/erasure/suppressions.ts';
import { Secrets } from '../../lib/secrets.ts';
import { failure } from '../support/failures.ts';
import { randomNumbers } from '../support/feature-world.ts';
import { type FinishedRun, runToRegistration } from '../support/integration-lifecycle.ts';
import { TestPlatform } from '../support/integration-platform.ts';

const ROWS = 2_000;
const COLUMNS = ['total_1h', 'total_1d', 'payments_1h', 'payments_1d'].map((name) => `spending_${name}`);

let platform: TestPlatform;
let run: FinishedRun;
let batches: BatchClient;
let database: Database;
let file: string;

/** Payments with thirds, whose sums hang on the order in which they are added. */
function payments(): string {
  const next = randomNumbers(7);
  const rows = Array.from({ length: ROWS }, (_, i) => {
    const paid = new Date(Date.UTC(2026, 9, 1) + Math.floor(next() * 20 * 86_400_000)).toISOString();
    const card = `c${Math.floor(next() * 20)}`;
    return `${i},${i % 97 === 0 ? '' : card},${paid},${(1 + next() * 90) / 3},${next() < 0.3 ? 1 : 0}`;
  });
  return `id,card,paid,amount,fraud\n${rows.join('\n')}\n`;
}

function specOf(name: string, privacy: object = {}): PipelineSpec {
  return pipelineSpec.parse({
    name,
    task: 'binary',
    data: { sources: { joined: { path: file } }, sql: 'SELECT * FROM joined' },
    columns: { target: 'fraud', positive: '1', timestamp: 'paid', ignored: ['card', 'id'] },
    split: { method: 'random' },
    featureViews: {
      spending: {
        events: 'SELECT card, paid, amount FROM joined',
        entity: 'card',
        timestamp: 'paid',
        windows: ['1h', '1d'],
        features: { total: 'sum(amount)', payments: 'count(*)' },
      },
    },
    candidates: [{ trainer: 'lightgbm', maxIterations: 10, search: false }],
    privacy,
  });
}

beforeAll(async () => {
  platform = await TestPlatform.start();
  file = join(platform.folder, 'payments.csv');
  await writeFile(file, payments());
  run = await runToRegistration(platform, specOf('fraud'), { commit: null, dirty: false });
  batches = new BatchClient(platform.client, platform.config.taskQueue);
  database = await Database.create({ tempDir: join(platform.folder, 'spill') });
}, 300_000);
afterAll(async () => {
  database?.close();
  await platform?.close();
}, 60_000);

const inputOf = (changes: Partial<BatchScoringInput> = {}): BatchScoringInput => ({
  model: 'fraud',
  version: '1',
  source: { path: file },
  output: `${platform.folder}/scores/`,
  ...changes,
});

async function score(changes: Partial<BatchScoringInput>) {
  const { workflowId } = await batches.start(inputOf(changes));
  return batches.result(workflowId);
}

function requestOf(changes: Partial<BatchScoringInput>): BatchRequest {
  const {
    carried: _c,
    chunksPerRun: _n,
    parallel: _p,
    deadline: _d,
    ...request
  } = batchScoringInput.parse(inputOf(changes));
  return request;
}

/** Takes the rows alone. */
async function take(changes: Partial<BatchScoringInput>, at: string): Promise<TakenBatch> {
  const request = requestOf(changes);
  const batchId = `take-${at}`;
  const { model, version } = await platform.run('openBatch', {
    ...{ request, batchId, run: { workflowId: batchId, runId: 'r' } },
  });
  return platform.run('takeBatch', { request, model, version, at });
}

const rowsOf = async (path: string, columns: readonly string[]) =>
  database.rows(`SELECT ${columns.join(', ')} FROM read_parquet('${path}') ORDER BY id`);

describe('rows with keys and times', () => {
  it('get what the version was trained on, bit for bit, also where it was never deployed', async () => {
    const result = await score({ batchId: 'keys', passThrough: ['id', 'card', ...COLUMNS], features: true });
    expect(result.features).toEqual({ given: [], joined: ['spending'], asOf: { column: 'paid' } });
    expect(result).toMatchObject({ rows: ROWS, invalid: 0, missingInputs: [] });
    const store = await platform.deps.store();
    const trained = await rowsOf(await store.path(run.ingest.table.artifact), ['id', ...COLUMNS]);
    const scored = await rowsOf(result.output.destination, ['id', ...COLUMNS]);
    expect(scored).toEqual(trained);
    expect(new Set(trained.map(({ spending_total_1d }) => spending_total_1d)).size).toBeGreaterThan(ROWS / 2);
    const inputs = await rowsOf(
      result.output.destination,
      COLUMNS.map((name) => `input_${name} IS NOT DISTINCT FROM CAST(${name} AS FLOAT) AS ${name}`),
    );
    expect(inputs).toEqual(inputs.map(() => Object.fromEntries(COLUMNS.map((name) => [name, true]))));
    // A row without a key is one without values.
    const nobody = `SELECT count(*) AS n, count(spending_payments_1d) AS known FROM read_parquet('${result.output.destination}') WHERE card IS NULL`;
    expect(await database.row(nobody)).toEqual({ n: Math.ceil(ROWS / 97), known: 0 });
  });

  it('are answered as rows that bring the columns themselves, which are taken as they are', async () => {
    const store = await platform.deps.store();
    const table = join(platform.folder, 'given.parquet');
    await database.copyToParquet(
      `SELECT * EXCLUDE (card) FROM read_parquet('${await store.path(run.ingest.table.artifact)}')`,
      table,
    );
    const given = await score({ batchId: 'given', source: { path: table } });
    expect(given.features).toEqual({ given: ['spending'], joined: [], asOf: null });
    const joined = await score({ batchId: 'all' });
    const answers = ['id', 'output_label', 'output_probability'];
    expect(await rowsOf(given.output.destination, answers)).toEqual(
      await rowsOf(joined.output.destination, answers),
    );
    const names = (await database.columns(`read_parquet('${joined.output.destination}')`)).map(
      ({ name }) => name,
    );
    expect(names).toContain('card');
    expect(names).not.toContain(COLUMNS[0]);
  });
});

describe('rows without a time', () => {
  const sql = 'SELECT DISTINCT ON (card) card, amount, id FROM source ORDER BY card, id';
  const at = '2026-10-11T12:00:00.000Z';

  it('get what was known when the batch was started, in every attempt', async () => {
    const [first, second] = [await take({ sql }, at), await take({ sql }, at)];
    expect(first.features).toEqual({ given: [], joined: ['spending'], asOf: { at } });
    expect(second.table).toEqual(first.table);
    const store = await platform.deps.store();
    const rows = await database.rows(
      `SELECT card, spending_payments_1d AS payments, spending_total_1h AS total FROM read_parquet('${await store.path(first.table)}') WHERE card IS NOT NULL ORDER BY card`,
    );
    const since = (hours: number) => `paid >= TIMESTAMP '2026-10-11 12:00' - INTERVAL ${hours} HOUR`;
    const expected = await database.rows(
      `SELECT card, (count(*) FILTER (WHERE ${since(24)}))::DOUBLE AS payments, sum(amount) FILTER (WHERE ${since(1)}) AS total
       FROM (SELECT card, amount, CAST(paid AS TIMESTAMP) AS paid FROM read_csv('${file}') WHERE card IS NOT NULL)
       WHERE paid < TIMESTAMP '2026-10-11 12:00' GROUP BY card ORDER BY card`,
    );
    expect(rows.map(({ card, payments }) => [card, payments])).toEqual(
      expected.map(({ card, payments }) => [card, payments]),
    );
    for (const [index, { total }] of rows.entries()) {
      const other = expected[index]?.total;
      expect(total).toEqual(typeof other === 'number' ? expect.closeTo(other, 9) : null);
    }
    expect((await take({ sql }, '2026-10-12T12:00:00.000Z')).table).not.toEqual(first.table);
  });

  it('may be none at all', async () => {
    const empty = await score({ batchId: 'none', sql: 'SELECT * FROM source WHERE false' });
    expect(empty).toMatchObject({ rows: 0, invalid: 0, features: { joined: ['spending'] } });
  });

  it('are as of the start of the workflow', async () => {
    const before = Date.now();
    const { features } = await score({ batchId: 'now', sql });
    const asOf = features?.asOf && 'at' in features.asOf ? Date.parse(features.asOf.at) : 0;
    expect(asOf).toBeGreaterThan(before - 60_000);
    expect(asOf).toBeLessThanOrEqual(Date.now());
  });
});

describe('rows that cannot be joined', () => {
  it.each([
    [
      'without the key',
      'SELECT amount, paid FROM source',
      'ColumnMissing',
      'view spending, and the rows have neither its key (card missing) nor its columns, such as spending_total_1h',
    ],
    [
      'with a key of another type',
      'SELECT amount, paid, 1.5::DOUBLE AS card FROM source',
      'ColumnInvalid',
      'featureViews.spending.entity: card of the table is DOUBLE',
    ],
    [
      'with a column of the view in other letters',
      'SELECT amount, card, paid, 1 AS Spending_Total_1H FROM source',
      'ColumnInvalid',
      'the table has a column spending_total_1h already',
    ],
    [
      'with a time that is none',
      "SELECT amount, card, 'today' AS paid FROM source",
      'ColumnInvalid',
      'columns.timestamp: paid of the table is VARCHAR',
    ],
  ])('%s are told', async (_what, sql, code, words) => {
    const { workflowId } = await batches.start(inputOf({ sql }));
    const { type, message } = await failure(batches.result(workflowId));
    expect(type).toBe(code);
    expect(message).toContain(words);
  });

  it('since a source of the views is away', async () => {
    const own = join(platform.folder, 'own.csv');
    await writeFile(own, 'card,paid,amount\nc1,2026-10-05T00:00:00Z,3\n');
    await rename(file, `${file}.away`);
    try {
      const { workflowId } = await batches.start(inputOf({ source: { path: own } }));
      expect(await failure(batches.result(workflowId))).toMatchObject({
        type: 'SourceNotFound',
        message: expect.stringContaining('the feature views of fraud/1 cannot be joined: source joined'),
      });
    } finally {
      await rename(`${file}.away`, file);
    }
  });
});

it('personal views make the rows a secret, and events of people who were erased do not count', {
  timeout: 120_000,
}, async () => {
  const spec = specOf('private', {
    subject: ['card'],
    columns: { card: 'keep' },
    detection: { verified: 'off', likely: 'off' },
  });
  await runToRegistration(platform, spec, { commit: null, dirty: false });
  const sql = 'SELECT card, amount, id FROM source';
  const at = '2026-10-11T12:00:00.000Z';
  const store = await platform.deps.store();
  const known = async ({ table }: TakenBatch): Promise<Record<string, unknown>> => {
    const path = await store.within(await mkdtemp(join(platform.folder, 'plain-'))).path(table);
    const rows = await database.rows(
      `SELECT card, max(spending_payments_1d) AS n FROM read_parquet('${path}') WHERE card IN ('c1', 'c2') GROUP BY card ORDER BY card`,
    );
    return Object.fromEntries(rows.map(({ card, n }) => [String(card), n]));
  };
  const before = await take({ model: 'private', sql }, at);
  expect(await store.isEncrypted(before.table)).toBe(true);
  const open = await take({ sql }, '2026-10-13T12:00:00.000Z');
  expect(await store.isEncrypted(open.table)).toBe(false);
  const were = await known(before);
  expect(were.c1).toBeGreaterThan(0);
  const person = Person.of({ entity: 'c1', column: null, pipelines: ['private'] }, new Secrets({}));
  await new Suppressions(store).add(person, [], 'certificate-1', at);
  expect(await known(await take({ model: 'private', sql }, at))).toEqual({ ...were, c1: 0 });
  // Encrypted rows are kept chunk by chunk: each has the values that were joined to its rows.
  const batch = { model: 'private', passThrough: ['id', ...COLUMNS] };
  const whole = await score({ ...batch, batchId: 'whole' });
  const cut = await score({ ...batch, batchId: 'cut', chunkRows: 300 });
  expect([whole.chunks, cut.chunks]).toEqual([1, Math.ceil(ROWS / 300)]);
  const columns = ['id', 'output_probability', ...COLUMNS];
  expect(await rowsOf(cut.output.destination, columns)).toEqual(
    await rowsOf(whole.output.destination, columns),
  );
});
