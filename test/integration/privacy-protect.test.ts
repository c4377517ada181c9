import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { anonymityResult, protectedTable } from '../../contracts/privacy.ts';
import { privacySpec } from '../../contracts/spec/privacy.ts';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { kAnonymity } from '../../lib/privacy/k-anonymity.ts';
import { protectTable } from '../../lib/privacy/protect.ts';
import { pseudonymOf } from '../../lib/privacy/pseudonym.ts';
import { DataFixture } from '../support/integration-data.ts';

const KEY = 'a key of 24 bytes, for us';
const REFERENCE = '${env:PERENNIAL_SECRET_KEY}';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

/** A query's table after actions, with what is told about it. */
async function protect(query: string, columns: object, key: string | undefined = KEY) {
  const { relation, table } = await data.table(query);
  const outPath = `${await data.scratch()}/protected.parquet`;
  const spec = privacySpec.parse({ columns, pseudonymKey: REFERENCE });
  const told = await protectTable(data.database, relation, table.columns, spec, { outPath, key });
  const rows = await data.database.rows(`SELECT * FROM read_parquet(${quoteLiteral(outPath)})`);
  return { told, rows, outPath };
}

const PEOPLE = `SELECT * FROM (VALUES
  (1, ' Ann@Example.com', 'Ann', DATE '1980-05-17', 44::SMALLINT, 1500.5, 'A1 2BC'),
  (2, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, 'bob@example.com', 'Bob', DATE '1999-12-31', 17::SMALLINT, 250000.0, 'Z9 8YX')
) t(id, email, name, born, age, income, zip)`;

describe('each action', () => {
  it('does what it says, keeps missing values, rows and order', async () => {
    const { told, rows } = await protect(PEOPLE, {
      email: 'mask',
      name: 'drop',
      born: { action: { truncate: 'year' } },
      age: { action: { bins: [18, 30, 50] } },
      income: { action: { topCode: 200_000, bottomCode: 2_000 } },
      zip: { action: { prefix: 2 } },
    });
    expect(rows).toEqual([
      { id: 1, email: '•••', born: new Date('1980-01-01'), age: '[30,50)', income: 2000, zip: 'A1' },
      { id: 2, email: null, born: null, age: null, income: null, zip: null },
      { id: 3, email: '•••', born: new Date('1999-01-01'), age: '<18', income: 200000, zip: 'Z9' },
    ]);
    expect(protectedTable.parse(told).rows).toBe(3);
    expect(told.actions).toContainEqual({ column: 'name', action: 'dropped', type: null });
    expect(told.actions).toContainEqual({ column: 'born', action: 'truncated to year', type: 'DATE' });
  });

  it('puts numbers on the edges of bins to the right, what is no number nowhere', async () => {
    const { rows } = await protect(
      `SELECT unnest([-1, 0, 17.99, 18, 70, 'infinity'::DOUBLE, 'nan'::DOUBLE, NULL]) AS x`,
      { x: { action: { bins: [0, 18, 70] } } },
    );
    expect(rows.map((row) => row.x)).toEqual([
      '<0',
      '[0,18)',
      '[0,18)',
      '[18,70)',
      '>=70',
      '>=70',
      null,
      null,
    ]);
  });

  it('codes and rounds numbers of every type, and leaves what is no number', async () => {
    const { rows, told } = await protect(
      `SELECT unnest([1::TINYINT, 100, NULL]) AS small, unnest([5, 'nan'::DOUBLE, 'infinity']) AS real,
              unnest([12345, -678, NULL]) AS wage, unnest([1.23, 4.56, 7.891]) AS price`,
      {
        small: { action: { topCode: 1000, bottomCode: 50 } },
        real: { action: { topCode: 10 } },
        wage: { action: { round: 1000 } },
        price: { action: { round: 0.1 } },
      },
    );
    expect(rows).toEqual([
      { small: 50, real: 5, wage: 12000, price: 1.2 },
      { small: 100, real: Number.NaN, wage: -1000, price: 4.6 },
      { small: null, real: 10, wage: null, price: 7.9 },
    ]);
    expect(told.actions.find(({ column }) => column === 'small')?.type).toBe('TINYINT');
  });

  it('gives the same bytes for the same rows, in their order, over many row groups', async () => {
    const query = `SELECT i, 'user' || hash(i) || '@example.com' AS email, '+4930' || (1000000 + i % 1000) AS phone FROM range(300000) r(i)`;
    const columns = {
      email: { kind: 'email', action: 'pseudonym' },
      phone: { kind: 'phone', action: 'mask' },
    };
    const [first, second] = [await protect(query, columns), await protect(query, columns)];
    const digest = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
    expect(digest(second.outPath)).toBe(digest(first.outPath));
    expect(first.rows.every((row, i) => row.i === i)).toBe(true);
    expect(new Set(first.rows.map((row) => row.email)).size).toBe(300_000);
  });
});

describe('a pseudonym', () => {
  const hmac = (text: string, key = KEY): string =>
    `pv1_${createHmac('sha256', key).update(text).digest('hex').slice(0, 32)}`;

  it('is the HMAC-SHA-256 of the normal form', async () => {
    const { rows } = await protect(PEOPLE, {
      email: { kind: 'email', action: 'pseudonym' },
      id: 'pseudonym',
    });
    expect(rows.map(({ email, id }) => [email, id])).toEqual([
      [hmac('ann@example.com'), hmac('1')],
      [null, hmac('2')],
      [hmac('bob@example.com'), hmac('3')],
    ]);
  });

  it.each(['email', 'phone', 'iban', 'national_id', 'person_name', undefined] as const)(
    'of kind %s is the same in SQL and alone, for any text',
    async (kind) => {
      const texts = [
        ...fc
          .sample(fc.string({ unit: 'binary', maxLength: 30 }), { numRuns: 150, seed: 7 })
          .filter((text) => !text.includes('\0')),
        ...fc.sample(fc.stringMatching(/^[ +\d().-]{6,18}$/), { numRuns: 50, seed: 8 }),
        ' Ann@EXAMPLE.com\u00a0',
        'İstanbul ΣΑΣ',
        'Åsa',
        'A\u030asa',
        '0049 30 901820',
        '+49 (30) 901820',
        "it's",
        '',
      ];
      await data.database.run('CREATE OR REPLACE TABLE texts (i INTEGER, text VARCHAR)');
      const appender = await data.database.connection.createAppender('texts');
      for (const [i, text] of texts.entries()) {
        appender.appendInteger(i);
        appender.appendVarchar(text);
        appender.endRow();
      }
      appender.closeSync();
      const { rows } = await protect('SELECT * FROM texts ORDER BY i', {
        text: { kind, action: 'pseudonym' },
      });
      expect(rows.map((row) => row.text)).toEqual(
        texts.map((text) => pseudonymOf(text, kind, { key: KEY, version: 'v1' })),
      );
    },
  );

  it('is one for a person however it is written, and joins across sources and types', async () => {
    const same = (
      a: string,
      b: string,
      kind: 'email' | 'phone' | 'iban' | undefined,
      region?: string,
    ): boolean =>
      pseudonymOf(a, kind, { key: KEY, version: 'v1' }, region) ===
      pseudonymOf(b, kind, { key: KEY, version: 'v1' }, region);
    expect(same(' ANN@example.com ', 'ann@Example.COM', 'email')).toBe(true);
    expect(same('030 901820', '+49 (30) 90 18 20', 'phone', 'DE')).toBe(true);
    expect(same('0049 30 901820', '+4930901820', 'phone')).toBe(true);
    expect(same('DE89 3704 0044 0532 0130 00', 'de89370400440532013000', 'iban')).toBe(true);
    expect(same('A\u030asa', 'Åsa', undefined)).toBe(true);
    const { rows } = await protect(
      `SELECT 42 AS a, 42.0::DOUBLE AS b, '42' AS c, 42::DECIMAL(9,2) AS d, 42::HUGEINT AS e`,
      {
        a: 'pseudonym',
        b: 'pseudonym',
        c: 'pseudonym',
        d: 'pseudonym',
        e: 'pseudonym',
      },
    );
    expect(new Set(Object.values(rows[0] ?? {}))).toEqual(new Set([hmac('42')]));
  });

  it('is another with another key or version, also with a key longer than a block', async () => {
    const long = 'k'.repeat(100);
    const { rows } = await protect(PEOPLE, { name: 'pseudonym' }, long);
    expect(rows[0]?.name).toBe(hmac('Ann', long));
    expect(pseudonymOf('Ann', undefined, { key: KEY, version: 'v2' })).toMatch(/^pv2_[0-9a-f]{32}$/);
    expect(pseudonymOf('Ann', undefined, { key: long, version: 'v1' })).not.toBe(hmac('Ann'));
  });

  it('leaves no key behind, neither in the database nor in an error', async () => {
    await protect(PEOPLE, { name: 'pseudonym' });
    const left = await data.database.rows(
      `SELECT count(*) AS n FROM duckdb_variables() WHERE name LIKE 'perennial%'`,
    );
    expect(left).toEqual([{ n: 0 }]);
    const { relation, table } = await data.table(PEOPLE);
    const spec = privacySpec.parse({ columns: { name: 'pseudonym' }, pseudonymKey: REFERENCE });
    const refusal = await protectTable(data.database, relation, table.columns, spec, {
      outPath: '/nowhere/at/all.parquet',
      key: KEY,
    }).catch((error: Error) => error);
    expect(refusal).toMatchObject({ code: 'ColumnInvalid' });
    expect(JSON.stringify(refusal) + String(refusal)).not.toContain(KEY);
  });
});

describe('what cannot be done', () => {
  it.each([
    [{ emial: 'drop' }, 'ColumnMissing', /privacy\.columns: there is no column emial; did you mean email\?/],
    [
      { name: { action: { truncate: 'year' } } },
      'ColumnInvalid',
      /privacy\.columns\.name: truncate is for dates/,
    ],
    [
      { name: { action: { bins: [0, 1] } } },
      'ColumnInvalid',
      /bins are for numbers, but the column is VARCHAR/,
    ],
    [{ born: { action: { round: 10 } } }, 'ColumnInvalid', /round is for numbers/],
    [{ id: { action: { prefix: 1 } } }, 'ColumnInvalid', /prefix is for text/],
  ])('%o is refused', async (columns, code, words) => {
    await expect(protect(PEOPLE, columns)).rejects.toMatchObject({ code });
    await expect(protect(PEOPLE, columns)).rejects.toThrow(words);
  });

  it('a pseudonym without a key, with a short one, of a list', async () => {
    const { relation, table } = await data.table(PEOPLE);
    const spec = privacySpec.parse({ columns: { name: 'pseudonym' }, pseudonymKey: REFERENCE });
    const outPath = `${await data.scratch()}/none.parquet`;
    await expect(
      protectTable(data.database, relation, table.columns, spec, { outPath }),
    ).rejects.toMatchObject({
      code: 'SecretMissing',
    });
    await expect(protect(PEOPLE, { name: 'pseudonym' }, 'short')).rejects.toThrow(/fewer than 16 bytes/);
    await expect(protect('SELECT [1, 2] AS list', { list: 'pseudonym' })).rejects.toMatchObject({
      code: 'ColumnInvalid',
    });
  });

  it('every column dropped', async () => {
    await expect(protect('SELECT 1 AS a', { a: 'drop' })).rejects.toThrow(/nothing would be left/);
  });
});

describe('k-anonymity', () => {
  const measure = async (query: string, quasi: string[], min: number) => {
    const { relation, table } = await data.table(query);
    return anonymityResult.parse(await kAnonymity(data.database, relation, table.columns, quasi, min));
  };

  it('is that of the example of Samarati and Sweeney: two rows for each combination', async () => {
    const table = `SELECT * FROM (VALUES ('asian', '64', 'm', '941*'), ('asian', '64', 'm', '941*'), ('black', '65', 'f', '941*'), ('black', '65', 'f', '941*'), ('white', '64', 'f', '941*'), ('white', '64', 'f', '941*'), ('white', '64', 'f', '941*')) t(race, born, sex, zip)`;
    expect(await measure(table, ['race', 'born', 'sex', 'zip'], 3)).toEqual({
      quasiIdentifiers: ['race', 'born', 'sex', 'zip'],
      k: 2,
      min: 3,
      classes: 3,
      classesBelow: 2,
      rows: 7,
      rowsBelow: 4,
      shareBelow: 4 / 7,
    });
  });

  it('equals a count by hand, where a missing value is one of its own', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.option(fc.nat(3)), fc.option(fc.constantFrom('a', 'b', ''))), {
          minLength: 1,
          maxLength: 60,
        }),
        fc.integer({ min: 2, max: 6 }),
        async (rows, min) => {
          const counts = new Map<string, number>();
          for (const row of rows) counts.set(JSON.stringify(row), (counts.get(JSON.stringify(row)) ?? 0) + 1);
          const sizes = [...counts.values()];
          const below = sizes.filter((size) => size < min);
          const values = rows.map(
            ([a, b]) => `(${a ?? 'NULL'}::INTEGER, ${b === null ? 'NULL' : quoteLiteral(b)}::VARCHAR)`,
          );
          const relation = `(SELECT * FROM (VALUES ${values.join(', ')}) t(a, b))`;
          const result = await kAnonymity(
            data.database,
            relation,
            [{ name: 'a' }, { name: 'b' }],
            ['a', 'b'],
            min,
          );
          expect(result).toMatchObject({
            k: Math.min(...sizes),
            classes: sizes.length,
            classesBelow: below.length,
            rows: rows.length,
            rowsBelow: below.reduce((sum, size) => sum + size, 0),
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('of no rows is 0 of 0, and a missing column has its nearest word', async () => {
    expect(await measure('SELECT 1 AS zip WHERE false', ['zip'], 5)).toMatchObject({
      k: 0,
      classes: 0,
      rows: 0,
      shareBelow: 0,
    });
    await expect(measure('SELECT 1 AS zip', ['zpi'], 5)).rejects.toThrow(
      /there is no column zpi; did you mean zip\?/,
    );
  });
});
