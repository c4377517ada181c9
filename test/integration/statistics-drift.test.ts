import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type ComparedColumn, columnComparison } from '../../contracts/distribution-report.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { compareTables } from '../../lib/statistics/drift.ts';
import { compareNumbers } from '../../lib/statistics/number-drift.ts';
import { DataFixture } from '../support/integration-data.ts';
import { bySciPy, drawsOf, shiftedColumns } from '../support/shifted-tables.ts';

const expected = z.record(
  z.string(),
  z.object({
    psi: z.number(),
    jensenShannon: z.number(),
    ks: z.tuple([z.number(), z.number()]).optional(),
    chiSquare: z.tuple([z.number(), z.number(), z.number()]).optional(),
    newCategories: z.tuple([z.number(), z.number()]).optional(),
  }),
);

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

const relation = (path: string): string => `read_parquet(${quoteLiteral(path)})`;

/** Rows of a table in which `shift` moves the middle of most columns. */
const tableOf = (rows: number, seed: number, shift: number): string => {
  const draws = drawsOf(seed);
  const { uniform, normal } = draws;
  return `SELECT ${shiftedColumns(draws, shift)},
    -ln(${uniform(7)}) * ${1 + shift} AS skewed,
    CASE WHEN ${uniform(11)} < ${0.05 + shift / 10} THEN NULL ELSE ${normal(13)} END AS gaps,
    CASE WHEN ${uniform(19)} < 0.01 THEN 'rare-' || (i % 7 + ${Math.round(shift * 10)}) ELSE 'common' END AS rare
  FROM range(${rows}) r(i)`;
};

const COLUMNS: ComparedColumn[] = [
  { name: 'moved', kind: 'numeric' },
  { name: 'same', kind: 'numeric' },
  { name: 'whole', kind: 'numeric' },
  { name: 'skewed', kind: 'numeric' },
  { name: 'moment', kind: 'datetime' },
  { name: 'gaps', kind: 'numeric' },
  { name: 'letter', kind: 'categorical' },
  { name: 'flag', kind: 'boolean' },
  { name: 'rare', kind: 'categorical' },
];

/** Equal to nine digits, relative to the size of the number where it is small. */
const close = (found: number | undefined, wanted: number | undefined, what: string): void => {
  expect(found, what).toBeDefined();
  expect(Math.abs((found ?? 0) - (wanted ?? 0)), `${what}: ${found} is not ${wanted}`).toBeLessThanOrEqual(
    1e-9 + 1e-6 * Math.abs(wanted ?? 0),
  );
};

describe.each([
  ['large and moved', 20_000, 15_000, 0.2],
  ['large and the same', 20_000, 20_000, 0],
  ['of different sizes', 5_000, 400, 0.1],
  ['small', 90, 70, 0.3],
  ['small and the same', 200, 120, 0],
])('two tables that are %s', (name, before, after, shift) => {
  it('have the statistics of SciPy', async () => {
    const reference = await data.writeParquet(`${name}-reference.parquet`, tableOf(before, 1, 0));
    const current = await data.writeParquet(`${name}-current.parquet`, tableOf(after, 2, shift));
    const wanted = expected.parse(bySciPy('drift-reference.py', reference, current));
    const found = await compareTables(data.database, {
      reference: relation(reference),
      current: relation(current),
      columns: COLUMNS,
    });
    expect(found.map((column) => column.name)).toEqual(COLUMNS.map((column) => column.name));
    for (const column of found) {
      columnComparison.parse(column);
      const scipy = wanted[column.name];
      close(column.jensenShannon ?? undefined, scipy?.jensenShannon, `${column.name} jensenShannon`);
      close(column.psi ?? undefined, scipy?.psi, `${column.name} psi`);
      if (scipy?.ks) {
        close(column.ks?.statistic, scipy.ks[0], `${column.name} ks`);
        close(column.ks?.pValue, scipy.ks[1], `${column.name} ks p`);
        expect(column.chiSquare).toBeNull();
      } else {
        close(column.chiSquare?.statistic, scipy?.chiSquare?.[0], `${column.name} chi2`);
        expect(column.chiSquare?.dof).toBe(scipy?.chiSquare?.[1]);
        close(column.chiSquare?.pValue, scipy?.chiSquare?.[2], `${column.name} chi2 p`);
        expect(column.newCategories?.count).toBe(scipy?.newCategories?.[0]);
        close(column.newCategories?.share, scipy?.newCategories?.[1], `${column.name} new`);
        expect(column.ks).toBeNull();
      }
    }
  });
});

const compareQueries = async (
  reference: string,
  current: string,
  column: ComparedColumn = { name: 'x', kind: 'numeric' },
): Promise<z.infer<typeof columnComparison>> => {
  const [found] = await compareTables(data.database, {
    reference: `(${reference})`,
    current: `(${current})`,
    columns: [column],
  });
  return columnComparison.parse(found);
};

describe('the edges', () => {
  it('a value that holds a tenth is a bin of its own, and nothing hides below it', async () => {
    const zeros = 'SELECT CASE WHEN i < 600 THEN 0 ELSE i END AS x FROM range(1000) r(i)';
    const below = 'SELECT CASE WHEN i < 600 THEN -1 ELSE i END AS x FROM range(1000) r(i)';
    const found = await compareQueries(zeros, below);
    expect(found.bins.slice(0, 2)).toEqual([
      { label: '≤ -1', reference: 0, current: 600 },
      { label: '≤ 0', reference: 600, current: 0 },
    ]);
    expect(found.psi).toBeGreaterThan(5);
    expect(found.ks?.statistic).toBeCloseTo(0.6, 12);
  });

  it('bins of moments are named as moments', async () => {
    const days =
      "SELECT TIMESTAMP '2024-01-01 06:00:00' + to_days(CAST(i AS INTEGER)) AS x FROM range(100) r(i)";
    const { bins } = await compareQueries(days, days, { name: 'x', kind: 'datetime' });
    expect(bins[0]?.label).toBe('≤ 2024-01-10 06:00');
  });

  it('a constant that moves', async () => {
    const found = await compareQueries('SELECT 5 AS x FROM range(50)', 'SELECT 4 AS x FROM range(50)');
    expect(found).toMatchObject({ jensenShannon: 1, ks: { statistic: 1, pValue: 0 } });
    const same = await compareQueries('SELECT 5 AS x FROM range(50)', 'SELECT 5 AS x FROM range(50)');
    expect(same).toMatchObject({ psi: 0, jensenShannon: 0, ks: { statistic: 0, pValue: 1 } });
  });

  it('NULL and NaN are missing; infinities are values', async () => {
    const odd = `SELECT unnest([1, 2, 'NaN'::DOUBLE, NULL, 'inf'::DOUBLE, '-inf'::DOUBLE]) AS x`;
    const found = await compareQueries(odd, odd);
    expect(found).toMatchObject({
      values: { reference: 4, current: 4 },
      missing: { reference: 1 / 3, current: 1 / 3 },
      ks: { statistic: 0 },
      psi: 0,
    });
    const moved = await compareQueries(odd, 'SELECT unnest([1, 2]) AS x');
    expect(moved.ks?.statistic).toBeCloseTo(0.25, 12);
  });

  it('a side without values gives nulls, not numbers', async () => {
    const empty = await compareQueries('SELECT 1 AS x', 'SELECT 1 AS x WHERE false');
    expect(empty).toMatchObject({ psi: null, ks: null, values: { reference: 1, current: 0 } });
    const missing = await compareQueries('SELECT NULL::VARCHAR AS x', "SELECT 'a' AS x", {
      name: 'x',
      kind: 'categorical',
    });
    expect(missing).toMatchObject({ psi: null, chiSquare: null, missing: { reference: 1, current: 0 } });
  });

  it('new categories are counted, and the rarest beyond 10,000 count as one', async () => {
    const found = await compareQueries(
      `SELECT 'k' || i AS x FROM range(12000) r(i)`,
      `SELECT 'k' || (i + 3000) AS x FROM range(12000) r(i)`,
      { name: 'x', kind: 'categorical' },
    );
    expect(found.newCategories).toMatchObject({ count: 3000, rows: 3000, share: 0.25 });
    expect(found.newCategories?.names).toHaveLength(20);
    const bins = found.bins.reduce((total, bin) => total + bin.current, 0);
    expect(bins).toBe(12_000);
  });

  it('a column that is missing, or is no number, is a clear error without values', async () => {
    await expect(compareQueries('SELECT 1 AS y', 'SELECT 1 AS x')).rejects.toMatchObject({
      code: 'ColumnInvalid',
    });
    const refusal = await compareQueries("SELECT 'secret' AS x", "SELECT 'secret' AS x").catch(
      (error: unknown) => error,
    );
    expect(refusal).toMatchObject({ code: 'ColumnInvalid' });
    expect(String(refusal)).not.toContain('secret');
  });
});

it('a column cut into slices has the same statistics as in one piece', async () => {
  const [reference, current] = [`(${tableOf(5_000, 1, 0)})`, `(${tableOf(7_000, 2, 0.2)})`];
  for (const column of COLUMNS.filter(({ kind }) => kind === 'numeric' || kind === 'datetime')) {
    const count = async (table: string): Promise<number> =>
      Number((await data.database.row(`SELECT count(${column.name}) AS n FROM ${table}`)).n);
    const tables = { reference, current };
    const compare = (atOnce: number) =>
      count(reference).then(async (before) =>
        compareNumbers(data.database, tables, column, before, await count(current), 10, atOnce),
      );
    expect(await compare(900)).toEqual(await compare(1_000_000));
  }
});
