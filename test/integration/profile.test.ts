import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type ColumnProfile, type TableProfile, tableProfile } from '../../contracts/profile.ts';
import { expectation } from '../../contracts/spec/expectations.ts';
import { runExpectations } from '../../lib/expectations/run.ts';
import { expectationsYaml } from '../../lib/profile/expectations-yaml.ts';
import { inferExpectations } from '../../lib/profile/infer.ts';
import { profileTable } from '../../lib/profile/profile.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** 1,000 rows whose every figure can be said beforehand. */
const KNOWN = `SELECT i AS id, i % 10 AS digit, i / 4.0 AS quarter,
  CASE WHEN i % 4 = 0 THEN NULL ELSE CAST(i AS DOUBLE) END AS gaps,
  CASE WHEN i = 5 THEN 'inf'::DOUBLE WHEN i = 6 THEN 'NaN'::DOUBLE ELSE -i END AS odd,
  'AB-' || lpad(CAST(i AS VARCHAR), 4, '0') AS code,
  ['red', 'green', 'blue'][1 + i % 3] AS colour,
  CASE WHEN i % 2 = 0 THEN CAST(i AS VARCHAR) ELSE 'word' || chr(CAST(97 + i % 26 AS INTEGER)) END AS mixed,
  CAST(i * 7 AS VARCHAR) AS digits,
  TIMESTAMP '2025-01-01' + to_hours(i) AS at,
  DATE '2020-02-28' - CAST(i AS INTEGER) AS day,
  i % 5 = 0 AS flag, 42 AS constant, NULL::INTEGER AS nothing, [i] AS list
  FROM range(1000) r(i)`;

const profileOf = async (sql: string): Promise<TableProfile> => {
  const { relation } = await data.table(sql);
  return tableProfile.parse(await profileTable(data.database, relation));
};
const columnOf = (profile: TableProfile, name: string): ColumnProfile => {
  const found = profile.columns.find((column) => column.name === name);
  if (!found) throw new Error(`no column ${name}`);
  return found;
};

describe('the profile of a table with known figures', () => {
  let profile: TableProfile;
  beforeAll(async () => {
    profile = await profileOf(KNOWN);
  });

  it('knows every number', () => {
    expect(profile).toMatchObject({ rows: 1000, sampledRows: 1000, duplicates: 0 });
    expect(columnOf(profile, 'id')).toMatchObject({
      kind: 'number',
      whole: true,
      values: 1000,
      missing: 0,
      distinct: { count: 1000, exact: true },
      min: 0,
      max: 999,
      mean: 499.5,
      zeros: 1,
      negatives: 0,
      unique: true,
      constant: false,
      order: 'increasing',
      quantiles: { '0.5': 499.5, '0.25': 249.75, '0.99': 989.01 },
    });
    expect(columnOf(profile, 'id').std).toBeCloseTo(288.8194360957494, 9);
    expect(columnOf(profile, 'gaps')).toMatchObject({ values: 750, missing: 250, mean: 500 });
    expect(columnOf(profile, 'odd')).toMatchObject({
      values: 999,
      missing: 1,
      infinite: 1,
      min: -999,
      max: 0,
      negatives: 997,
      zeros: 1,
    });
    expect(columnOf(profile, 'odd').mean).toBeCloseTo(-(499_500 - 5 - 6) / 998, 9);
    expect(columnOf(profile, 'digit').top[0]).toEqual({ value: '0', rows: 100 });
    expect(columnOf(profile, 'flag')).toMatchObject({ kind: 'boolean', mean: 0.2, zeros: 800 });
    expect(columnOf(profile, 'constant')).toMatchObject({ constant: true, unique: false });
    expect(columnOf(profile, 'nothing')).toMatchObject({ values: 0, missing: 1000, constant: false });
    expect(columnOf(profile, 'list')).toMatchObject({ kind: 'other', distinct: null, values: 1000 });
  });

  it('counts every row in one bin', () => {
    for (const column of profile.columns.filter(({ histogram }) => histogram.length > 0)) {
      const rows = column.histogram.reduce((total, bin) => total + bin.rows, 0);
      expect(rows, column.name).toBe(column.values - column.infinite);
    }
    expect(columnOf(profile, 'digit').histogram).toHaveLength(10);
    expect(columnOf(profile, 'digit').histogram.every((bin) => bin.rows === 100)).toBe(true);
  });

  it('knows texts and moments', () => {
    expect(columnOf(profile, 'code')).toMatchObject({
      pattern: '[A-Z]{2}-[0-9]{4}',
      unique: true,
      lengths: { min: 7, mean: 7, max: 7, empty: 0 },
    });
    expect(columnOf(profile, 'colour')).toMatchObject({
      distinct: { count: 3, exact: true },
      pattern: null,
      min: null,
    });
    expect(columnOf(profile, 'mixed').looksLike).toEqual({ kind: 'number', share: 0.5 });
    expect(columnOf(profile, 'digits').looksLike).toEqual({ kind: 'number', share: 1 });
    expect(columnOf(profile, 'at')).toMatchObject({
      min: '2025-01-01T00:00:00Z',
      max: '2025-02-11T15:00:00Z',
      order: 'increasing',
    });
    expect(columnOf(profile, 'day')).toMatchObject({ max: '2020-02-28T00:00:00Z', order: 'decreasing' });
  });

  it('warns of what a person should look at', () => {
    expect(profile.warnings.map(({ kind, columns }) => `${kind} ${columns.join()}`).sort()).toEqual([
      'constant constant',
      'correlated gaps,odd',
      'correlated id,gaps',
      'correlated id,odd',
      'correlated id,quarter',
      'correlated quarter,gaps',
      'correlated quarter,odd',
      'empty nothing',
      'infinite odd',
      'likely_id code',
      'likely_id digits',
      'likely_id id',
      'mixed_types mixed',
      'typed_as_text digits',
    ]);
  });

  it('hides the values of personal columns', async () => {
    const { relation } = await data.table(KNOWN);
    const hidden = await profileTable(data.database, relation, { personal: ['colour', 'id'] });
    expect(columnOf(hidden, 'colour')).toMatchObject({ top: [], distinct: { count: 3, exact: true } });
    expect(columnOf(hidden, 'id')).toMatchObject({ min: null, max: null, histogram: [], quantiles: null });
  });
});

it('counts rows that repeat an earlier one, missing values included', async () => {
  const profile = await profileOf(
    'SELECT i % 7 AS a, CASE WHEN i % 2 = 0 THEN NULL ELSE 1 END AS b FROM range(100) r(i)',
  );
  expect(profile.duplicates).toBe(100 - 14);
  expect(profile.warnings.map(({ kind }) => kind)).toContain('duplicate_rows');
});

it('an empty table has a profile, and no rules', async () => {
  const profile = await profileOf("SELECT 1 AS x, 'a' AS y WHERE false");
  expect(profile).toMatchObject({ rows: 0, duplicates: 0, warnings: [{ kind: 'empty' }] });
  expect(inferExpectations(profile)).toEqual([]);
});

it('a wide table is profiled, a far too wide one refused', async () => {
  const wide = (columns: number): string =>
    `SELECT ${Array.from({ length: columns }, (_, i) => `i + ${i} AS c${i}`).join(', ')} FROM range(50) r(i)`;
  const profile = await profileOf(wide(300));
  expect(profile.columns).toHaveLength(300);
  expect(profile.columns.every((column) => column.distinct?.count === 50)).toBe(true);
  await expect(profileTable(data.database, `(${wide(2001)})`)).rejects.toMatchObject({
    code: 'ColumnInvalid',
    message: expect.stringContaining('2001 columns'),
  });
});

it('names with quotes are data, not SQL', async () => {
  const profile = await profileOf(`SELECT i AS "a ""b"" ; --", 'it''s' AS "c'd" FROM range(3) r(i)`);
  expect(profile.columns.map(({ name }) => name)).toEqual(['a "b" ; --', "c'd"]);
});

it('a large table is sampled where that is said, and exact elsewhere; twice the same', async () => {
  const sql = `SELECT i AS id, hash(i) % 1000000 AS n, hash(i) % 3 AS few FROM range(300000) r(i)`;
  const [first, second] = [await profileOf(sql), await profileOf(sql)];
  expect(second).toEqual(first);
  expect(first.sampledRows).toBeLessThan(150_000);
  expect(columnOf(first, 'id')).toMatchObject({ unique: true, min: 0, max: 299_999 });
  expect(Number(columnOf(first, 'id').quantiles?.['0.5'])).toBeGreaterThan(145_000);
  expect(Number(columnOf(first, 'id').quantiles?.['0.5'])).toBeLessThan(155_000);
  expect(Number(columnOf(first, 'id').quantiles?.['0.01'])).toBeLessThan(4_000);
});

/** Rules from a table's profile, by way of the YAML that a person would edit. */
const suiteOf = async (sql: string): Promise<ReturnType<typeof expectation.parse>[]> => {
  const text = expectationsYaml(inferExpectations(await profileOf(sql)), 'people.csv');
  const suite: unknown = parse(text);
  if (typeof suite !== 'object' || suite === null || !('expectations' in suite)) throw new Error(text);
  return expectation.array().parse(suite.expectations);
};

const failuresOf = async (rules: ReturnType<typeof expectation.parse>[], sql: string): Promise<string[]> => {
  const { path } = await data.table(sql);
  const scratch = await data.scratch();
  const { report } = await runExpectations({
    table: { path },
    rules,
    asOf: '2026-01-01T00:00:00Z',
    outputDir: scratch,
    tempDir: scratch,
  });
  return report.results.filter((result) => !result.passed).map((result) => result.expectation);
};

describe('the proposed expectations', () => {
  it('hold on the data that they were inferred from', async () => {
    const rules = await suiteOf(KNOWN);
    expect(rules.length).toBeGreaterThan(20);
    expect(await failuresOf(rules, KNOWN)).toEqual([]);
  });

  it('say what was seen', async () => {
    const text = expectationsYaml(inferExpectations(await profileOf(KNOWN)), 'people.csv');
    expect(text).toContain(`  # gaps: 250 missing (25 %)
  - { expect: not_null, column: gaps, maxShare: 0.32 }`);
    expect(text).toContain(`  # colour: 3 different values
  - { expect: in_set, column: colour, values: [ blue, green, red ] }`);
    expect(text).toContain('- { expect: regex, column: code, pattern: "[A-Z]{2}-[0-9]{4}" }');
    expect(text).toContain('- { expect: range, column: digit, min: 0, max: 12 }');
  });

  it.each([
    ['missing keys', 'REPLACE (CASE WHEN id = 7 THEN NULL ELSE id END AS id)', ['not_null id']],
    ['a key twice', 'REPLACE (CASE WHEN id = 7 THEN 8 ELSE id END AS id)', ['unique id']],
    [
      'a number far away',
      'REPLACE (CASE WHEN id = 7 THEN 500 ELSE digit END AS digit)',
      ['range digit [0, 12]'],
    ],
    [
      'a negative number',
      'REPLACE (CASE WHEN id = 7 THEN -1 ELSE digit END AS digit)',
      ['range digit [0, 12]'],
    ],
    [
      'a new category',
      "REPLACE (CASE WHEN id = 7 THEN 'pink' ELSE colour END AS colour)",
      ['in_set colour (3 values)'],
    ],
    [
      'a code of another format',
      "REPLACE (CASE WHEN id = 7 THEN 'ab-0007' ELSE code END AS code)",
      ['regex code'],
    ],
    [
      'many more missing',
      'REPLACE (CASE WHEN id % 2 = 0 THEN NULL ELSE gaps END AS gaps)',
      ['not_null gaps'],
    ],
  ])('catch %s', async (_name, change, wanted) => {
    const rules = await suiteOf(KNOWN);
    expect(await failuresOf(rules, `SELECT * ${change} FROM (${KNOWN})`)).toEqual(wanted);
  });

  it('catch a table cut in half', async () => {
    const failures = await failuresOf(await suiteOf(KNOWN), `SELECT * FROM (${KNOWN}) LIMIT 499`);
    expect(failures).toEqual(['row_count [500, ∞]']);
  });

  it('hold on hostile tables too', async () => {
    for (const sql of [
      `SELECT 1e308 * (i - 1) AS huge, 1e-300 * i AS tiny, -i AS minus, 0.1 * i AS tenth FROM range(3) r(i)`,
      `SELECT 'a: b # c' || chr(10) || i % 2 AS t, CASE WHEN i % 2 = 0 THEN '' ELSE 'null' END AS u FROM range(100) r(i)`,
      `SELECT unnest(['yes', 'no', '1', '1.0', '~', 'true']) AS word FROM range(50)`,
      `SELECT i AS "a # b: [c]", 'x' AS "- y" FROM range(100) r(i)`,
      `SELECT 9007199254740993 + i AS big, CAST(i AS DECIMAL(10, 2)) / 3 AS money, CAST(i AS FLOAT) / 7 AS single FROM range(100) r(i)`,
      `SELECT 5 AS five, -5 AS minus, 0 AS zero, 0.0 AS nought FROM range(60)`,
    ])
      expect(await failuresOf(await suiteOf(sql), sql), sql).toEqual([]);
  });
});
