import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitSpec } from '../../contracts/spec/split.ts';
import { DataFixture, type SplitRequest } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

const split = (request: SplitRequest) => data.split(request);

type Split = Awaited<ReturnType<typeof split>>;

const PARTS = ['train', 'validation', 'test'] as const;
const rowsOf = (result: Split) => PARTS.map((part) => result[part].rows);
const column = async (result: Split, part: (typeof PARTS)[number], name: string) =>
  (await data.rows(result[part])).map((row) => row[name]);

describe('by time', () => {
  /** One row for each hour from 2013-01-01T00 UTC on, ten days. */
  const hours = (type: string, value = "TIMESTAMP '2013-01-01' + to_hours(i)") =>
    `SELECT i, CAST(${value} AS ${type}) AS at, i % 2 AS y FROM range(240) r(i)`;
  const bounds = (train: string, validation: string, test?: string, from?: string) => ({
    method: 'time',
    train: { before: train, ...(from ? { from } : {}) },
    validation: { before: validation },
    ...(test ? { test: { before: test } } : {}),
  });
  const columns = { timestamp: 'at' };

  it.each(['TIMESTAMP', 'TIMESTAMPTZ', 'TIMESTAMP_NS', 'TIMESTAMP_S', 'VARCHAR'])(
    'of %s: a part begins where the one before ends',
    async (type) => {
      const result = await split({
        sql: hours(type),
        columns,
        split: bounds('2013-01-04', '2013-01-06', '2013-01-09'),
      });
      expect(rowsOf(result)).toEqual([72, 48, 72]);
      expect(result.unused).toBe(48);
      expect(Math.max(...(await column(result, 'train', 'i')).map(Number))).toBe(71);
      expect(Math.min(...(await column(result, 'validation', 'i')).map(Number))).toBe(72);
    },
  );

  it('of DATE', async () => {
    const result = await split({ sql: hours('DATE'), columns, split: bounds('2013-01-04', '2013-01-06') });
    expect(rowsOf(result)).toEqual([72, 48, 120]);
    expect(result.unused).toBe(0);
  });

  it('bounds with hours, in UTC where no offset stands', async () => {
    const bound = (text: string) =>
      split({ sql: hours('TIMESTAMP'), columns, split: bounds(text, '2013-01-06') });
    expect((await bound('2013-01-02T06:00:00Z')).train.rows).toBe(30);
    expect((await bound('2013-01-02 06:00')).train.rows).toBe(30);
    expect((await bound('2013-01-02T06:00:00+02:00')).train.rows).toBe(28);
    expect((await bound('2013-01-02T06:00:00-05:00')).train.rows).toBe(35);
  });

  it('rows before the first bound, and rows without a time, belong to no part', async () => {
    const sql = hours('TIMESTAMP', "CASE WHEN i < 200 THEN TIMESTAMP '2013-01-01' + to_hours(i) END");
    const result = await split({
      sql,
      columns,
      split: bounds('2013-01-04', '2013-01-06', undefined, '2013-01-02'),
    });
    expect(rowsOf(result)).toEqual([48, 48, 80]);
    expect(result.unused).toBe(64);
  });

  it('of a zoned column, whatever the zone that it was written in', async () => {
    const sql = `SELECT * FROM (VALUES
      (TIMESTAMPTZ '2013-01-01 23:30:00-05', 0), (TIMESTAMPTZ '2013-01-02 01:00:00+02', 1), (TIMESTAMPTZ '2013-01-01 10:00:00Z', 0),
      (TIMESTAMPTZ '2013-01-02 06:00:00Z', 1), (TIMESTAMPTZ '2013-01-03 06:00:00Z', 0), (TIMESTAMPTZ '2013-01-03 07:00:00Z', 1)) t("at", y)`;
    const result = await split({ sql, columns, split: bounds('2013-01-02', '2013-01-03') });
    // 23:30 in New York is the next day in UTC, 01:00 in Athens the day before.
    expect(rowsOf(result)).toEqual([2, 2, 2]);
  });

  it('a gap is left out after each bound', async () => {
    const result = await split({
      sql: hours('TIMESTAMP'),
      columns,
      split: { ...bounds('2013-01-04', '2013-01-06', '2013-01-09'), gap: '6h' },
    });
    expect(rowsOf(result)).toEqual([72, 42, 66]);
    expect(result.unused).toBe(48 + 12);
    expect(Math.min(...(await column(result, 'validation', 'i')).map(Number))).toBe(78);
    expect(Math.min(...(await column(result, 'test', 'i')).map(Number))).toBe(126);
  });

  it.each([
    [{ ...bounds('2013-01-04', '2013-01-06'), gap: '2d' }, 'validation.before', /and the gap of 2d/],
    [bounds('2013-01-06', '2013-01-04'), 'validation.before', /later than split.train.before/],
    [bounds('2013-02-30', '2013-03-04'), 'train.before', /no such day/],
  ])('refuses %j', (spec, path, message) => {
    const [issue] = splitSpec.safeParse(spec).error?.issues ?? [];
    expect(issue?.path.join('.')).toBe(path);
    expect(issue?.message).toMatch(message);
  });

  it('an empty part, a missing column and a column that is no time', async () => {
    const sql = hours('TIMESTAMP');
    await expect(split({ sql, columns, split: bounds('2014-01-01', '2014-02-01') })).rejects.toMatchObject({
      code: 'SplitEmpty',
    });
    await expect(
      split({ sql, columns: { timestamp: 'att' }, split: bounds('2013-01-04', '2013-01-06') }),
    ).rejects.toThrow('columns.timestamp: there is no column att; did you mean at?');
    const words = split({
      sql: "SELECT 'Ann Example' AS at, 0 AS y",
      columns,
      split: bounds('2013-01-04', '2013-01-06'),
    });
    await expect(words).rejects.toMatchObject({ code: 'ColumnInvalid' });
    await expect(words).rejects.not.toThrow(/Ann/);
  });
});

describe('by chance', () => {
  const people = (count: number, extra = '') =>
    `SELECT i AS id, i // 3 AS household, (i * 7) % 2 AS y${extra} FROM range(${count}) r(i)`;

  it('has the shares that were asked for', async () => {
    const result = await split({
      sql: people(20_000),
      split: { method: 'random', validation: 0.1, test: 0.3 },
    });
    const [train = 0, validation = 0, test = 0] = rowsOf(result).map((rows) => rows / 20_000);
    expect(train).toBeCloseTo(0.6, 1);
    expect(validation).toBeCloseTo(0.1, 1);
    expect(test).toBeCloseTo(0.3, 1);
    expect(train + validation + test).toBe(1);
    expect(result.unused).toBe(0);
  });

  it('a row keeps its part when rows are added, and when columns are where there is an entity', async () => {
    const columns = { entity: 'id' };
    const before = await split({ sql: people(1_000), columns });
    const more = await split({ sql: people(3_000, ', random() AS noise'), columns });
    for (const part of PARTS) {
      const now = new Set(await column(more, part, 'id'));
      for (const id of await column(before, part, 'id'))
        expect(now.has(id), `${String(id)} in ${part}`).toBe(true);
    }
  });

  it('without an entity the whole row decides', async () => {
    const before = await split({ sql: people(1_000) });
    const more = await split({ sql: `(${people(1_000)}) UNION ALL (${people(500)} OFFSET 100)` });
    for (const part of PARTS) {
      const now = new Set(await column(more, part, 'id'));
      for (const id of await column(before, part, 'id')) expect(now.has(id)).toBe(true);
    }
  });

  it('an entity stays in one part', async () => {
    const result = await split({ sql: people(6_000), columns: { entity: 'household' } });
    const seen = new Map<unknown, string>();
    for (const part of PARTS)
      for (const household of await column(result, part, 'household')) {
        expect(seen.get(household) ?? part).toBe(part);
        seen.set(household, part);
      }
    expect(seen.size).toBe(2_000);
  });

  it('parts of an entity are told apart, missing ones too', async () => {
    const sql =
      "SELECT * FROM (VALUES ('ab', 'c'), ('a', 'bc'), (NULL, 'abc'), ('abc', NULL), ('', 'abc')) t(p, q), range(400) r(i)";
    const result = await split({
      sql: `SELECT p, q, i, i % 2 AS y FROM (${sql})`,
      columns: { entity: ['p', 'q', 'i'] },
    });
    // Were two entities the same key, all of their 400 pairs would fall together.
    const parts = new Map<string, string>();
    for (const part of PARTS)
      for (const row of await data.rows(result[part])) parts.set(JSON.stringify([row.p, row.q, row.i]), part);
    const alike = (a: [unknown, unknown], b: [unknown, unknown]): number =>
      Array.from({ length: 400 }, (_, i) => i).filter(
        (i) => parts.get(JSON.stringify([...a, i])) === parts.get(JSON.stringify([...b, i])),
      ).length;
    expect(alike(['ab', 'c'], ['a', 'bc'])).toBeLessThan(300);
    expect(alike([null, 'abc'], ['', 'abc'])).toBeLessThan(300);
    expect(alike([null, 'abc'], ['abc', null])).toBeLessThan(300);
  });

  it('twice gives the same artifacts', async () => {
    expect(await split({ sql: people(2_000) })).toEqual(await split({ sql: people(2_000) }));
  });

  it('an entity that does not exist', async () =>
    expect(split({ sql: people(10), columns: { entity: 'houshold' } })).rejects.toThrow(
      'columns.entity: there is no column houshold; did you mean household?',
    ));
});

describe('what is learned from the training part', () => {
  /** `day` 0 is training, 1 validation, 2 test. */
  const days = (values: string) =>
    `SELECT TIMESTAMP '2013-01-01' + to_days(day) AS at, y FROM (VALUES ${values}) t(day, y)`;
  const request = (values: string, more: Partial<SplitRequest> = {}): SplitRequest => ({
    sql: days(values),
    ...more,
    columns: { timestamp: 'at', ...more.columns },
    split: { method: 'time', train: { before: '2013-01-02' }, validation: { before: '2013-01-03' } },
  });
  const YES_NO = "(0,'yes'),(0,'no'),(0,'no'),(0,'no'),(1,'yes'),(1,'no'),(2,'yes'),(2,'no')";

  it('classes in order, their shares, and the last one as the positive', async () => {
    const result = await split(request(YES_NO));
    expect(result).toMatchObject({
      classNames: ['no', 'yes'],
      positiveClass: 'yes',
      baseline: { classShares: [0.75, 0.25], mean: null },
    });
    expect(await split(request(YES_NO, { columns: { positive: 'no' } }))).toMatchObject({
      positiveClass: 'no',
    });
  });

  it('booleans and numbers are classes too, in their own order', async () => {
    expect(await split(request('(0,true),(0,false),(1,true),(1,false),(2,true),(2,false)'))).toMatchObject({
      classNames: ['false', 'true'],
      positiveClass: 'true',
    });
    const numbers = [0, 1, 2].flatMap((day) => [2, 10, 9].map((y) => `(${day},${y})`)).join(',');
    expect(await split(request(numbers, { task: 'multiclass' }))).toMatchObject({
      classNames: ['2', '9', '10'],
      positiveClass: null,
    });
  });

  it('the mean of a regression, of the training rows only', async () =>
    expect(await split(request('(0,1),(0,2),(1,100),(2,100)', { task: 'regression' }))).toMatchObject({
      classNames: [],
      positiveClass: null,
      baseline: { classShares: [], mean: 1.5 },
    }));

  it.each([
    [
      'a class only in the test part',
      `${YES_NO},(2,'new')`,
      { task: 'multiclass' },
      'SplitEmpty',
      /occur only outside of the training part/,
    ],
    ['one class in training', "(0,'no'),(1,'no'),(2,'no')", {}, 'SplitEmpty', /only one class/],
    [
      'one class in a later part',
      "(0,'yes'),(0,'no'),(1,'yes'),(1,'no'),(2,'no')",
      {},
      'SplitEmpty',
      /part test has only one class/,
    ],
    [
      'three classes of a binary task',
      "(0,'a'),(0,'b'),(0,'c'),(1,'a'),(1,'b'),(2,'a'),(2,'b')",
      {},
      'ColumnInvalid',
      /task binary needs 2; use task multiclass/,
    ],
    [
      'an unknown positive class',
      YES_NO,
      { columns: { positive: 'ja' } },
      'ColumnInvalid',
      /ja is not a class of y; the classes are no, yes/,
    ],
    [
      'an unknown target',
      YES_NO,
      { columns: { target: 'yy' } },
      'ColumnMissing',
      /columns\.target: there is no column yy; did you mean y\?/,
    ],
    [
      'text as the target of a regression',
      YES_NO,
      { task: 'regression' },
      'ColumnInvalid',
      /y of a regression/,
    ],
  ] as const)('%s is refused', async (_what, values, more, code, words) => {
    const refusal = split(request(values, more));
    await expect(refusal).rejects.toMatchObject({ code, retryable: false });
    await expect(refusal).rejects.toThrow(words);
  });

  it('a class that is nowhere in the parts does not count', async () => {
    const values = `${YES_NO},(-40,'old')`;
    const outside = {
      ...request(values),
      split: {
        method: 'time',
        train: { from: '2013-01-01', before: '2013-01-02' },
        validation: { before: '2013-01-03' },
      },
    };
    expect(await split(outside)).toMatchObject({ classNames: ['no', 'yes'], unused: 1 });
  });
});

it.each(['train', 'validation', 'test', 'class', 'parts'])(
  'classes of a target called %s are in their own order',
  async (target) => {
    const sql = `SELECT i AS id, CASE WHEN i % 5 = 0 THEN 10 ELSE 9 END AS "${target}" FROM range(1000) r(i)`;
    expect(await split({ sql, columns: { target, entity: 'id' } })).toMatchObject({
      classNames: ['9', '10'],
      positiveClass: '10',
    });
  },
);
