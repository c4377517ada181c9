import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { beforeAll, describe, expect, it } from 'vitest';
import { featuresSpec } from '../../contracts/spec/features.ts';
import type { RawColumn } from '../../lib/features/feature-plan.ts';
import { fitFeatures, sqlTypes } from '../../lib/features/fit.ts';
import { rawColumnsSql } from '../../lib/features/raw-sql.ts';

let connection: DuckDBConnection;

beforeAll(async () => {
  connection = await (await DuckDBInstance.create(':memory:')).connect();
  await connection.run("SET TimeZone = 'Asia/Kolkata'");
});

const rows = (...columns: string[]) => `(SELECT ${columns.join(', ')} FROM range(100) AS r(i))`;
const fitColumns = async (relation: string, columns: RawColumn[], spec = {}) =>
  (await fitFeatures(connection, relation, columns, featuresSpec.parse(spec), { preset: 'linear' })).plan;
const refusal = (code: string, message: RegExp) => ({ code, message: expect.stringMatching(message) });

describe('fitFeatures', () => {
  it('leaves out columns that say nothing, keeps them as inputs, and notes why', async () => {
    const relation = rows(
      'i::DOUBLE AS x',
      '3 AS three',
      'NULL::DOUBLE AS empty',
      "'one' AS word",
      "DATE '2020-02-03' AS day",
      'CASE WHEN i < 50 THEN 1 END AS sometimes',
    );
    const plan = await fitColumns(relation, [
      { name: 'x', kind: 'numeric' },
      { name: 'three', kind: 'numeric' },
      { name: 'empty', kind: 'numeric' },
      { name: 'word', kind: 'categorical' },
      { name: 'day', kind: 'datetime' },
      { name: 'sometimes', kind: 'numeric' },
    ]);
    expect(plan.columns).toHaveLength(6);
    expect(plan.matrix.map(({ name }) => name)).toEqual(['x', 'sometimes is missing']);
    expect(plan.notes.map((note) => /"(.*)"/.exec(note)?.[1])).toEqual([
      'three',
      'empty',
      'word',
      'day',
      'sometimes',
    ]);
    expect(plan.columns[0]).toMatchObject({
      missing: 0,
      value: { fill: 49.5, offset: 49.5, scale: Math.fround(Math.sqrt((100 ** 2 - 1) / 12)) },
    });
  });

  it('learns from float32 values, without infinity and numbers that are none', async () => {
    const relation = `(VALUES (1::DOUBLE), (2), ('nan'), ('inf'), ('-inf'), (1e300), (NULL)) AS t(x)`;
    const plan = await fitColumns(relation, [{ name: 'x', kind: 'numeric' }], {
      numeric: { scale: 'minmax' },
    });
    expect(plan.columns[0]).toMatchObject({
      missing: 5,
      indicator: true,
      value: { fill: 1.5, offset: 1, scale: 1 },
    });
  });

  it('keeps the most frequent categories, ties in order of text, missing words apart', async () => {
    const relation = rows("['b', 'a', 'c', 'nan', 'None', '', '<NA>', 'NaN', 'b', 'd'][1 + i % 10] AS c");
    const plan = await fitColumns(relation, [{ name: 'c', kind: 'categorical' }], {
      categorical: { encoding: 'onehot', maxCategories: 2 },
    });
    expect(plan.columns[0]).toMatchObject({
      missing: 50,
      indicator: true,
      value: { categories: ['a', 'b'], other: true },
    });
  });

  it('keeps 10,000 categories in a table at most, the most frequent ones', async () => {
    const relation = "(SELECT 'c' || (100000 + least(i, 12000)) AS c FROM range(12100) AS r(i))";
    const plan = await fitColumns(relation, [{ name: 'c', kind: 'categorical' }], {
      categorical: { encoding: 'ordinal' },
    });
    const [column] = plan.columns;
    const categories = column?.kind === 'categorical' ? (column.value?.categories ?? []) : [];
    expect(categories).toHaveLength(10_000);
    expect(categories.at(-1)).toBe('c112000');
  });

  it('gives the same plan each time', async () => {
    const relation = '(SELECT sin(i) * 1e6 AS x, i % 97 AS c FROM range(300000) AS r(i))';
    const columns: RawColumn[] = [
      { name: 'x', kind: 'numeric' },
      { name: 'c', kind: 'categorical' },
    ];
    const [first, second] = [await fitColumns(relation, columns), await fitColumns(relation, columns)];
    expect(second).toEqual(first);
  });

  it.each<[string, string, RawColumn, string, RegExp]>([
    [
      'no rows',
      '(SELECT 1 AS x WHERE false)',
      { name: 'x', kind: 'numeric' },
      'SplitEmpty',
      /no training rows/,
    ],
    [
      'an absent column',
      rows('i AS y'),
      { name: 'x', kind: 'numeric' },
      'ColumnMissing',
      /no column "x"; they have y/,
    ],
    [
      'a list',
      rows('[i] AS x'),
      { name: 'x', kind: 'numeric' },
      'ColumnInvalid',
      /type BIGINT\[\], which cannot be a numeric/,
    ],
    [
      'words as numbers',
      rows("CASE WHEN i < 3 THEN 'many' ELSE '5' END AS x"),
      { name: 'x', kind: 'numeric' },
      'ColumnInvalid',
      /in 3 of 100 training rows it is no number/,
    ],
    [
      'only constants',
      rows('1 AS x'),
      { name: 'x', kind: 'numeric' },
      'FeatureInvalid',
      /None of the feature columns \(x\)/,
    ],
  ])('refuses %s', async (_, relation, column, code, message) => {
    await expect(fitColumns(relation, [column])).rejects.toMatchObject(refusal(code, message));
  });

  it('never shows a value in a message', async () => {
    const relation = rows("CASE WHEN i = 7 THEN 'secret-7' ELSE i::VARCHAR END AS x");
    await expect(fitColumns(relation, [{ name: 'x', kind: 'numeric' }])).rejects.toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    );
  });
});

describe('rawColumnsSql', () => {
  const NEW_YEAR = 1_577_836_800;
  it.each([
    ["DATE '2020-01-01'", NEW_YEAR],
    ["TIMESTAMP '2020-01-01 00:00:00.25'", NEW_YEAR + 0.25],
    ["TIMESTAMP_NS '2020-01-01 00:00:00'", NEW_YEAR],
    ["TIMESTAMPTZ '2020-01-01 02:00:00+02'", NEW_YEAR],
    ["'2020-01-01'", NEW_YEAR],
    ["'2020-01-01T00:00:00'", NEW_YEAR],
    ["'2020-01-01T02:00:00+02:00'", NEW_YEAR],
    ["'2019-12-31T19:00:00-0500'", NEW_YEAR],
    ["'2020-01-01 00:00:00z'", NEW_YEAR],
    [String(NEW_YEAR), NEW_YEAR],
    ["'soon'", Number.NaN],
    ["'infinity'::TIMESTAMP", Number.NaN],
    ["TIMESTAMP '10000-01-01'", Number.NaN],
    ['NULL::DATE', Number.NaN],
  ])('reads the date %s in any session time zone', async (value, seconds) => {
    await expect(read(value, 'datetime')).resolves.toBe(seconds);
  });

  it.each([
    ['true', 'boolean', 1],
    ["'false'", 'boolean', 0],
    ['1', 'boolean', 1],
    ["'nan'::DOUBLE", 'boolean', Number.NaN],
    ['1.5::DECIMAL(5, 2)', 'numeric', 1.5],
    ["' 2e1 '", 'numeric', 20],
    ['9007199254740993', 'numeric', 2 ** 53],
    ["'inf'::FLOAT", 'numeric', Number.NaN],
    ['12', 'categorical', '12'],
    ["'a'::ENUM('a', 'b')", 'categorical', 'a'],
    ['NULL::VARCHAR', 'categorical', ''],
    ["'None'", 'categorical', ''],
  ] as const)('reads %s as %s', async (value, kind, expected) => {
    await expect(read(value, kind)).resolves.toBe(expected);
  });

  async function read(value: string, kind: RawColumn['kind']): Promise<unknown> {
    const relation = `(SELECT ${value} AS "a ""b""")`;
    const sql = rawColumnsSql([{ name: 'a "b"', kind }], await sqlTypes(connection, relation));
    return (await connection.runAndReadAll(`SELECT ${sql} FROM ${relation}`)).getRowsJS()[0]?.[0];
  }
});
