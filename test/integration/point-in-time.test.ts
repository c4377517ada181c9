import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Aggregate } from '../../contracts/serving.ts';
import { type FeatureView, featureView } from '../../contracts/spec/feature-views.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { RowTable } from '../../lib/duckdb/row-table.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { joinedAside } from '../../lib/feature-store/join-aside.ts';
import { linearCongruential } from '../support/integration-random.ts';
import { type NaiveEvent, naiveAggregate, ROUNDED } from '../support/naive-windows.ts';

const CASES = 10_000;
const MINUTE = 60_000_000;
/** 2013-01-01, in microseconds. */
const BEGIN = 1_356_998_400_000_000;
/** Moments are minutes of the first half hour: many are the same, and many lie on the edges of windows. */
const MOMENTS = 30;
const VALUES = [null, 0, 0.1, 0.2, -0.3, 1e9, -1e9, 1e-7, 3, 3, Number.POSITIVE_INFINITY, Number.NaN];
const WINDOWS = { '2m': 2 * MINUTE, '10m': 10 * MINUTE, '7d': 7 * 24 * 60 * MINUTE };
const FEATURES: Record<
  string,
  { sql: string; aggregate: Aggregate; counts?: (value: number | null) => boolean }
> = {
  rows: { sql: 'count(*)', aggregate: 'count' },
  known: { sql: 'count(amount)', aggregate: 'count' },
  large: { sql: 'count(*) FILTER (WHERE amount > 1)', aggregate: 'count' },
  total: { sql: 'sum(amount)', aggregate: 'sum' },
  mean: { sql: 'avg(amount)', aggregate: 'avg' },
  positive: { sql: 'avg(amount) FILTER (WHERE amount > 0)', aggregate: 'avg' },
  least: { sql: 'min(amount)', aggregate: 'min' },
  most: { sql: 'max(amount)', aggregate: 'max' },
  spread: { sql: 'stddev(amount)', aggregate: 'stddev_samp' },
  variance: { sql: 'var_pop(amount)', aggregate: 'var_pop' },
  latest: { sql: 'last(amount)', aggregate: 'last' },
};

interface Case {
  who: string;
  events: NaiveEvent[];
  rows: (number | null)[];
}

/** Cases of few events and rows, each of an entity of its own; every tenth row has no time. */
function cases(seed: number): Case[] {
  const random = linearCongruential(CASES * 60, seed);
  let at = 0;
  const below = (limit: number): number => Math.floor((random[at++ % random.length] ?? 0) * limit);
  const moment = (): number => BEGIN + below(MOMENTS) * MINUTE;
  return Array.from({ length: CASES }, (_, number) => {
    const events = Array.from({ length: below(12) }, () => ({
      time: moment(),
      value: VALUES[below(VALUES.length)] ?? null,
    }));
    const [first] = events;
    return {
      who: `entity ${number}`,
      // The same event a second time is another event.
      events: first && below(3) === 0 ? [...events, first] : events,
      rows: Array.from({ length: 1 + below(4) }, () => (below(10) === 0 ? null : moment())),
    };
  });
}

let folder: string;
let database: Database;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'point-in-time-'));
  database = await Database.create({ tempDir: folder });
});
afterAll(async () => {
  database.close();
  await rm(folder, { recursive: true, force: true });
});

/** Writes texts and numbers (NaN: NULL) as a Parquet file, in their order, with the columns that the SELECT makes of them. */
async function written(name: string, rows: [string, number, number][], select: string): Promise<string> {
  const path = join(folder, `${name}.parquet`);
  const table = await RowTable.create(database, name, ['text', 'double', 'double']);
  for (const [text, first, second] of rows) {
    const row = table.next();
    table.text(0, row, text);
    table.number(1, row, first);
    table.number(2, row, second);
  }
  await table.close();
  await database.copyToParquet(`SELECT ${select} FROM ${name}`, path);
  await database.run(`DROP TABLE ${name}`);
  return path;
}

const MOMENT = (column: string): string =>
  `CASE WHEN isnan(${column}) THEN NULL ELSE make_timestamp(CAST(${column} AS BIGINT)) END`;

/** Events and rows as Parquet; an event without a value is -1e300, since NaN is one of the values. */
async function files(all: readonly Case[], name: string): Promise<{ events: string; table: string }> {
  const NONE = -1e300;
  const events = all.flatMap(({ who, events: own }) =>
    own.map(({ time, value }): [string, number, number] => [who, time, value ?? NONE]),
  );
  const rows = all.flatMap(({ who, rows: own }) =>
    own.map((time, index): [string, number, number] => [who, time ?? Number.NaN, index]),
  );
  return {
    // In no order at all.
    events: await written(
      `events_${name}`,
      events.toSorted(
        (a, b) => ((Math.imul(a[1] % 1009, 31) + a[2]) % 97) - ((Math.imul(b[1] % 1009, 31) + b[2]) % 97),
      ),
      `c0 AS who, ${MOMENT('c1')} AS known, CASE WHEN c2 = ${NONE} THEN NULL ELSE c2 END AS amount`,
    ),
    table: await written(
      `rows_${name}`,
      rows,
      `c0 AS who, ${MOMENT('c1')} AS moment, CAST(c2 AS INTEGER) AS n`,
    ),
  };
}

async function joined(
  { events, table }: { events: string; table: string },
  view: FeatureView,
  name: string,
): Promise<Record<string, unknown>[]> {
  const outPath = join(folder, `${name}.parquet`);
  await joinedAside({
    sources: [{ name: 'payments', files: [events] }],
    views: { paid: view },
    tablePath: table,
    moment: { column: 'moment' },
    outPath,
    spillDir: join(folder, 'spill'),
  });
  return database.rows(`SELECT * FROM read_parquet(${quoteLiteral(outPath)})`);
}

const VIEW = featureView.parse({
  events: 'SELECT * FROM payments',
  entity: 'who',
  timestamp: 'known',
  windows: Object.keys(WINDOWS),
  features: Object.fromEntries(Object.entries(FEATURES).map(([name, { sql }]) => [name, sql])),
});

/** The events as an aggregate sees them. */
function seen(feature: string, events: readonly NaiveEvent[]): NaiveEvent[] {
  switch (feature) {
    case 'rows':
      return events.map(({ time }) => ({ time, value: 1 }));
    case 'known':
      return events.map(({ time, value }) => ({ time, value: value === null ? null : 1 }));
    case 'large':
      // NaN is greater than all numbers in SQL.
      return events.map(({ time, value }) => ({
        time,
        value: value !== null && (value > 1 || Number.isNaN(value)) ? 1 : null,
      }));
    case 'positive':
      return events.map(({ time, value }) => ({ time, value: value !== null && value > 0 ? value : null }));
    default:
      return [...events];
  }
}

it(`gives each row what was known before it: ${CASES} random cases equal a naive reference`, async () => {
  const all = cases(1);
  const rows = await joined(await files(all, 'random'), VIEW, 'joined');
  expect(rows).toHaveLength(all.reduce((sum, { rows: own }) => sum + own.length, 0));
  let at = 0;
  const wrong: unknown[] = [];
  const different = new Set<string>();
  for (const { who, events, rows: own } of all)
    for (const [n, moment] of own.entries()) {
      const row = rows[at++] ?? {};
      expect([row.who, row.n]).toEqual([who, n]);
      for (const [feature, { aggregate }] of Object.entries(FEATURES))
        for (const [window, length] of Object.entries(WINDOWS)) {
          const column = `paid_${feature}_${window}`;
          const expected =
            moment === null
              ? null
              : naiveAggregate(aggregate, seen(feature, events), { before: moment, length });
          if (!agrees(aggregate, row[column], expected))
            wrong.push({ who, column, expected, found: row[column], events, moment });
          different.add(`${column} ${String(expected)}`);
        }
    }
  expect(wrong.slice(0, 3)).toEqual([]);
  // The cases say something: every column has many values.
  for (const feature of Object.keys(FEATURES))
    for (const window of Object.keys(WINDOWS))
      expect(
        [...different].filter((one) => one.startsWith(`paid_${feature}_${window} `)).length,
      ).toBeGreaterThan(4);
}, 120_000);

function agrees(aggregate: Aggregate, found: unknown, expected: number | null): boolean {
  if (expected === null || typeof found !== 'number') return found === expected;
  if (!ROUNDED.has(aggregate)) return found === expected;
  return Math.abs(found - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
}

it('is not changed by anything that is known at the time of a row or later', async () => {
  const all = cases(2);
  const later = all.map((one) => {
    const moments = one.rows.filter((moment) => moment !== null);
    const last = Math.max(...moments, 0);
    return { ...one, rows: moments.length > 0 ? [last] : [null], events: one.events };
  });
  const withFuture = later.map((one) => ({
    ...one,
    events: [
      ...one.events.filter(({ time }) => time < (one.rows[0] ?? 0)),
      { time: one.rows[0] ?? 0, value: 5 },
      { time: (one.rows[0] ?? 0) + 1, value: 5e5 },
    ],
  }));
  const without = withFuture.map((one) => ({ ...one, events: one.events.slice(0, -2) }));
  const [future, past] = [
    await joined(await files(withFuture, 'future'), VIEW, 'future'),
    await joined(await files(without, 'past'), VIEW, 'past'),
  ];
  expect(future).toEqual(past);
}, 120_000);
