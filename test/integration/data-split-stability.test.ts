import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

describe('no row moves when rows are added', () => {
  const METHODS = [
    { method: 'random' },
    { method: 'random', seed: 7 },
    { method: 'stratified' },
    { method: 'stratified', by: ['y', 'town'], seed: 1 },
    { method: 'group', by: 'town' },
    { method: 'time', train: { before: '2024-02-01' }, validation: { before: '2024-03-01' }, gap: '2d' },
  ];
  /** A row of a number; the same number gives the same row. */
  const rows = (ids: readonly number[]) =>
    `SELECT id, (id * 7919) % 2 AS y, 'town ' || (id * 31) % 97 AS town, TIMESTAMP '2024-01-01' + to_hours((id * 13) % 2000) AS at
     FROM (SELECT unnest([${ids.join(', ')}]) AS id)`;
  const base = Array.from({ length: 400 }, (_, id) => id);

  it.each(METHODS)('%j', async (how) => {
    const parts = async (ids: readonly number[], columns: object) => {
      const result = await split({ sql: rows(ids), split: how, columns: { timestamp: 'at', ...columns } });
      const found = new Map<number, string>();
      for (const part of PARTS)
        for (const id of await column(result, part, 'id')) found.set(Number(id), part);
      return found;
    };
    for (const columns of [{ entity: 'id' }, {}]) {
      const before = await parts(base, columns);
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(fc.integer({ min: 400, max: 100_000 }), { minLength: 1, maxLength: 300 }),
          async (added) => {
            const after = await parts([...added, ...base], columns);
            for (const [id, part] of before) expect(after.get(id), `row ${id}`).toBe(part);
          },
        ),
        { numRuns: 4, seed: 3 },
      );
    }
  });
});

describe('by strata and groups', () => {
  const sql =
    "SELECT i AS id, i // 5 AS customer, i % 2 AS y, ['big', 'big', 'big', 'small'][1 + i % 4] AS town FROM range(20000) r(i)";

  it('the shares of every stratum are near those wanted, and are told', async () => {
    const how = { method: 'stratified', by: 'town', validation: 0.1, test: 0.3 };
    const result = await split({ sql, split: how, columns: { entity: 'id' } });
    // Three times the deviation that chance gives the smaller stratum of 5,000 rows.
    expect(result.strata?.largestDeviation).toBeLessThan(3 * Math.sqrt((0.3 * 0.7) / 5000));
    expect(result.strata).toMatchObject({ count: 2, incomplete: 0 });
    expect(rowsOf(result).map((rows) => rows / 20_000)).toEqual([
      expect.closeTo(0.6, 1),
      expect.closeTo(0.1, 1),
      expect.closeTo(0.3, 1),
    ]);
  });

  it('a stratum without rows in some part is counted', async () => {
    const rare = `(${sql}) UNION ALL SELECT 99999, 0, 1, 'one house'`;
    const result = await split({
      sql: rare,
      split: { method: 'stratified', by: 'town' },
      columns: { entity: 'id' },
    });
    expect(result.strata).toMatchObject({ count: 3, incomplete: 1 });
  });

  it('a group never straddles parts', async () => {
    const result = await split({
      sql,
      split: { method: 'group', by: 'customer' },
      columns: { entity: 'id' },
    });
    const seen = new Map<unknown, string>();
    for (const part of PARTS)
      for (const customer of await column(result, part, 'customer')) {
        expect(seen.get(customer) ?? part).toBe(part);
        seen.set(customer, part);
      }
    expect(seen.size).toBe(4_000);
  });

  it('another seed is another split', async () => {
    const ids = async (seed: number) =>
      (
        await column(
          await split({ sql, split: { method: 'random', seed }, columns: { entity: 'id' } }),
          'test',
          'id',
        )
      ).join();
    expect(await ids(1)).toBe(await ids(1));
    expect(await ids(1)).not.toBe(await ids(2));
  });

  it('a column that is not there', () =>
    expect(split({ sql, split: { method: 'group', by: 'custmer' } })).rejects.toThrow(
      'split.by: there is no column custmer; did you mean customer?',
    ));
});
