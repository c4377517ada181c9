import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import type { ViewParity } from '../../contracts/monitoring.ts';
import type { ServedView } from '../../contracts/serving.ts';
import { featureView } from '../../contracts/spec/feature-views.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { featureParity } from '../../lib/feature-store/parity.ts';
import { plannedView } from '../../lib/feature-store/served-views.ts';
import { planView } from '../../lib/feature-store/view-plan.ts';
import { artifact } from '../support/samples.ts';

const MODEL = artifact('model.onnx');
/** Five payments of each of twenty cards, an hour apart from each other. */
const EVENTS = `SELECT 'card ' || (i % 20) AS card, TIMESTAMP '2026-11-01 00:00:30' + to_minutes(CAST(3 * i AS BIGINT)) AS paid,
  (i * 7 % 50) / 10.0 AS amount FROM range(100) AS numbers(i)`;
const VIEW = featureView.parse({
  events: 'SELECT * FROM payments',
  entity: ['card'],
  timestamp: 'paid',
  windows: ['2h', '1d'],
  features: { total: 'sum(amount)', payments: 'count(*)' },
});

let folder: string;
let plan: ViewPlan;
let view: ServedView;
let payments: string;
/** What a server that is right has on record: questions every five minutes, by all the events before. */
let right: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'perennial-parity-'));
  payments = join(folder, 'payments.parquet');
  const database = await Database.create({ tempDir: join(folder, 'spill') });
  await database.copyToParquet(EVENTS, payments);
  await database.run(`CREATE VIEW payments AS ${EVENTS}`);
  plan = await planView(database, 'spending', VIEW);
  view = plannedView('cards/spending/1', plan);
  database.close();
  const of = (what: string, window: string): string =>
    `(SELECT ${what} FROM (${EVENTS}) AS e WHERE e.card = q.card AND e.paid < q.time AND e.paid >= q.time - INTERVAL ${window})`;
  right = `SELECT 'r' || i AS request_id, 0 AS row, time, 'champion' AS role, '1' AS version, '${MODEL.sha256}' AS digest,
      card AS entity_card, 'looked_up' AS feature_source_spending, time AS feature_until_spending,
      CAST(${of('sum(amount)', '2 HOURS')} AS FLOAT) AS input_spending_total_2h,
      CAST(${of('sum(amount)', '1 DAY')} AS FLOAT) AS input_spending_total_1d,
      CAST(${of('count(*)', '2 HOURS')} AS FLOAT) AS input_spending_payments_2h,
      CAST(${of('count(*)', '1 DAY')} AS FLOAT) AS input_spending_payments_1d
    FROM (SELECT i, 'card ' || (i % 21) AS card, TIMESTAMP '2026-11-01 00:00:00.123' + to_minutes(CAST(5 * i AS BIGINT)) AS time
      FROM range(80) AS numbers(i)) AS q`;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** What is told of a log. @param log a SELECT that may change what a server that is right has on record */
async function told(log: string, rows = 1_000): Promise<ViewParity[]> {
  const scratchDir = await mkdtemp(join(folder, 'scratch-'));
  const database = await Database.create({ tempDir: join(scratchDir, 'spill') });
  try {
    await database.run(`CREATE TABLE predictions AS ${log}`);
    return await featureParity(database, {
      model: { version: '1', onnx: MODEL, views: [view] },
      plans: new Map([[view.store, plan]]),
      sources: [{ name: 'payments', files: [payments] }],
      rows,
      scratchDir,
    });
  } finally {
    database.close();
  }
}

it('has nothing to say against a store that is right', async () => {
  expect(await told(right)).toEqual([{ view: 'spending', rows: 80, stale: 0, differing: 0, largest: 0 }]);
});

it('finds a planted difference, of a value or of one that should not be missing', async () => {
  const wrong = `SELECT * REPLACE (
    CASE WHEN request_id = 'r70' THEN input_spending_payments_1d + 1 ELSE input_spending_payments_1d END AS input_spending_payments_1d,
    CASE WHEN request_id = 'r71' THEN NULL ELSE input_spending_total_1d END AS input_spending_total_1d) FROM (${right})`;
  expect(await told(wrong)).toEqual([{ view: 'spending', rows: 80, stale: 0, differing: 2, largest: 1 }]);
});

it('finds an event that the store had twice, in every row that it is in', async () => {
  const doubled = `SELECT * REPLACE (input_spending_payments_1d + (CASE WHEN entity_card = 'card 3' AND input_spending_payments_1d > 0 THEN 1 ELSE 0 END) AS input_spending_payments_1d) FROM (${right})`;
  const [parity] = await told(doubled);
  expect(parity?.differing).toBeGreaterThan(1);
  expect(parity?.largest).toBe(1);
});

it('counts rows apart that the store could not know better: the event came after it was filled', async () => {
  const early = `SELECT * REPLACE (TIMESTAMP '2026-11-01 02:00:00' AS feature_until_spending, NULL::FLOAT AS input_spending_total_1d) FROM (${right})`;
  const [parity] = await told(early);
  expect(parity).toMatchObject({ rows: 80 });
  expect(parity?.stale).toBeGreaterThan(20);
  // Rows before that moment, of which the total was wrong all the same.
  expect(parity?.differing).toBeGreaterThan(5);
  expect((parity?.stale ?? 0) + (parity?.differing ?? 0)).toBeLessThan(80);
});

it('looks at rows that were looked up, by this version, and at no more than it is told', async () => {
  const others = `SELECT * REPLACE (CASE WHEN row_number() OVER () % 2 = 0 THEN 'given' ELSE 'looked_up' END AS feature_source_spending) FROM (${right})`;
  expect(await told(others)).toMatchObject([{ rows: 40, differing: 0 }]);
  expect(await told(right, 10)).toMatchObject([{ rows: 10, differing: 0 }]);
  expect(await told(`SELECT * REPLACE ('2' AS version) FROM (${right})`)).toEqual([]);
  expect(await told(`SELECT * EXCLUDE (feature_until_spending) FROM (${right})`)).toEqual([]);
});
