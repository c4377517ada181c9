import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { durationMs } from '../../contracts/durations.ts';
import { columnsSpec } from '../../contracts/spec/data.ts';
import { splitSpec } from '../../contracts/spec/split.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { type CrossValidationSpec, crossValidationSpec } from '../../contracts/spec/training.ts';
import { type FoldedTable, rangesSql, writeFolds } from '../../lib/data/folds.ts';
import { Database } from '../../lib/duckdb/database.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { digestOf } from '../support/digests.ts';
import { DataFixture } from '../support/integration-data.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

interface Row {
  id: number;
  person: number;
  town: number;
  y: number;
  /** Hours since 2024. */
  hour: number | null;
}

interface Request {
  how: object;
  columns?: object;
  split?: object;
  task?: Task;
  database?: Database;
}

interface Made extends FoldedTable {
  path: string;
  crossValidation: CrossValidationSpec;
}

const sqlOf = (rows: readonly Row[]): string =>
  `SELECT id, person, town, CASE WHEN y = 0 THEN 'no' ELSE 'yes' || y END AS y, TIMESTAMP '2024-01-01' + to_hours(hour) AS at
   FROM (VALUES ${rows.map(({ id, person, town, y, hour }) => `(${id}, ${person}, ${town}, ${y}, ${hour ?? 'NULL::INTEGER'})`).join(', ')}) AS r(id, person, town, y, hour)`;

async function foldsOf(
  sql: string,
  { how, columns, split, task = 'multiclass', database = data.database }: Request,
): Promise<Made> {
  const path = join(await data.scratch(), 'folds.parquet');
  const crossValidation = crossValidationSpec.parse(how);
  const relation = `(${sql})`;
  const made = await writeFolds(
    database,
    relation,
    await database.columns(relation),
    {
      ...{ task, crossValidation },
      columns: columnsSpec.parse({ target: 'y', timestamp: 'at', ...columns }),
      split: splitSpec.parse(split),
    },
    path,
  );
  return { ...made, path, crossValidation };
}

/** The rows of each fold by their numbers, as they are read for it. */
async function idsOf({ path, folds }: Pick<Made, 'path' | 'folds'>) {
  const read = async (ranges: Parameters<typeof rangesSql>[1]): Promise<number[]> =>
    (await data.database.rows(`SELECT id FROM (${rangesSql(path, ranges)})`)).map(({ id }) => Number(id));
  return Promise.all(
    folds.map(async ({ train, validation }) => ({
      train: await read(train),
      validation: await read([validation]),
    })),
  );
}

const row = fc.record({
  person: fc.integer({ min: 0, max: 40 }),
  town: fc.integer({ min: 0, max: 8 }),
  y: fc.constantFrom(0, 0, 0, 1, 1, 2),
  hour: fc.option(fc.integer({ min: 0, max: 300 }), { freq: 12 }),
});
const rows = (least: number) =>
  fc
    .array(row, { minLength: least, maxLength: 160 })
    .map((all) => all.map((one, id): Row => ({ id, ...one })));
const RUNS = { numRuns: 15, seed: 11 };

type Method = Pick<Request, 'how' | 'columns' | 'split'>;
const BY_KEY: Method[] = [
  { how: { method: 'kfold', folds: 3 } },
  { how: { method: 'kfold', folds: 3 }, columns: { entity: 'person' } },
  { how: { method: 'kfold', folds: 2 }, split: { method: 'group', by: ['person', 'town'] } },
  { how: { method: 'stratified', folds: 4 } },
  { how: { method: 'stratified', folds: 3, by: ['y', 'town'] }, columns: { entity: 'person' } },
  { how: { method: 'group', folds: 3, by: 'person' } },
];
const IN_TIME: Method[] = [
  { how: { method: 'time', folds: 4 } },
  { how: { method: 'time', folds: 2, gap: '36h' } },
];

/** What the folds of some rows are, or why there are none: by chance there may be too few rows of a class. */
async function attempt(sql: string, request: Request) {
  try {
    return await foldsOf(sql, { ...request, task: 'regression' });
  } catch (error) {
    expect(error).toMatchObject({ code: 'SplitEmpty', message: expect.stringMatching(/fewer folds/) });
    return undefined;
  }
}

describe.each([...BY_KEY, ...IN_TIME])('folds $how $columns $split', (request) => {
  const { method, folds: count } = crossValidationSpec.parse(request.how);

  it('are disjoint and whole, and no row is trained on that is judged', { timeout: 120_000 }, async () => {
    let judged = 0;
    await fc.assert(
      fc.asyncProperty(rows(60), async (all) => {
        const made = await attempt(sqlOf(all), request);
        if (!made) return;
        judged++;
        const folds = await idsOf(made);
        expect(folds).toHaveLength(count);
        const usable = all.filter(({ hour }) => method !== 'time' || hour !== null);
        const seen = folds.flatMap(({ validation }) => validation);
        expect(new Set(seen).size).toBe(seen.length);
        for (const { train, validation } of folds) {
          expect(train.length * validation.length).toBeGreaterThan(0);
          expect(new Set([...train, ...validation]).size).toBe(train.length + validation.length);
          if (method !== 'time') expect(train.length + validation.length).toBe(all.length);
        }
        if (method !== 'time') {
          expect(seen.length).toBe(all.length);
          return;
        }
        // The rest is the first block, the oldest rows.
        const oldest = Math.min(...seen.map((id) => all[id]?.hour ?? Number.NaN));
        const first = usable.filter(({ id }) => !seen.includes(id));
        expect(first.length).toBeGreaterThan(0);
        for (const { hour } of first) expect(hour).toBeLessThan(oldest);
      }),
      RUNS,
    );
    expect(judged).toBeGreaterThan(10);
  });

  it('hang neither on the order of the rows nor on threads', { timeout: 120_000 }, async () => {
    const few = await Database.create({ tempDir: join(data.folder, 'few'), threads: 2 });
    const many = await Database.create({ tempDir: join(data.folder, 'many'), threads: 7 });
    try {
      await fc.assert(
        fc.asyncProperty(
          rows(60).chain((all) =>
            fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length })),
          ),
          async ([all, shuffled]) => {
            const one = await attempt(sqlOf(all), { ...request, database: few });
            const other = await attempt(sqlOf(shuffled), { ...request, database: many });
            expect(other?.folds).toEqual(one?.folds);
            expect(other && (await digestOf(other.path))).toBe(one && (await digestOf(one.path)));
          },
        ),
        { numRuns: 6, seed: 5 },
      );
    } finally {
      few.close();
      many.close();
    }
  });
});

it.each(BY_KEY)(
  'folds $how $columns $split keep together what belongs together',
  { timeout: 120_000 },
  async (request) => {
    const { method } = crossValidationSpec.parse(request.how);
    const key = ({ id, person, town }: Row): string => {
      if (request.split) return `${person}/${town}`;
      return request.columns || method === 'group' ? String(person) : String(id);
    };
    await fc.assert(
      fc.asyncProperty(rows(60), async (all) => {
        const made = await attempt(sqlOf(all), request);
        if (!made) return;
        const keys = all.map(key);
        const foldOf = new Map<string, number>();
        for (const [fold, { validation }] of (await idsOf(made)).entries())
          for (const id of validation) {
            const unit = keys[id] ?? 'none';
            expect(foldOf.get(unit) ?? fold).toBe(fold);
            foldOf.set(unit, fold);
          }
        expect(foldOf.size).toBe(new Set(keys).size);
      }),
      RUNS,
    );
  },
);

it.each(IN_TIME)(
  'folds $how train on all before them, minus the gap',
  { timeout: 120_000 },
  async (request) => {
    const how = crossValidationSpec.parse(request.how);
    const gap = 'gap' in how && how.gap ? durationMs(how.gap) / 3_600_000 : 0;
    await fc.assert(
      fc.asyncProperty(rows(60), async (all) => {
        const made = await attempt(sqlOf(all), request);
        if (!made) return;
        const hourOf = (id: number): number => all[id]?.hour ?? Number.NaN;
        for (const { train, validation } of await idsOf(made)) {
          const start = Math.min(...validation.map(hourOf));
          const before = all.filter(({ hour }) => hour !== null && hour < start - gap);
          expect([...train].sort((a, b) => a - b)).toEqual(before.map(({ id }) => id));
        }
      }),
      RUNS,
    );
  },
);

describe('sizes of folds', () => {
  it('stratified: each stratum and all rows are spread to one row', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(rows(40), async (all) => {
        const made = await attempt(sqlOf(all), { how: { method: 'stratified', folds: 5 } });
        if (!made) return;
        const folds = (await idsOf(made)).map(({ validation }) => validation);
        for (const wanted of [0, 1, 2, undefined]) {
          const counts = folds.map(
            (ids) => ids.filter((id) => wanted === undefined || all[id]?.y === wanted).length,
          );
          expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        }
      }),
      RUNS,
    );
  });

  it('group: differ by no more than the largest group', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(rows(40), async (all) => {
        const made = await attempt(sqlOf(all), { how: { method: 'group', folds: 4, by: 'town' } });
        if (!made) return;
        const sizes = made.folds.map(({ validation }) => validation.before - validation.from);
        const groups = Array.from({ length: 9 }, (_, town) => all.filter((one) => one.town === town).length);
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(Math.max(...groups));
      }),
      RUNS,
    );
  });

  it('time: blocks without ties are those of TimeSeriesSplit', async () => {
    const sql =
      "SELECT i AS id, i AS y, TIMESTAMP '2024-01-01' + to_hours((i * 37) % 103) AS at FROM range(103) r(i)";
    const { folds } = await foldsOf(sql, { how: { method: 'time', folds: 5 }, task: 'regression' });
    // 103 // 6 = 17 rows are judged in each, the rest is the first block.
    expect(folds).toEqual(
      [18, 35, 52, 69, 86].map((start) => ({
        train: [{ from: 0, before: start }],
        validation: { from: start, before: start + 17 },
      })),
    );
  });

  it('kfold: a row never moves when rows are added', async () => {
    const sql = (rows: number) =>
      `SELECT i AS id, i % 2 AS y, NULL::TIMESTAMP AS at FROM range(${rows}) r(i)`;
    const request = { how: { method: 'kfold', folds: 5 }, columns: { entity: 'id' } };
    const before = await idsOf(await foldsOf(sql(300), request));
    const after = await idsOf(await foldsOf(sql(900), request));
    for (const [fold, { validation }] of before.entries())
      expect(after[fold]?.validation.filter((id) => id < 300).sort()).toEqual(validation.sort());
  });

  it('several row groups are read in their order', { timeout: 120_000 }, async () => {
    const made = await foldsOf(
      "SELECT i AS id, i % 3 AS y, TIMESTAMP '2024-01-01' + to_seconds(i) AS at, md5(i::VARCHAR) AS text FROM range(400000) r(i)",
      { how: { method: 'time', folds: 3 } },
    );
    const ranges = [
      { from: 0, before: 200_000 },
      { from: 300_000, before: 400_000 },
    ];
    expect(made.folds[1]).toEqual({ train: [ranges[0]], validation: { from: 200_000, before: 300_000 } });
    // As it is read for a fold: through a file.
    const path = join(await data.scratch(), 'fold.parquet');
    await data.database.copyToParquet(rangesSql(made.path, ranges), path);
    const facts = await data.database.row(
      `SELECT count(*) AS rows, min(id) AS first, max(id) AS last, count(*) FILTER (id = before + 1) AS next
       FROM (SELECT id, lag(id) OVER () AS before FROM read_parquet(${quoteLiteral(path)}))`,
    );
    expect(facts).toEqual({ rows: 300_000, first: 0, last: 399_999, next: 299_998 });
  });
});

describe('what cannot be folded', () => {
  const sql = (more = 'i % 2') =>
    `SELECT i AS id, i // 10 AS customer, ${more} AS y, TIMESTAMP '2024-01-01' + to_hours(i // 20) AS at FROM range(60) r(i)`;
  const refusal = (request: Request, rows = sql()) => foldsOf(rows, request).catch((error: unknown) => error);

  it.each([
    [
      'a group column that is not there',
      { how: { method: 'group', by: 'custmer' } },
      ['ColumnMissing', 'training.crossValidation.by: there is no column custmer; did you mean customer?'],
    ],
    [
      'a column of strata that is not there',
      { how: { method: 'stratified', by: ['y', 'town'] } },
      ['ColumnMissing', 'training.crossValidation.by: there is no column town'],
    ],
    [
      'no timestamp',
      { how: { method: 'time' }, columns: { timestamp: 'when' } },
      ['ColumnMissing', 'columns.timestamp: there is no column when'],
    ],
    [
      'a text as time',
      { how: { method: 'time' }, columns: { timestamp: 'id' } },
      ['ColumnInvalid', 'columns.timestamp id'],
    ],
    [
      'fewer groups than folds',
      { how: { method: 'group', by: 'customer', folds: 7 } },
      [
        'SplitEmpty',
        '7 folds need at least 7 groups, the training and the validation part have 6; use fewer folds',
      ],
    ],
    [
      'fewer entities than folds',
      { how: { method: 'stratified', folds: 7 }, columns: { entity: 'customer' } },
      ['SplitEmpty', '7 folds need at least 7 entities'],
    ],
    [
      'strata smaller than the folds',
      { how: { method: 'stratified', by: 'id', folds: 2 } },
      ['SplitEmpty', 'no stratum has a row for each of 2 folds, the largest one has 1'],
    ],
    [
      'fewer moments than folds',
      { how: { method: 'time', folds: 3 } },
      ['SplitEmpty', 'fold 1 of 3 has no training rows before it; use fewer folds'],
    ],
    [
      'folds within one moment',
      { how: { method: 'time', folds: 8 } },
      ['SplitEmpty', 'has no rows, since too many rows have the same at; use fewer folds'],
    ],
    [
      'a gap longer than what lies before',
      { how: { method: 'time', folds: 2, gap: '3d' } },
      [
        'SplitEmpty',
        'fold 1 of 2 has no training rows before it and the gap of 3d; use a shorter gap or fewer folds',
      ],
    ],
    [
      'kfold with an empty fold',
      { how: { method: 'kfold', folds: 20 }, columns: { entity: 'customer' } },
      ['SplitEmpty', 'has no rows; use fewer folds'],
    ],
  ])('%s', async (_what, request, [code, message]) => {
    expect(await refusal(request)).toMatchObject({ code, message: expect.stringContaining(message ?? '') });
  });

  it('fewer rows than folds in time', async () => {
    const few = `SELECT * FROM (${sql()}) LIMIT 5`;
    expect(await refusal({ how: { method: 'time', folds: 5 } }, few)).toMatchObject({
      code: 'SplitEmpty',
      message: expect.stringContaining('5 folds in time need at least 6 rows with a timestamp'),
    });
  });

  it('a class that a fold never trains on', async () => {
    const rare = sql("CASE WHEN i = 7 THEN 'Ann Example' ELSE 'b' || i % 2 END");
    const refused = await refusal({ how: { method: 'stratified', folds: 3 } }, rare);
    expect(refused).toMatchObject({
      code: 'SplitEmpty',
      message: expect.stringMatching(
        /the training rows of fold \d of 3 have no row of 1 class\(es\) of y; use fewer folds/,
      ),
    });
    expect(refused).not.toMatchObject({ message: expect.stringContaining('Ann') });
  });
});

describe('notes', () => {
  it('tell of rare classes and strata, of folds with one class, and of rows without a moment', async () => {
    const rare =
      "SELECT i AS id, CASE WHEN i < 3 THEN 'rare' ELSE 'b' || i % 2 END AS y, i // 58 AS town, NULL::TIMESTAMP AS at FROM range(60) r(i)";
    const { notes } = await foldsOf(rare, { how: { method: 'stratified', folds: 4 } });
    expect(notes).toEqual([
      '1 strata have fewer rows than there are folds (4): some folds have none of them.',
      '1 class(es) of y have fewer rows than there are folds (4).',
    ]);
    const late =
      "SELECT i AS id, i < 18 OR i >= 40 AND i % 2 = 0 AS y, CASE WHEN i < 58 THEN TIMESTAMP '2024-01-01' + to_hours(CASE WHEN i IN (20, 21) THEN 0 ELSE i END) END AS at FROM range(60) r(i)";
    const timed = await foldsOf(late, { how: { method: 'time', folds: 2 }, task: 'binary' });
    expect(timed.notes).toEqual([
      '2 rows without a usable at belong to no fold.',
      'Fold(s) 1: the rows that are judged have one class of y alone; metrics that need two are missing there.',
    ]);
    expect(timed.rows).toBe(58);
  });

  it('there are none where all is well', async () => {
    const sql = 'SELECT i AS id, i % 3 AS y, NULL::TIMESTAMP AS at FROM range(600) r(i)';
    expect((await foldsOf(sql, { how: { method: 'kfold' } })).notes).toEqual([]);
  });
});
