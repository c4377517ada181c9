import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkOverlap } from '../../lib/expectations/overlap.ts';
import { DataFixture } from '../support/integration-data.ts';
import { checkSql, parsed } from '../support/integration-expectations.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** 20,000 rows; the features by name, with `y` as the target. */
const table = (features: string, y: string): string =>
  `SELECT ${features}, y FROM (SELECT i, hash(i) % 1000 / 1000.0 AS u, hash(i + 77777) % 1000 / 1000.0 AS v, ${y} AS y
   FROM range(20000) r(i))`;
const judge = async (features: string, y: string, task: 'binary' | 'multiclass' | 'regression', extra = {}) =>
  (await checkSql(data, table(features, y), [{ expect: 'leakage', ...extra }], { target: 'y', task })).report
    .results[0];

describe('leakage, binary', () => {
  const Y = 'hash(i + 5) % 4 = 0';
  it.each([
    ['a copy', 'y AS f', 1],
    ['a copy as text', "CASE WHEN y THEN 'won' ELSE 'lost' END AS f", 1],
    ['a number that is higher for one class', 'u + CASE WHEN y THEN 1 ELSE 0 END AS f', 1],
    ['a number that is lower', 'u - CASE WHEN y THEN 1 ELSE 0 END AS f', 1],
    [
      'both ends',
      'CASE WHEN y THEN 1 ELSE -1 END * (2 * (i % 2) - 1) * CASE WHEN y THEN 1 + u ELSE 0.1 * u END AS f',
      1,
    ],
    ['a value that is only there for one class', 'CASE WHEN y THEN u END AS f', 1],
    [
      'a date',
      "TIMESTAMP '2020-01-01' + to_days((CASE WHEN y THEN 500 ELSE 0 END + i % 400)::INTEGER) AS f",
      1,
    ],
  ])('%s leaks', async (_words, feature, score) => {
    const result = await judge(`${feature}, v`, Y, 'binary');
    expect(result).toMatchObject({ passed: false, violations: 1, observed: expect.stringMatching(/^f /) });
    expect(result?.value).toBeCloseTo(score, 2);
  });

  it.each([
    ['noise', 'u AS f'],
    ['an id', 'i AS f'],
    ['an id as text', "'id-' || i AS f"],
    ['many rare categories', "'c' || (i // 2) AS f"],
    ['a useful feature', 'u + CASE WHEN y THEN 0.5 ELSE 0 END AS f'],
    ['a constant', '1 AS f'],
    ['nothing', 'NULL::DOUBLE AS f'],
  ])('%s does not', async (words, feature) => {
    const result = await judge(feature, Y, 'binary');
    expect(result).toMatchObject({ passed: true, violations: 0 });
    expect(result?.value).toBeLessThan(words === 'a useful feature' ? 0.95 : 0.55);
    if (words.startsWith('an id')) expect(result?.note).toBe('f: nearly every value occurs once, like an id');
  });

  it('the area is that of the Mann-Whitney statistic', async () => {
    const sql =
      'SELECT unnest([1, 2, 2, 3, 0]) AS f, unnest([true, false, true, true, false]) AS y FROM range(1000)';
    const [result] = (await checkSql(data, sql, [{ expect: 'leakage' }], { target: 'y', task: 'binary' }))
      .report.results;
    // Rates: 1 for the values 1 and 3, 1/2 for 2, 0 for 0. Of the 3 · 2 pairs one is a tie, which counts half.
    expect(result?.value).toBeCloseTo(5.5 / 6, 2);
  });
});

describe('leakage, several classes and numbers', () => {
  it('several classes', async () => {
    const y = "'k' || (hash(i + 5) % 3)";
    expect(await judge("y || '!' AS f, v", y, 'multiclass')).toMatchObject({ passed: false, value: 1 });
    expect(await judge('ascii(y[2]) * 10 AS f', y, 'multiclass')).toMatchObject({ passed: false, value: 1 });
    const honest = await judge(
      "u AS a, 'id' || i AS b, CASE WHEN u < 0.5 THEN y ELSE 'x' END AS c",
      y,
      'multiclass',
    );
    expect(honest).toMatchObject({ passed: true });
    expect(honest?.value).toBeCloseTo(0.5, 1);
  });

  it('a number', async () => {
    const y = 'hash(i + 5) % 100000 / 1000.0';
    expect(await judge('exp(y / 10) AS f', y, 'regression')).toMatchObject({ passed: false, value: 1 });
    expect(await judge('-y AS f', y, 'regression')).toMatchObject({ passed: false });
    expect(await judge('round(y)::VARCHAR AS f', y, 'regression')).toMatchObject({ passed: false });
    expect(
      await judge('abs(y - 50) AS f', 'abs(hash(i + 5) % 100000 / 1000.0 - 50) ', 'regression'),
    ).toMatchObject({ passed: false });
    const honest = await judge("u AS a, 'id' || i AS b, i AS c, y + 200 * v AS d", y, 'regression');
    expect(honest).toMatchObject({ passed: true });
    expect(honest?.value).toBeLessThan(0.4);
  });

  it('only the columns that are named, and too few rows tell nothing', async () => {
    expect(await judge('y AS f, v', 'i % 2', 'binary', { columns: ['v'] })).toMatchObject({ passed: true });
    const few = await checkSql(
      data,
      'SELECT i AS f, i % 2 AS y FROM range(10) r(i)',
      [{ expect: 'leakage' }],
      {
        target: 'y',
        task: 'binary',
      },
    );
    expect(few.report.results[0]).toMatchObject({ passed: true, note: 'too few rows or labels to judge' });
  });
});

describe('overlap of the parts', () => {
  const overlap = async (rules: object[], columns = ['id', 'a', 'b']) => {
    const file = (name: string, from: number, to: number): Promise<string> =>
      data.writeParquet(
        `${name}.parquet`,
        `SELECT i AS id, i % 50 AS a, CASE WHEN i % 50 = 7 THEN NULL ELSE i // 50 END AS b FROM range(${from}, ${to}) r(i)`,
      );
    return checkOverlap(data.database, {
      rules: parsed(rules),
      parts: {
        train: await file('train', 0, 100),
        validation: await file('val', 90, 150),
        test: await file('test', 150, 200),
      },
      columns: columns.map((name) => ({ name })),
      features: ['a', 'b'],
      entity: ['id'],
    });
  };

  it('rows that are in train too are counted', async () => {
    // Validation: 90 to 99 by entity; by features those and 107, whose missing b equals that of 7. Test: 157.
    expect(
      await overlap([
        { expect: 'overlap', by: 'entity' },
        { expect: 'row_count' },
        { expect: 'overlap', maxShare: 0.2 },
      ]),
    ).toMatchObject([
      {
        passed: false,
        violations: 10,
        rows: 110,
        observed: expect.stringMatching(/10 of 60 rows of validation, 0 of 50 of test/),
      },
      { passed: true, violations: 12, columns: ['a', 'b'], limit: 'at most 20 % of rows' },
    ]);
  });

  it('a missing column is named', () =>
    expect(overlap([{ expect: 'overlap' }], ['id', 'a'])).rejects.toMatchObject({ code: 'ColumnMissing' }));
});
