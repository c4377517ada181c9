import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { ComparedColumn } from '../../contracts/distribution-report.ts';
import { driftedColumn } from '../../contracts/monitoring.ts';
import { referenceProfile } from '../../contracts/monitoring-reference.ts';
import { type MonitoringSpec, monitoringSpec } from '../../contracts/spec/monitoring.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { buildReference } from '../../lib/monitoring/reference.ts';
import { type WindowStatistics, windowStatistics } from '../../lib/monitoring/window-statistics.ts';
import { DataFixture } from '../support/integration-data.ts';
import { bySciPy, drawsOf, shiftedColumns } from '../support/shifted-tables.ts';

const expected = z.record(
  z.string(),
  z.object({
    psi: z.number(),
    jensenShannon: z.number(),
    statistic: z.number(),
    p: z.number(),
    adjusted: z.number(),
    wasserstein: z.number().optional(),
    fresh: z.number().optional(),
    missing: z.tuple([z.number(), z.number()]),
  }),
);

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** Rows of a table in which `shift` moves the middle of most columns. */
const tableOf = (rows: number, seed: number, shift: number): string => {
  const draws = drawsOf(seed);
  const { uniform, normal } = draws;
  return `SELECT ${shiftedColumns(draws, shift)},
    CASE WHEN ${uniform(21)} < 0.4 + ${shift} / 10 THEN ${shift > 0 ? `-1 * (i % 2)` : 0} ELSE round(-ln(${uniform(7)}) * ${1 + shift}, 2) END AS heavy,
    CASE WHEN ${uniform(11)} < ${0.05 + shift / 10} THEN NULL ELSE ${normal(13)} * 2 END AS gaps,
    CASE WHEN ${uniform(19)} < 0.3 THEN 'often-' || ((hash(i + ${seed}) % 7) + ${Math.round(shift * 10)}) ELSE 'common' END AS fresh
  FROM range(${rows}) r(i)`;
};

const COLUMNS: ComparedColumn[] = [
  { name: 'moved', kind: 'numeric' },
  { name: 'same', kind: 'numeric' },
  { name: 'whole', kind: 'numeric' },
  { name: 'heavy', kind: 'numeric' },
  { name: 'moment', kind: 'datetime' },
  { name: 'gaps', kind: 'numeric' },
  { name: 'letter', kind: 'categorical' },
  { name: 'flag', kind: 'boolean' },
  { name: 'fresh', kind: 'categorical' },
];
const PROBLEM = { task: 'binary', classNames: ['no', 'yes'], positiveClass: 'yes' } as const;

async function statistics(
  reference: string,
  current: string,
  columns: readonly ComparedColumn[] = COLUMNS,
  drift: z.input<typeof monitoringSpec>['drift'] = {},
): Promise<WindowStatistics> {
  const profile = await buildReference(data.database, {
    version: '1',
    words: 'a table',
    features: columns,
    rows: { relation: reference, columnOf: (name) => name },
    answered: null,
    problem: { ...PROBLEM, classNames: [...PROBLEM.classNames] },
  });
  const monitoring: MonitoringSpec = monitoringSpec.parse({ drift });
  return windowStatistics(data.database, {
    reference: referenceProfile.parse(JSON.parse(JSON.stringify(profile))),
    current,
    labelled: null,
    columns: { featureOf: (name) => name, outputOf: (name) => `output_${name}` },
    monitoring,
    problem: { ...PROBLEM, classNames: [...PROBLEM.classNames] },
  });
}

const relation = (path: string): string => `read_parquet(${quoteLiteral(path)})`;

/** Equal to nine digits, relative to the size of the number where it is small. */
const close = (found: number | null | undefined, wanted: number | undefined, what: string): void =>
  expect(
    Math.abs((found ?? Number.NaN) - (wanted ?? Number.NaN)),
    `${what}: ${found} is not ${wanted}`,
  ).toBeLessThanOrEqual(1e-9 * Math.max(1, Math.abs(wanted ?? 0)));

describe.each([
  ['of as many rows', 3_500, 3_500, 0.2],
  ['of few rows', 3_900, 300, 0.4],
  ['that is the same', 2_000, 4_000, 0],
])('a window %s', (name, before, after, shift) => {
  it('has the statistics of SciPy, where the reference has at most 4,000 values', async () => {
    const reference = await data.writeParquet(`${name}-r.parquet`, tableOf(before, 1, 0));
    const current = await data.writeParquet(`${name}-c.parquet`, tableOf(after, 2, shift));
    const wanted = expected.parse(bySciPy('monitoring-reference.py', reference, current));
    const { columns, rows } = await statistics(relation(reference), relation(current));
    expect(rows).toBe(after);
    expect(columns.map((column) => column.name)).toEqual(COLUMNS.map((column) => column.name));
    for (const column of columns) {
      driftedColumn.parse(column);
      const scipy = wanted[column.name];
      const test = column.ks ?? column.chiSquare;
      close(column.psi, scipy?.psi, `${column.name} psi`);
      close(column.jensenShannon, scipy?.jensenShannon, `${column.name} jensenShannon`);
      close(test?.statistic, scipy?.statistic, `${column.name} statistic`);
      close(test?.pValue, scipy?.p, `${column.name} p`);
      close(column.adjustedPValue, scipy?.adjusted, `${column.name} adjusted p`);
      close(column.missing.reference, scipy?.missing[0], `${column.name} missing before`);
      close(column.missing.current, scipy?.missing[1], `${column.name} missing now`);
      if (scipy?.wasserstein !== undefined)
        close(column.wasserstein, scipy.wasserstein, `${column.name} wasserstein`);
      else close(column.newCategories?.share, scipy?.fresh, `${column.name} new`);
    }
  });
});

it('of more values the error is as small as the sketch says, and PSI and Jensen-Shannon have none', async () => {
  for (const shift of [0, 0.01, 0.3]) {
    const reference = await data.writeParquet(`large-r-${shift}.parquet`, tableOf(30_000, 1, 0));
    const current = await data.writeParquet(`large-c-${shift}.parquet`, tableOf(20_000, 2, shift));
    const wanted = expected.parse(bySciPy('monitoring-reference.py', reference, current));
    const { columns } = await statistics(relation(reference), relation(current));
    for (const column of columns) {
      const scipy = wanted[column.name];
      close(column.psi, scipy?.psi, `${column.name} psi`);
      close(column.jensenShannon, scipy?.jensenShannon, `${column.name} jensenShannon`);
      const statistic = (column.ks ?? column.chiSquare)?.statistic ?? Number.NaN;
      const less = (scipy?.statistic ?? 0) - statistic;
      expect(less, `${column.name} statistic`).toBeGreaterThanOrEqual(-1e-9);
      expect(less, `${column.name} statistic`).toBeLessThanOrEqual(column.ks ? 1 / 4_000 : 1e-6);
      if (scipy?.wasserstein !== undefined)
        expect(
          Math.abs((column.wasserstein ?? Number.NaN) - scipy.wasserstein),
          `${column.name} wasserstein`,
        ).toBeLessThan(2e-4);
    }
  }
});

describe('the edges', () => {
  it('a tenth of zeros that moves below zero is seen', async () => {
    const zeros = '(SELECT CASE WHEN i < 600 THEN 0 ELSE i END AS x FROM range(1000) r(i))';
    const below = '(SELECT CASE WHEN i < 600 THEN -1 ELSE i END AS x FROM range(1000) r(i))';
    const { columns } = await statistics(zeros, below, [{ name: 'x', kind: 'numeric' }]);
    expect(columns[0]?.bins.slice(0, 2)).toEqual([
      { label: '< 0', reference: 0, current: 600 },
      { label: '≤ 0', reference: 600, current: 0 },
    ]);
    expect(columns[0]?.psi).toBeGreaterThan(5);
    expect(columns[0]?.drifted).toBe(true);
  });

  it('a constant that moves has no distance in deviations, but all others', async () => {
    const { columns } = await statistics('(SELECT 5 AS x FROM range(50))', '(SELECT 4 AS x FROM range(50))', [
      { name: 'x', kind: 'numeric' },
    ]);
    expect(columns[0]).toMatchObject({ jensenShannon: 1, ks: { statistic: 1 }, wasserstein: null });
  });

  it('a column that is gone, or has no value, is missing throughout and has drifted by that', async () => {
    const { columns, multivariate } = await statistics(
      "(SELECT i AS x, 'a' AS c FROM range(500) r(i))",
      '(SELECT NULL::VARCHAR AS c FROM range(300))',
      [
        { name: 'x', kind: 'numeric' },
        { name: 'c', kind: 'categorical' },
      ],
    );
    for (const column of columns)
      expect(column).toMatchObject({
        psi: null,
        ks: null,
        chiSquare: null,
        adjustedPValue: null,
        missing: { reference: 0, current: 1 },
        drifted: true,
      });
    expect(multivariate?.rows).toBe(300);
  });

  it('an empty window has numbers of rows, and nothing that is pretended', async () => {
    const found = await statistics(
      '(SELECT i AS x, i % 3 AS y FROM range(500) r(i))',
      '(SELECT 1 AS x, 1 AS y WHERE false)',
      [
        { name: 'x', kind: 'numeric' },
        { name: 'y', kind: 'numeric' },
      ],
    );
    expect(found).toMatchObject({ rows: 0, multivariate: null, estimated: null });
    expect(found.columns[0]).toMatchObject({ psi: null, values: { reference: 500, current: 0 } });
  });

  it('new categories are told with their names and rows', async () => {
    const { columns } = await statistics(
      "(SELECT 'a' AS c FROM range(100))",
      "(SELECT CASE WHEN i < 10 THEN 'it''s new' WHEN i < 12 THEN NULL ELSE 'a' END AS c FROM range(100) r(i))",
      [{ name: 'c', kind: 'categorical' }],
    );
    expect(columns[0]?.newCategories).toEqual({ count: 1, rows: 10, share: 10 / 98, names: ["it's new"] });
    expect(columns[0]?.drifted).toBe(true);
  });

  it('of more than 10,000 categories the commonest are told apart, and none is called new', async () => {
    const { columns } = await statistics(
      "(SELECT 'k' || i AS c FROM range(12000) r(i))",
      "(SELECT 'k' || (i + 3000) AS c FROM range(12000) r(i))",
      [{ name: 'c', kind: 'categorical' }],
    );
    expect(columns[0]?.newCategories).toBeNull();
    expect(columns[0]?.bins.reduce((sum, bin) => sum + bin.current, 0)).toBe(12_000);
  });

  it('only the columns that the spec names are looked at, and an unknown one is told', async () => {
    const { columns, warnings } = await statistics(
      '(SELECT i AS x, i AS y FROM range(50) r(i))',
      '(SELECT i AS x, i AS y FROM range(50) r(i))',
      [
        { name: 'x', kind: 'numeric' },
        { name: 'y', kind: 'numeric' },
      ],
      { columns: ['y', 'z'] },
    );
    expect(columns.map(({ name }) => name)).toEqual(['y']);
    expect(warnings).toEqual(['monitoring.drift.columns: the model has no feature z']);
  });

  it('no row’s value is in the words of a refusal', async () => {
    const refusal = await statistics("(SELECT ['secret'] AS x)", "(SELECT ['secret'] AS x)", [
      { name: 'x', kind: 'numeric' },
    ]).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'ColumnInvalid' });
    expect(String(refusal)).not.toContain('secret');
  });
});
