import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { quoteLiteral } from '../../lib/duckdb/sql.ts';
import { DataFixture } from '../support/integration-data.ts';
import { checkSql, rowsOf } from '../support/integration-expectations.ts';

let data: DataFixture;
beforeAll(async () => {
  data = await DataFixture.create();
});
afterAll(() => data.close());

interface Row {
  x: number | null;
  t: string | null;
  k: number | null;
}

const row = fc.record<Row>({
  x: fc.oneof(
    fc.constantFrom(null, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 0.1, 1e308),
    fc.integer({ min: -3, max: 12 }),
    fc.double(),
  ),
  t: fc.oneof(
    fc.constantFrom(null, '', 'a', 'AB', 'é', '😀', "it's", 'a\nb', ' '),
    fc.string({ maxLength: 5 }),
  ),
  k: fc.oneof(fc.constant(null), fc.integer({ min: -2, max: 5 }), fc.maxSafeInteger()),
});

const number = (value: number | null): string =>
  value === null ? 'NULL' : `'${Object.is(value, -0) ? '-0' : value}'::DOUBLE`;

/** The table as one VALUES list; a text is passed by its bytes. */
const sqlOf = (rows: readonly Row[]): string =>
  `SELECT x::DOUBLE AS x, t::VARCHAR AS t, k::BIGINT AS k FROM (VALUES ${rows
    .map(({ x, t, k }) => `(${number(x)}, ${t === null ? 'NULL' : quoteLiteral(t)}, ${k ?? 'NULL'}::BIGINT)`)
    .join(', ')}) v(x, t, k)`;

/** DuckDB orders NaN above all; so does the reference. */
const less = (a: number, b: number): boolean => (Number.isNaN(a) ? false : Number.isNaN(b) ? true : a < b);

/** Says of each row whether it violates, as plainly as can be. */
const REFERENCE: readonly (readonly [rule: object, (rows: readonly Row[]) => boolean[]])[] = [
  [{ expect: 'not_null', column: 'x' }, (rows) => rows.map(({ x }) => x === null)],
  [{ expect: 'not_null', column: 't' }, (rows) => rows.map(({ t }) => t === null)],
  [
    { expect: 'range', column: 'x', min: 0, max: 10 },
    (rows) => rows.map(({ x }) => x !== null && !(x >= 0 && x <= 10)),
  ],
  [{ expect: 'range', column: 'x', min: 0 }, (rows) => rows.map(({ x }) => x !== null && !(x >= 0))],
  [{ expect: 'range', column: 'x', max: 10 }, (rows) => rows.map(({ x }) => x !== null && !(x <= 10))],
  [
    { expect: 'in_set', column: 't', values: ['', 'a', "it's"] },
    (rows) => rows.map(({ t }) => t !== null && !['', 'a', "it's"].includes(t)),
  ],
  [
    { expect: 'in_set', column: 'k', values: [1, 2] },
    (rows) => rows.map(({ k }) => k !== null && k !== 1 && k !== 2),
  ],
  [
    { expect: 'regex', column: 't', pattern: '[A-Za-z]*' },
    (rows) => rows.map(({ t }) => (t !== null && !/^[A-Za-z]*$/.test(t)) || t?.endsWith('\n') === true),
  ],
  [
    { expect: 'length', column: 't', min: 1, max: 2 },
    (rows) => rows.map(({ t }) => t !== null && ([...t].length < 1 || [...t].length > 2)),
  ],
  [
    { expect: 'unique', columns: ['k'] },
    (rows) => repeated(rows.map(({ k }) => (k === null ? null : String(k)))),
  ],
  [
    { expect: 'unique', columns: ['t', 'k'] },
    (rows) => repeated(rows.map(({ t, k }) => (t === null || k === null ? null : JSON.stringify([t, k])))),
  ],
  [{ expect: 'monotonic', column: 'x' }, (rows) => belowBefore(rows)],
  [
    { expect: 'sql', sql: 'k > 0 OR t IS NOT NULL' },
    (rows) => rows.map(({ k, t }) => t === null && k !== null && k <= 0),
  ],
];

function repeated(keys: readonly (string | null)[]): boolean[] {
  const seen = new Set<string>();
  return keys.map((key) => {
    if (key === null) return false;
    const again = seen.has(key);
    seen.add(key);
    return again;
  });
}

function belowBefore(rows: readonly Row[]): boolean[] {
  let greatest: number | undefined;
  return rows.map(({ x }) => {
    if (x === null) return false;
    const violates = greatest !== undefined && less(x, greatest);
    if (greatest === undefined || less(greatest, x)) greatest = x;
    return violates;
  });
}

it('every rule counts, and quarantines, exactly the rows that a plain reference names', {
  timeout: 300_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 30 }), async (rows) => {
      const rules = REFERENCE.map(([rule], index) => ({
        ...rule,
        name: `r${index}`,
        rows: 'quarantine',
        maxShare: 1,
      }));
      const { report, kept, quarantine } = await checkSql(data, sqlOf(rows), rules);
      const violates = REFERENCE.map(([, reference]) => reference(rows));
      expect(report.results.map((result) => result.violations)).toEqual(
        violates.map((flags) => flags.filter(Boolean).length),
      );
      const reasons = rows.map((_, place) =>
        REFERENCE.flatMap((_rule, k) => (violates[k]?.[place] ? [`r${k}`] : [])),
      );
      const good = rows.filter((_, place) => reasons[place]?.length === 0);
      expect(report).toMatchObject({ kept: good.length, quarantined: rows.length - good.length, dropped: 0 });
      if (good.length === rows.length) return;
      expect((await rowsOf(data, kept)).map(({ x, t, k }) => ({ x, t, k }))).toEqual(good);
      expect((await rowsOf(data, quarantine)).map((bad) => bad.reasons)).toEqual(
        reasons.filter((names) => names.length > 0),
      );
    }),
    { numRuns: 40 },
  );
});

it('mean, sum, median and deviation are those of a plain reference', { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: null }), {
        minLength: 1,
        maxLength: 30,
      }),
      async (values) => {
        const kinds = ['mean', 'sum', 'median', 'standard_deviation'];
        const sql = `SELECT x::DOUBLE / 8 AS x FROM (VALUES ${values.map((value) => `(${value ?? 'NULL'})`).join(', ')}) v(x)`;
        const { results } = (
          await checkSql(
            data,
            sql,
            kinds.map((kind) => ({ expect: kind, column: 'x', min: -1e9 })),
          )
        ).report;
        const given = values
          .filter((value) => value !== null)
          .map((value) => value / 8)
          .sort((a, b) => a - b);
        const n = given.length;
        const sum = given.reduce((a, b) => a + b, 0);
        const mean = sum / n;
        const middle = ((given[(n - 1) >> 1] ?? 0) + (given[n >> 1] ?? 0)) / 2;
        const deviation = Math.sqrt(given.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - 1));
        const wanted = n === 0 ? [null, null, null, null] : [mean, sum, middle, n === 1 ? null : deviation];
        wanted.forEach((value, k) => {
          if (value === null) expect(results[k]).toMatchObject({ value: null, passed: true });
          else expect(results[k]?.value).toBeCloseTo(value, 6);
        });
      },
    ),
    { numRuns: 30 },
  );
});

it('unique is exact for every integer type and range, also without knowing the range', {
  timeout: 300_000,
}, async () => {
  for (const [type, from, step] of [
    ['TINYINT', -128, 1],
    ['UTINYINT', 0, 1],
    ['SMALLINT', -32_768, 100],
    ['INTEGER', -2_147_483_648, 1],
    ['UINTEGER', 4_294_967_000, 1],
    ['BIGINT', '-9223372036854775808', 1],
    ['BIGINT', '9223372036854775000', 2],
    ['UBIGINT', '18446744073709551000', 1],
    ['BIGINT', 0, 1_000_000_000_000],
    ['HUGEINT', 0, 1_000],
    ['DECIMAL(10,2)', 0, 1],
    ['VARCHAR', 0, 1],
  ] as const) {
    const sql = (repeats: number): string =>
      `SELECT CAST(${from}::HUGEINT + i * ${step}::HUGEINT AS ${type}) AS id FROM range(200) r(i)
       UNION ALL SELECT CAST(${from}::HUGEINT AS ${type}) FROM range(${repeats}) UNION ALL SELECT NULL FROM range(3)`;
    for (const repeats of [0, 2]) {
      const rule = { expect: 'unique', columns: ['id'] };
      const [known] = (await checkSql(data, sql(repeats), [rule])).report.results;
      expect(known, `${type} from ${from}`).toMatchObject({ violations: repeats, rows: 203 + repeats });
      const blind = await checkSql(data, 'SELECT 1 AS id', [rule], {
        table: { relation: `(${sql(repeats)})`, files: [] },
      });
      expect(blind.report.results[0], `${type} from ${from}, blind`).toMatchObject({ violations: repeats });
    }
  }
});
