import { readdir } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectation } from '../../contracts/spec/expectations.ts';
import { validationProblem } from '../../domain/validation.ts';
import { DataFixture } from '../support/integration-data.ts';
import { checkFile } from '../support/integration-expectations.ts';

let data: DataFixture;
let path: string;
beforeAll(async () => {
  data = await DataFixture.create();
  path = (
    await data.table(
      "SELECT i AS id, 'Ann ' || i AS name, i * 0.5::DOUBLE AS x, DATE '2025-01-01' + i::INTEGER AS day FROM range(50) r(i)",
    )
  ).path;
});
afterAll(() => data.close());

const refusal = async (rule: object): Promise<{ code?: string; message: string }> =>
  checkFile(data, path, [{ expect: 'row_count' }, rule], { sources: { people: path } }).then(
    () => ({ message: 'accepted' }),
    (error: Error & { code?: string }) => error,
  );

describe('what cannot be checked says what, where and the remedy', () => {
  it.each([
    [{ expect: 'not_null', column: 'nane' }, 'ColumnMissing', /expectations\[1\].*did you mean name\?/],
    [{ expect: 'unique', columns: ['id', 'dya'] }, 'ColumnMissing', /did you mean day\?/],
    [{ expect: 'monotonic', column: 'id', by: ['nam'] }, 'ColumnMissing', /did you mean name\?/],
    [{ expect: 'leakage' }, 'SpecInvalid', /has no target; set columns\.target/],
    [{ expect: 'class_balance' }, 'SpecInvalid', /set column/],
    [{ expect: 'not_null', column: 'id', on: 'poeple' }, 'SpecInvalid', /did you mean people\?/],
    [{ expect: 'not_null', column: 'di', on: 'people' }, 'ColumnMissing', /source people.*did you mean id\?/],
    [
      { expect: 'foreign_key', column: 'id', references: 'peple.id' },
      'SpecInvalid',
      /no source peple; did you mean people\?/,
    ],
    [
      { expect: 'foreign_key', column: 'id', references: 'people.name' },
      'ColumnInvalid',
      /id is BIGINT, people\.name is VARCHAR/,
    ],
    [{ expect: 'range', column: 'name', min: 0 }, 'ColumnInvalid', /name is VARCHAR; range needs numbers/],
    [{ expect: 'range', column: 'day', min: 5 }, 'ColumnInvalid', /day is DATE.*dates as bounds/],
    [{ expect: 'range', column: 'id', min: '2025-01-01' }, 'ColumnInvalid', /needs a column of dates/],
    [{ expect: 'mean', column: 'name', min: 0 }, 'ColumnInvalid', /mean needs numbers/],
    [{ expect: 'length', column: 'id', min: 0 }, 'ColumnInvalid', /length needs text/],
    [{ expect: 'freshness', column: 'id', maxAge: '1d' }, 'ColumnInvalid', /needs dates/],
    [{ expect: 'outliers', column: 'day' }, 'ColumnInvalid', /outliers needs numbers/],
    [
      { expect: 'in_set', column: 'id', values: ['1'] },
      'ColumnInvalid',
      /id is BIGINT; write each of values as a number/,
    ],
    [
      { expect: 'regex', column: 'name', pattern: '(a)\\1' },
      'ColumnInvalid',
      /expectations\[1\] regex name.*invalid escape/s,
    ],
    [{ expect: 'regex', column: 'name', pattern: '(?=a)b' }, 'ColumnInvalid', /expectations\[1\] regex name/],
    [{ expect: 'sql', sql: 'nane = 1' }, 'SqlInvalid', /expectations\[1\].*"nane" not found/s],
    [{ expect: 'sql', sql: 'true, false' }, 'SqlInvalid', /true or false, found STRUCT/],
    [{ expect: 'sql', sql: 'COLUMNS(*) IS NULL' }, 'SqlInvalid', /expected one condition/],
    [
      { expect: 'sql', sql: 'CAST(name AS INTEGER) > 0' },
      'SqlInvalid',
      /Could not convert string … to INT32/,
    ],
    [{ expect: 'sql', sql: "EXISTS (FROM read_csv('/etc/passwd'))" }, 'SqlInvalid', /Permission Error/],
    [{ expect: 'ratio', where: '1=1) FROM x; DROP VIEW joined; SELECT (1', min: 0 }, 'SqlInvalid', /SELECT/],
    [{ expect: 'sql', query: 'DROP VIEW joined' }, 'SqlInvalid', /only a SELECT/],
    [{ expect: 'sql', query: "COPY joined TO '/tmp/x.csv'" }, 'SqlInvalid', /Permission Error/],
    [{ expect: 'sql', query: "SELECT * FROM read_text('/etc/passwd')" }, 'SqlInvalid', /Permission Error/],
    [{ expect: 'sql', query: 'SELECT 1; SELECT 2' }, 'SqlInvalid', /exactly one SELECT/],
    [{ expect: 'sql', query: 'SET threads = 1' }, 'SqlInvalid', /only a SELECT/],
  ])('%o', async (rule, code, words) => {
    const error = await refusal(rule);
    expect(error).toMatchObject({ code, retryable: false });
    expect(error.message).toMatch(words);
    expect(error.message).not.toMatch(/Ann \d/);
  });

  it.each([
    [{ expect: 'range', column: 'x' }, /min, max or both/],
    [{ expect: 'sql' }, /either sql .* or query/],
    [{ expect: 'sql', query: 'SELECT 1', rows: 'drop' }, /cannot tell which rows/],
    [{ expect: 'not_null', column: 'x', on: 'a', rows: 'drop' }, /removed from the joined table only/],
    [{ expect: 'foreign_key', column: ['a', 'b'], references: ['s.a'] }, /as many references/],
    [{ expect: 'foreign_key', column: ['a', 'b'], references: ['s.a', 't.b'] }, /all of one source/],
    [{ expect: 'foreign_key', column: 'a', references: 'code' }, /source\.column/],
    [{ expect: 'freshness', column: 'a', maxAge: 'soon' }, /a duration/],
    [{ expect: 'mean', column: 'a', min: 0, rows: 'drop' }, /rows/],
    [{ expect: 'sometimes', column: 'a' }, /./],
  ])('the spec refuses %o', (rule, words) => {
    const outcome = expectation.safeParse(rule);
    expect(outcome.success).toBe(false);
    expect(outcome.error?.message).toMatch(words);
  });

  it('nothing is written where a rule fails', async () => {
    const folder = await data.scratch();
    const { report, kept, quarantine } = await checkFile(
      data,
      path,
      [
        { expect: 'range', column: 'id', min: 1, rows: 'quarantine', maxShare: 0.5 },
        { expect: 'not_null', column: 'x', rows: 'drop' },
        { expect: 'range', column: 'x', max: 3 },
        { expect: 'row_count', min: 99 },
      ],
      { outputDir: folder },
    );
    expect([kept, quarantine, report.passed, report.kept]).toEqual([undefined, undefined, false, 50]);
    expect(await readdir(folder)).toEqual([]);
    expect(validationProblem(report.results)).toBe(
      [
        '2 of 4 expectations failed',
        'row_count [99, ∞]: 50 rows; expected within [99, ∞]',
        'range x [-∞, 3]: 43 of 50 rows (86 %); expected no violating row',
      ].join('\n'),
    );
  });
});
