import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BatchClient } from '../../client/batch-scoring.ts';
import { DEFAULT_TASK_QUEUE } from '../../contracts/names.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { ChaosPlatform } from '../support/e2e-chaos.ts';
import { BANK, bankSpec } from '../support/e2e-spec.ts';

const MINUTE = 60_000;
const ROWS = 400_000;
let chaos: ChaosPlatform;
let batches: BatchClient;
let database: Database;
let out: string;

beforeAll(async () => {
  chaos = await ChaosPlatform.create('batch');
  batches = new BatchClient(chaos.perennial.temporal, DEFAULT_TASK_QUEUE);
  database = await Database.create({ tempDir: join(chaos.folder, 'spill') });
  out = join(chaos.folder, 'out');
  await mkdir(out);
  const workflowId = await chaos.run('scored');
  await chaos.expectOneDeployment(workflowId, 'scored', ['logistic']);
}, 4 * MINUTE);
afterAll(async () => {
  database?.close();
  await chaos.close();
}, MINUTE);

/** Starts a batch of many rows: those of the bank, again and again. */
async function start(name: string, changes: object = {}): Promise<string> {
  const { data } = await bankSpec({});
  const { workflowId } = await batches.start({
    model: 'scored',
    source: { path: join(BANK, 'data/bank.csv'), delimiter: ';', rowNumber: 'call' },
    sql: `WITH bank AS (SELECT * FROM source) SELECT * FROM (${sqlOf(data)}) CROSS JOIN range(100) LIMIT ${ROWS}`,
    output: join(out, `${name}.parquet`),
    passThrough: ['call'],
    chunkRows: 10_000,
    ...changes,
  });
  return workflowId;
}

const sqlOf = (data: unknown): string => String(Object(data).sql);

const expectEachRowOnce = async (name: string): Promise<void> => {
  const file = join(out, `${name}.parquet`);
  expect(
    await database.row(
      `SELECT count(*) AS rows, count(DISTINCT row) AS distinct_rows, max(row) AS last, count(output_probability) AS answers, count(error) AS errors FROM read_parquet('${file}')`,
    ),
  ).toEqual({ rows: ROWS, distinct_rows: ROWS, last: ROWS - 1, answers: ROWS, errors: 0 });
};

describe.sequential('a worker that is killed', () => {
  it('in the middle of scoring leaves exactly one row of answers for each row', {
    timeout: 5 * MINUTE,
  }, async () => {
    const workflowId = await start('scoring');
    await expect
      .poll(async () => (await batches.progress(workflowId)).rows, { timeout: 2 * MINUTE, interval: 100 })
      .toBeGreaterThanOrEqual(50_000);
    await chaos.kill('worker');
    expect(await readdir(out)).toEqual([]);
    await chaos.startWorker();
    expect(await batches.result(workflowId)).toMatchObject({ rows: ROWS, invalid: 0, chunks: 40 });
    await expectEachRowOnce('scoring');
    // Chunks that were done are not done again: at most the two under way have a second attempt.
    const attempts = await chaos.attempts(workflowId, 'scoreChunk');
    expect(attempts).toHaveLength(40);
    expect(attempts.filter((attempt) => attempt > 1).length).toBeLessThanOrEqual(2);
  });

  it('in the middle of writing leaves the whole file, and nothing beside it', {
    timeout: 5 * MINUTE,
  }, async () => {
    const written = async (end: string) => (await readdir(out)).some((name) => name.endsWith(end));
    let name = '';
    // Writing takes a second: this process may miss it, and tries again.
    for (let times = 1, isWhole = true; isWhole; times++) {
      name = `writing-${times}`;
      const workflowId = await start(name);
      while (!(await written('.partial')) && !(await written(`${name}.parquet`))) await sleep(5);
      await chaos.kill('worker');
      isWhole = await written(`${name}.parquet`);
      await chaos.startWorker();
      expect(await batches.result(workflowId)).toMatchObject({ rows: ROWS });
    }
    await expectEachRowOnce(name);
    expect((await readdir(out)).filter((file) => !/^(scoring|writing-\d+)\.parquet$/.test(file))).toEqual([]);
  });
});
