import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DataFixture } from '../support/integration-data.ts';
import { checkFile, checkSql } from '../support/integration-expectations.ts';

let data: DataFixture;
let table: Awaited<ReturnType<DataFixture['table']>>;
beforeAll(async () => {
  data = await DataFixture.create();
  // 1000 rows: 30 ids repeated once each, 50 missing ids, 20 ages below 0, 10 above 120, 7 odd codes, 40 wrong towns.
  table = await data.table(`
    SELECT
      CASE WHEN i >= 950 THEN NULL WHEN i >= 920 THEN i - 920 ELSE i END AS id,
      CASE WHEN i < 20 THEN -1 WHEN i < 30 THEN 121 WHEN i < 35 THEN NULL ELSE i % 100 END AS age,
      CASE WHEN i % 150 = 0 THEN 'A-' || i ELSE 'AB' || lpad((i % 100)::VARCHAR, 2, '0') END AS code,
      CASE WHEN i < 40 THEN 'Atlantis' WHEN i < 45 THEN NULL ELSE ['Ulm', 'Bonn'][1 + i % 2] END AS town,
      i // 500 AS half, i % 250 AS day, i % 2 = 0 AS even
    FROM range(1000) r(i)`);
});
afterAll(() => data.close());

const check = async (...rules: object[]) => (await checkFile(data, table.path, rules)).report.results;

describe('each kind counts its violations', () => {
  it.each([
    [{ expect: 'not_null', column: 'id' }, 50],
    [{ expect: 'not_null', column: 'code' }, 0],
    [{ expect: 'unique', columns: ['id'] }, 30],
    [{ expect: 'unique', columns: ['half', 'day'] }, 500],
    [{ expect: 'unique', columns: ['id', 'even'] }, 30],
    [{ expect: 'range', column: 'age', min: 0 }, 20],
    [{ expect: 'range', column: 'age', max: 120 }, 10],
    [{ expect: 'range', column: 'age', min: 0, max: 120 }, 30],
    [{ expect: 'in_set', column: 'town', values: ['Ulm', 'Bonn'] }, 40],
    [{ expect: 'in_set', column: 'half', values: [0] }, 500],
    [{ expect: 'in_set', column: 'even', values: [true] }, 500],
    [{ expect: 'regex', column: 'code', pattern: '[A-Z]{2}\\d{2}' }, 7],
    // The whole value must match, not a part of it.
    [{ expect: 'regex', column: 'code', pattern: '[A-Z]' }, 1000],
    [{ expect: 'regex', column: 'half', pattern: '\\d' }, 0],
  ])('%o', async (rule, violations) => {
    const [result] = await check(rule);
    expect(result).toMatchObject({ violations, rows: 1000, passed: violations === 0, severity: 'error' });
  });

  const HUGE = '999999999999999999999999999999999999::DECIMAL(38,2)';
  it.each([
    ['0.1::FLOAT', { expect: 'range', min: 0.1, max: 0.1 }, 0],
    ['1e-7::FLOAT', { expect: 'range', min: 1e-7, max: 1e-7 }, 0],
    ['2e-7::FLOAT', { expect: 'range', max: 1e-7 }, 1],
    ['3e21::FLOAT', { expect: 'in_set', values: [3e21] }, 0],
    ['1e-7::FLOAT', { expect: 'in_set', values: [0.1, 1e-7] }, 0],
    ["'inf'::FLOAT", { expect: 'range', max: 1e39 }, 1],
    ['1.5::DECIMAL(38,30)', { expect: 'range', min: 0, max: 12345678901.5 }, 0],
    ['1.5::DECIMAL(38,30)', { expect: 'in_set', values: [1.5, 123456789012] }, 0],
    [HUGE, { expect: 'range', max: 0.12345 }, 1],
    [HUGE, { expect: 'range', min: -0.12345 }, 0],
  ])('%s: %o', async (value, rule, violations) => {
    const { report } = await checkSql(data, `SELECT ${value} AS x`, [{ ...rule, column: 'x' }]);
    expect(report.results).toMatchObject([{ violations }]);
  });

  it('row_count', async () => {
    expect(
      (
        await check(
          { expect: 'row_count' },
          { expect: 'row_count', min: 1001 },
          { expect: 'row_count', max: 999 },
        )
      ).map(({ expectation: words, passed, violations }) => [words, passed, violations]),
    ).toEqual([
      ['row_count [1, ∞]', true, 0],
      ['row_count [1001, ∞]', false, 1],
      ['row_count [1, 999]', false, 1],
    ]);
  });

  it('many at once, in their order', async () => {
    const results = await check(
      { expect: 'row_count' },
      { expect: 'not_null', column: 'id', severity: 'warn' },
      { expect: 'range', column: 'age', min: 0, max: 120 },
    );
    expect(results.map((result) => [result.expectation, result.severity, result.violations])).toEqual([
      ['row_count [1, ∞]', 'error', 0],
      ['not_null id', 'warn', 50],
      ['range age [0, 120]', 'error', 30],
    ]);
  });
});

describe('the share that is accepted', () => {
  it.each([
    [0.05, true],
    [0.0499, false],
    [1, true],
  ])('maxShare %f', async (maxShare, passed) => {
    const [result] = await check({ expect: 'not_null', column: 'id', maxShare });
    expect(result).toMatchObject({ passed, violations: 50 });
  });

  it('is met exactly, whatever the rounding', async () => {
    for (const share of [0.07, 0.14, 0.28, 0.29, 0.55, 0.56, 0.57, 0.58]) {
      const count = Math.round(share * 100);
      const rule = { expect: 'not_null', column: 'x', maxShare: share };
      const { report } = await checkSql(
        data,
        `SELECT CASE WHEN i >= ${count} THEN i END AS x FROM range(100) r(i)`,
        [rule],
      );
      const [result] = report.results;
      expect(result, String(share)).toMatchObject({ passed: true, violations: count });
    }
  });

  it('an empty table violates nothing but its row count', async () => {
    const rules = [{ expect: 'not_null', column: 'x' }, { expect: 'row_count' }];
    const { results } = (await checkSql(data, 'SELECT 1 AS x WHERE false', rules)).report;
    expect(results.map((result) => result.passed)).toEqual([true, false]);
  });
});

describe('what cannot be checked', () => {
  it.each([
    [
      { expect: 'not_null', column: 'agee' },
      /expectations\[0\] not_null agee: there is no column agee; did you mean age\?/,
    ],
    [{ expect: 'unique', columns: ['id', 'toun'] }, /there is no column toun; did you mean town\?/],
    [
      { expect: 'range', column: 'something', min: 0 },
      /there is no column something\. The columns are id, age/,
    ],
  ])('%o names the missing column and the nearest one', async (rule, words) => {
    await expect(check(rule)).rejects.toMatchObject({ code: 'ColumnMissing', retryable: false });
    await expect(check(rule)).rejects.toThrow(words);
  });

  it.each([
    { expect: 'range', column: 'town', min: 0 },
    { expect: 'in_set', column: 'town', values: [1, 2] },
    { expect: 'in_set', column: 'age', values: ['Ulm'] },
  ])('%o does not fit the type, and the error quotes no row', async (rule) => {
    const refusal = await check(rule).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code: 'ColumnInvalid', retryable: false });
    expect(refusal).not.toMatchObject({ message: expect.stringMatching(/string 'Atlantis'|string 'Bonn'/) });
  });

  it('a pattern that is none', async () => {
    await expect(check({ expect: 'regex', column: 'code', pattern: '[A-' })).rejects.toMatchObject({
      code: 'ColumnInvalid',
    });
  });
});

it('names and values with quotes are data, not SQL', async () => {
  const rules = [
    { expect: 'unique', columns: ['a "b" ; --'] },
    { expect: 'in_set', column: 'c', values: ["it's"] },
    { expect: 'regex', column: 'c', pattern: "it's" },
  ];
  const sql = `SELECT i AS "a ""b"" ; --", 'it''s' AS c FROM range(3) r(i)`;
  const { results } = (await checkSql(data, sql, rules)).report;
  expect(results.map((result) => result.passed)).toEqual([true, true, true]);
});
