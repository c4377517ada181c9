import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { privacySpec } from '../../contracts/spec/privacy.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { protectTable } from '../../lib/privacy/protect.ts';
import { DataFixture } from '../support/integration-data.ts';

/** What the actions give, against references in plain TypeScript, on random columns with missing values. */

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** A column after its action, row by row. */
async function column(
  values: readonly (string | null)[],
  type: string,
  declared: object | string,
  key = 'a key of 24 bytes, for us',
): Promise<unknown[]> {
  const rows = values.map((value, i) => `(${i}, ${value === null ? 'NULL' : quoteLiteral(value)}::${type})`);
  const { relation, table } = await data.table(
    `SELECT * FROM (VALUES ${rows.join(', ')}) t(i, x) ORDER BY i`,
  );
  const outPath = `${await data.scratch()}/protected.parquet`;
  const spec = privacySpec.parse({
    columns: { x: declared },
    pseudonymKey: '${env:PERENNIAL_SECRET_KEY}',
  });
  await protectTable(data.database, relation, table.columns, spec, { outPath, key });
  const out = await data.database.rows(`SELECT x FROM read_parquet(${quoteLiteral(outPath)}) ORDER BY i`);
  return out.map(({ x }) => x);
}

const RUNS = { numRuns: 25, seed: 20_261_121 };
const someOf = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<(T | null)[]> =>
  fc.array(fc.option(values, { freq: 5 }), { minLength: 1, maxLength: 40 });
/** Numbers that are the same in DECIMAL, DOUBLE and JavaScript: with a few eighths. */
const number = fc.integer({ min: -8_000, max: 8_000 }).map((eighths) => eighths / 8);
const edges = fc
  .uniqueArray(fc.integer({ min: -900, max: 900 }), { minLength: 2, maxLength: 6 })
  .map((list) => list.sort((a, b) => a - b));
const texts = (values: readonly (number | null)[]): (string | null)[] =>
  values.map((value) => (value === null ? null : String(value)));

it('bins are [from,to), open at both ends', async () => {
  const reference = (value: number | null, bins: readonly number[]): string | null => {
    if (value === null) return null;
    const above = bins.filter((edge) => edge <= value).length;
    if (above === 0) return `<${bins[0]}`;
    return above === bins.length ? `>=${bins.at(-1)}` : `[${bins[above - 1]},${bins[above]})`;
  };
  await fc.assert(
    fc.asyncProperty(
      someOf(number),
      edges,
      fc.constantFrom('DOUBLE', 'DECIMAL(12,3)', 'FLOAT'),
      async (values, bins, type) => {
        expect(await column(texts(values), type, { action: { bins } })).toEqual(
          values.map((value) => reference(value, bins)),
        );
      },
    ),
    RUNS,
  );
});

it('top and bottom coding are the nearest value inside of the limits', async () => {
  await fc.assert(
    fc.asyncProperty(
      someOf(fc.integer({ min: -2_000, max: 2_000 })),
      edges,
      fc.constantFrom('DOUBLE', 'BIGINT', 'SMALLINT', 'INTEGER'),
      async (values, list, type) => {
        const [bottomCode = 0, topCode = 0] = [list[0], list.at(-1)];
        expect(await column(texts(values), type, { action: { topCode, bottomCode } })).toEqual(
          values.map((value) => (value === null ? null : Math.min(topCode, Math.max(bottomCode, value)))),
        );
      },
    ),
    RUNS,
  );
});

it('truncated dates are the first day of their year, quarter, month or week', async () => {
  const first: Record<string, (day: Date) => Date> = {
    year: (day) => new Date(Date.UTC(day.getUTCFullYear(), 0, 1)),
    quarter: (day) => new Date(Date.UTC(day.getUTCFullYear(), 3 * Math.floor(day.getUTCMonth() / 3), 1)),
    month: (day) => new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), 1)),
    // ISO 8601: weeks begin on Monday.
    week: (day) => new Date(day.getTime() - ((day.getUTCDay() + 6) % 7) * 864e5),
  };
  const day = fc.integer({ min: -40_000, max: 40_000 }).map((count) => new Date(count * 864e5));
  await fc.assert(
    fc.asyncProperty(
      someOf(day),
      fc.constantFrom('year', 'quarter', 'month', 'week'),
      async (days, truncate) => {
        const values = days.map((one) => one?.toISOString().slice(0, 10) ?? null);
        expect(await column(values, 'DATE', { action: { truncate } })).toEqual(
          days.map((one) => (one === null ? null : first[truncate]?.(one))),
        );
      },
    ),
    RUNS,
  );
});

it('prefixes are the first characters, not bytes', async () => {
  await fc.assert(
    fc.asyncProperty(
      someOf(fc.array(fc.constantFrom('a', 'ß', '日', '7', ' ', "'"), { maxLength: 8 })),
      fc.integer({ min: 1, max: 6 }),
      async (values, prefix) => {
        const whole = values.map((value) => value?.join('') ?? null);
        expect(await column(whole, 'VARCHAR', { action: { prefix } })).toEqual(
          values.map((value) => value?.slice(0, prefix).join('') ?? null),
        );
      },
    ),
    RUNS,
  );
});

it('pseudonyms are the HMAC of Node, join two sources of any types, and join nothing under another key', async () => {
  await fc.assert(
    fc.asyncProperty(
      someOf(fc.nat(2 ** 31 - 1)),
      fc.string({ minLength: 16, maxLength: 100 }),
      fc.constantFrom('VARCHAR', 'BIGINT', 'DOUBLE', 'DECIMAL(18,2)', 'INTEGER'),
      fc.constantFrom('VARCHAR', 'UBIGINT', 'DOUBLE', 'HUGEINT'),
      async (people, key, one, other) => {
        const reference = people.map((id) =>
          id === null
            ? null
            : `pv1_${createHmac('sha256', Buffer.from(key, 'utf8')).update(String(id)).digest('hex').slice(0, 32)}`,
        );
        expect(await column(texts(people), one, 'pseudonym', key)).toEqual(reference);
        expect(await column(texts(people), other, 'pseudonym', key)).toEqual(reference);
        const foreign = await column(texts(people), other, 'pseudonym', `${key}.`);
        for (const [i, pseudonym] of foreign.entries())
          if (pseudonym !== null) expect(reference).not.toContain(foreign[i]);
      },
    ),
    RUNS,
  );
});
