import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataFixture } from '../support/integration-data.ts';
import { AS_OF, checkFile, checkSql } from '../support/integration-expectations.ts';

let data: DataFixture;
let path: string;
let countries: string;
beforeAll(async () => {
  data = await DataFixture.create();
  // 1000 rows with planted defects; each number below is known from this query.
  path = (
    await data.table(`
      SELECT i AS id, i % 100 AS x, CASE WHEN i < 10 THEN 1e6 ELSE (i % 100)::DOUBLE END AS spiked,
        CASE WHEN i IN (100, 200) THEN 'XX' WHEN i = 300 THEN NULL ELSE ['DE', 'FR'][1 + i % 2] END AS country,
        CASE WHEN i = 5 THEN '' WHEN i = 6 THEN 'toolongname' ELSE 'abc' END AS name,
        TIMESTAMP '2025-05-01' + to_minutes(CASE WHEN i = 500 THEN 0 ELSE i END) AS at,
        DATE '2025-01-01' + (i % 100)::INTEGER AS day,
        i % 10 = 0 AS rare, CASE WHEN i % 10 = 0 THEN 'yes' ELSE 'no' END AS label,
        i % 7 AS a, i % 5 AS b
      FROM range(1000) r(i)`)
  ).path;
  countries = await data.writeParquet(
    'countries.parquet',
    "SELECT * FROM (VALUES ('DE', 1), ('FR', 2), (NULL, 3)) t(code, zone)",
  );
});
afterAll(() => data.close());

const one = async (rule: object, options: Parameters<typeof checkFile>[3] = {}) =>
  (await checkFile(data, path, [rule], { sources: { countries }, ...options })).report.results[0];

describe('rows that violate are counted', () => {
  it.each([
    [{ expect: 'range', column: 'day', min: '2025-01-02', max: '2025-04-09' }, 20],
    [{ expect: 'range', column: 'at', max: '2025-05-01T00:59:00Z' }, 939],
    [{ expect: 'length', column: 'name', min: 1, max: 5 }, 2],
    [{ expect: 'unique', columns: ['a', 'b'] }, 965],
    [{ expect: 'unique', columns: ['x'] }, 900],
    [{ expect: 'unique', columns: ['name'] }, 997],
    [{ expect: 'monotonic', column: 'at' }, 1],
    [{ expect: 'monotonic', column: 'id' }, 0],
    [{ expect: 'monotonic', column: 'x', by: ['a'] }, 888],
    [{ expect: 'foreign_key', column: 'country', references: 'countries.code' }, 2],
    [
      { expect: 'foreign_key', column: ['country', 'a'], references: ['countries.code', 'countries.zone'] },
      857,
    ],
    [{ expect: 'outliers', column: 'spiked' }, 10],
    [{ expect: 'outliers', column: 'spiked', method: 'mad' }, 10],
    [{ expect: 'outliers', column: 'x', k: 0.1 }, 400],
    [{ expect: 'sql', sql: 'id < 900 -- of them' }, 100],
    [{ expect: 'sql', sql: "country = 'DE'" }, 502],
    [{ expect: 'sql', sql: 'a IN (SELECT zone FROM countries)' }, 571],
    [{ expect: 'sql', query: 'SELECT * FROM joined JOIN countries ON country = code WHERE a = 1;' }, 143],
  ])('%o', async (rule, violations) => {
    expect(await one(rule)).toMatchObject({
      violations,
      rows: 1000,
      share: violations / 1000,
      value: violations / 1000,
      limit: expect.stringMatching(rule.expect === 'outliers' ? /at most 1 % of rows/ : /no violating row/),
    });
  });

  it('in file order, what remains without them is in order', async () => {
    const sql = 'SELECT unnest([5, 1, 2, NULL, 3, 5, 9, 4, 9]) AS t';
    const rule = { expect: 'monotonic', column: 't', rows: 'drop', maxShare: 1 };
    const { report, kept = '' } = await checkSql(data, sql, [rule]);
    expect(report).toMatchObject({ dropped: 4, kept: 5 });
    expect((await data.database.rows(`FROM '${kept}'`)).map((row) => row.t)).toEqual([5, null, 5, 9, 9]);
  });
});

describe('the table as a whole', () => {
  it.each([
    [{ expect: 'mean', column: 'x', min: 49.5, max: 49.5 }, true, 49.5],
    [{ expect: 'mean', column: 'x', max: 49.4 }, false, 49.5],
    [{ expect: 'median', column: 'x', min: 49, max: 50 }, true, 49.5],
    [{ expect: 'quantile', column: 'id', q: 0.25, max: 249.75 }, true, 249.75],
    [{ expect: 'sum', column: 'id', min: 499_500, max: 499_500 }, true, 499_500],
    [{ expect: 'standard_deviation', column: 'id', min: 288.81, max: 288.82 }, true, 288.819436096],
    [{ expect: 'ratio', where: 'rare', min: 0.1, max: 0.1 }, true, 0.1],
    [{ expect: 'ratio', where: 'country IS NULL', max: 0.0009 }, false, 0.001],
    [{ expect: 'class_balance', column: 'label', minShare: 0.1 }, true, 0.1],
    [{ expect: 'class_balance', minShare: 0.11 }, false, 0.1],
    [{ expect: 'freshness', column: 'at', maxAge: '31d' }, true, 30.30625 * 86_400],
    [{ expect: 'freshness', column: 'at', maxAge: '30d' }, false, 30.30625 * 86_400],
    [{ expect: 'freshness', column: 'day', maxAge: '52d' }, true, 52 * 86_400],
    [{ expect: 'row_count', min: 1000, max: 1000 }, true, 1000],
  ])('%o', async (rule, passed, value) => {
    const result = await one(rule, { target: 'label' });
    expect(result).toMatchObject({ passed, violations: passed ? 0 : 1, share: 0 });
    expect(result?.value).toBeCloseTo(value, 6);
  });

  it('times after the moment of the run do not make data fresh', async () => {
    const sql = "SELECT unnest([TIMESTAMP '2025-05-30', TIMESTAMP '9999-01-01', 'infinity']) AS t";
    const rules = [{ expect: 'freshness', column: 't', maxAge: '1d' }];
    const { results } = (await checkSql(data, sql, rules)).report;
    expect(results).toMatchObject([{ passed: false, observed: 'the newest is 2 d old', value: 172_800 }]);
    const none = (await checkSql(data, "SELECT TIMESTAMP '9999-01-01' AS t", rules)).report.results;
    expect(none).toMatchObject([{ passed: false, observed: 'there is no time up to the moment of the run' }]);
    expect(AS_OF).toBe('2025-06-01T00:00:00Z');
  });

  it('schema tells each column that differs', async () => {
    const columns = {
      id: 'integer',
      spiked: 'number',
      country: { type: 'text', nullable: false },
      day: 'timestamp',
      gone: 'text',
      name: { nullable: false },
      at: 'TIMESTAMP',
    };
    expect(await one({ expect: 'schema', columns })).toMatchObject({
      passed: false,
      violations: 3,
      observed: 'day is DATE, expected timestamp; gone is missing; country has 1 missing values',
    });
    const strict = await one({ expect: 'schema', columns: { id: 'integer' }, unexpected: 'refuse' });
    expect(strict).toMatchObject({ passed: false, violations: 10 });
    expect(await one({ expect: 'schema', columns: { a: 'integer', b: 'BIGINT' } })).toMatchObject({
      passed: true,
      violations: 0,
    });
  });

  it('nothing is no violation, and says so', async () => {
    const rules = [
      { expect: 'mean', column: 'x', min: 5 },
      { expect: 'class_balance', column: 'x' },
      { expect: 'freshness', column: 't', maxAge: '1d' },
      { expect: 'unique', columns: ['x'] },
      { expect: 'outliers', column: 'x' },
      { expect: 'ratio', where: 'x > 1', min: 1 },
    ];
    const { results } = (await checkSql(data, 'SELECT 1 AS x, now() AS t WHERE false', rules)).report;
    expect(results.map((result) => result.passed)).toEqual(rules.map(() => true));
    expect(results[0]).toMatchObject({ note: 'there is no value to judge', rows: 0 });
  });

  it('an infinite value is no mean', async () => {
    const sql = "SELECT unnest([1.0, 'inf'::DOUBLE, 'nan'::DOUBLE]) AS x";
    for (const expectWord of ['mean', 'median', 'sum', 'standard_deviation'])
      expect(
        (await checkSql(data, sql, [{ expect: expectWord, column: 'x', min: 0 }])).report.results[0],
      ).toMatchObject({
        passed: false,
        observed: '2 values are infinite or NaN',
        value: null,
      });
  });

  it('a source is checked as it came', async () => {
    expect(await one({ expect: 'not_null', column: 'code', on: 'countries' })).toMatchObject({
      on: 'countries',
      violations: 1,
      rows: 3,
      expectation: 'not_null code on countries',
    });
    expect(await one({ expect: 'row_count', max: 2, on: 'countries' })).toMatchObject({
      passed: false,
      value: 3,
    });
  });
});

describe('all rules of a table share one scan', () => {
  const ROWWISE = [
    { expect: 'schema', columns: { id: { type: 'integer', nullable: false } } },
    { expect: 'not_null', column: 'id' },
    { expect: 'unique', columns: ['id'] },
    { expect: 'range', column: 'x', min: 0, max: 99 },
    { expect: 'in_set', column: 'label', values: ['yes', 'no'] },
    { expect: 'regex', column: 'label', pattern: '[a-z]+' },
    { expect: 'length', column: 'label', max: 3 },
    { expect: 'row_count', min: 1000 },
    { expect: 'freshness', column: 'at', maxAge: '60d' },
    { expect: 'mean', column: 'x', max: 50 },
    { expect: 'median', column: 'x', max: 50 },
    { expect: 'standard_deviation', column: 'x', max: 50 },
    { expect: 'ratio', where: 'rare', max: 0.2 },
    { expect: 'sql', sql: 'id >= 0' },
    { expect: 'foreign_key', column: 'label', references: 'labels.label' },
  ];

  it('one statement, and one more for each that cannot share', async () => {
    const labels = await data.writeParquet('labels.parquet', "SELECT unnest(['yes', 'no']) AS label");
    const run = (rules: object[]) => checkFile(data, path, rules, { sources: { labels } });
    const all = await run(ROWWISE);
    expect(all.report.results.filter((result) => !result.passed)).toEqual([]);
    expect(all.scans).toBe(1);
    expect((await run([...ROWWISE, { expect: 'unique', columns: ['id', 'a'] }])).scans).toBe(2);
    expect((await run([...ROWWISE, { expect: 'monotonic', column: 'id' }])).scans).toBe(2);
    expect((await run([...ROWWISE, { expect: 'outliers', column: 'x' }])).scans).toBe(2);
  });
});
