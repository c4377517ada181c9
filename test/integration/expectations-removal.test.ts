import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { validationReport } from '../../contracts/validation-report.ts';
import { DataFixture } from '../support/integration-data.ts';
import { checkFile, checkSql, rowsOf } from '../support/integration-expectations.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

const SQL = `SELECT i AS id, CASE WHEN i IN (3, 7) THEN NULL ELSE i % 4 END AS x,
  CASE WHEN i IN (7, 8) THEN 'wrong' ELSE 'ok' END AS state, CASE WHEN i = 9 THEN 1 ELSE i END AS key,
  'ann' || i || '@example.org' AS email FROM range(20) r(i)`;

const RULES = [
  { expect: 'not_null', column: 'x', rows: 'quarantine', maxShare: 0.1 },
  {
    expect: 'in_set',
    column: 'state',
    values: ['ok'],
    rows: 'quarantine',
    maxShare: 0.1,
    name: 'state known',
  },
  { expect: 'unique', columns: ['key'], rows: 'drop', maxShare: 0.05 },
  { expect: 'range', column: 'id', max: 7, severity: 'warn' },
];

describe('rows that violate', () => {
  it('go where their policy says, each with all of its reasons', async () => {
    const { report, kept, quarantine } = await checkSql(data, SQL, RULES);
    expect(validationReport.parse(report)).toEqual(report);
    expect(report).toMatchObject({ passed: true, dropped: 1, quarantined: 3, kept: 16 });
    expect(report.results.map((result) => [result.passed, result.violations, result.policy])).toEqual([
      [true, 2, 'quarantine'],
      [true, 2, 'quarantine'],
      [true, 1, 'drop'],
      [false, 12, 'stop'],
    ]);
    const ids = (await rowsOf(data, kept)).map((row) => row.id);
    expect(ids).toEqual([0, 1, 2, 4, 5, 6, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    const bad = await rowsOf(data, quarantine);
    expect(Object.keys(bad[0] ?? {})).toEqual(['id', 'x', 'state', 'key', 'email', 'reasons']);
    expect(bad.map((row) => [row.id, row.reasons])).toEqual([
      [3, ['not_null x']],
      [7, ['not_null x', 'state known']],
      [8, ['state known', 'range id [-∞, 7]']],
    ]);
  });

  it('a row that one rule drops and another quarantines is quarantined', async () => {
    const { report, quarantine } = await checkSql(data, SQL, [
      { expect: 'sql', sql: 'id <> 5', rows: 'drop', maxShare: 1 },
      { expect: 'sql', sql: 'id <> 5 AND id <> 6', rows: 'quarantine', maxShare: 1 },
    ]);
    expect(report).toMatchObject({ dropped: 0, quarantined: 2 });
    expect((await rowsOf(data, quarantine)).map((row) => row.reasons)).toEqual([
      ['sql id <> 5', 'sql id <> 5 AND id <> 6'],
      ['sql id <> 5 AND id <> 6'],
    ]);
  });

  it('only so many: above the ceiling the rule fails', async () => {
    const rule = { expect: 'not_null', column: 'x', rows: 'drop', maxShare: 0.09 };
    const failed = await checkSql(data, SQL, [rule]);
    expect(failed.report).toMatchObject({ passed: false, dropped: 0, kept: 20 });
    const warned = await checkSql(data, SQL, [{ ...rule, severity: 'warn' }]);
    expect(warned.report).toMatchObject({ passed: true, dropped: 0, kept: 20 });
    expect(warned.kept).toBeUndefined();
    // By default one in a hundred.
    const many = `SELECT CASE WHEN i < 10 THEN NULL ELSE i END AS x FROM range(1000) r(i)`;
    expect(
      (await checkSql(data, many, [{ expect: 'not_null', column: 'x', rows: 'drop' }])).report.dropped,
    ).toBe(10);
  });

  it('of a table of one row, and all rows of a table', async () => {
    const rule = { expect: 'not_null', column: 'x', rows: 'quarantine', maxShare: 1 };
    const { report, kept, quarantine } = await checkSql(data, 'SELECT NULL::INTEGER AS x, 1 AS reasons', [
      rule,
    ]);
    expect(report).toMatchObject({ kept: 0, quarantined: 1 });
    expect(await rowsOf(data, kept)).toEqual([]);
    expect(await rowsOf(data, quarantine)).toEqual([{ x: null, reasons: 1, reasons_: ['not_null x'] }]);
  });

  it('the same rows give the same bytes, in file order, with several threads', async () => {
    const path = (
      await data.table(
        'SELECT i AS id, hash(i) % 1000 AS x, hash(i + 1) % 700000 AS key, i % 3 AS file_row_number FROM range(400000) r(i)',
      )
    ).path;
    const rules = [
      { expect: 'range', column: 'x', min: 5, rows: 'quarantine' },
      { expect: 'unique', columns: ['key'], rows: 'drop', maxShare: 0.5 },
      { expect: 'monotonic', column: 'id' },
    ];
    const digests = new Set<string>();
    for (let turn = 0; turn < 4; turn += 1) {
      const {
        kept = '',
        quarantine = '',
        report,
      } = await checkFile(data, path, rules, { threads: 1 + (turn % 3) });
      expect(report.results[2]).toMatchObject({ violations: 0 });
      for (const file of [kept, quarantine]) {
        const order = await data.database.row(
          `SELECT count(*) FILTER (WHERE id < before) AS wrong, count(*) AS n FROM (SELECT id, lag(id) OVER () AS before FROM '${file}')`,
        );
        expect(order.wrong).toBe(0);
        digests.add(
          createHash('sha256')
            .update(await readFile(file))
            .digest('hex'),
        );
      }
    }
    expect(digests.size).toBe(2);
  });
});

describe('examples', () => {
  it('show the first violating rows, with personal values masked', async () => {
    const { report } = await checkSql(
      data,
      SQL,
      [
        { expect: 'regex', column: 'email', pattern: '.*1@.*' },
        { expect: 'unique', columns: ['key'] },
        { expect: 'not_null', column: 'id' },
        { expect: 'sql', sql: 'id < 18' },
      ],
      { personal: ['email'] },
    );
    expect(report.examples.map((item) => [item.result, item.rows.map((row) => row.row)])).toEqual([
      [0, [1, 3, 4, 5, 6]],
      [1, [10]],
      [3, [19, 20]],
    ]);
    expect(report.examples[0]?.columns).toEqual(['email', 'id', 'x', 'state', 'key']);
    expect(report.examples[1]?.rows[0]?.values).toEqual({
      key: '1',
      id: '9',
      x: '1',
      state: 'ok',
      email: '•••',
    });
    expect(JSON.stringify(report)).not.toContain('example.org');
  });

  it('hold what JSON can', async () => {
    const sql = `SELECT 'inf'::DOUBLE AS a, 'nan'::DOUBLE AS b, [1, 2] AS c, DATE '2020-01-02' AS d, 123456789012345678::BIGINT AS e, repeat('x', 500) AS f, true AS g, NULL AS h, '\\x00'::BLOB AS i`;
    const { report } = await checkSql(data, sql, [{ expect: 'sql', sql: 'false' }]);
    const values = report.examples[0]?.rows[0]?.values;
    expect(JSON.parse(JSON.stringify(values))).toEqual({
      a: 'Infinity',
      b: 'NaN',
      c: '[1, 2]',
      d: '2020-01-02',
      e: '123456789012345678',
      f: `${'x'.repeat(200)}…`,
      g: true,
      h: null,
      i: '\\x00',
    });
  });
});
