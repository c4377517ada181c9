import { durationMs } from '../../contracts/durations.ts';
import type { Expectation, Rule } from '../../contracts/spec/expectations.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { type Check, countOf, type Finding } from './check.ts';
import { type CheckedTable, familyOf, NUMBERS, requireFamily, TIMES, typeOf } from './table.ts';
import { numberText } from './words.ts';

type Moment = Extract<Expectation, { expect: 'mean' | 'median' | 'sum' | 'standard_deviation' | 'quantile' }>;
type Compiled = Pick<Check, 'aggregates' | 'judge'>;

/** Parallel sums of floating-point numbers differ in their last digits from run to run; these do not. */
const DIGITS = 12;

/** Judges a number against bounds that are met when they are reached. */
export function between(
  value: number | null,
  rule: { min?: number | undefined; max?: number | undefined },
  what: string,
): Finding {
  if (value === null) return { violations: 0, passed: true, note: 'there is no value to judge' };
  const rounded = Number.isFinite(value) ? Number(value.toPrecision(DIGITS)) : value;
  const passed =
    !Number.isNaN(rounded) &&
    rounded >= (rule.min ?? Number.NEGATIVE_INFINITY) &&
    rounded <= (rule.max ?? Number.POSITIVE_INFINITY);
  return {
    violations: passed ? 0 : 1,
    passed,
    value: Number.isFinite(rounded) ? rounded : null,
    observed: `${what} ${numberText(rounded)}`,
  };
}

const AGGREGATES: Record<Moment['expect'], (value: string, q: number) => string> = {
  mean: (value) => `avg(${value})`,
  sum: (value) => `sum(${value})`,
  standard_deviation: (value) => `stddev_samp(CAST(${value} AS DOUBLE))`,
  median: (value) => `quantile_cont(CAST(${value} AS DOUBLE), 0.5)`,
  quantile: (value, q) => `quantile_cont(CAST(${value} AS DOUBLE), ${q})`,
};

/** Mean, median, sum, standard deviation (of a sample, n − 1) or quantile (interpolated) of a column. */
export function moment(rule: Moment, table: CheckedTable, where: string): Compiled {
  requireFamily(table, rule.column, NUMBERS, where, `${rule.expect} needs numbers`);
  const column = quoteIdent(rule.column);
  const floating = /^(DOUBLE|FLOAT)$/.test(typeOf(table, rule.column, where));
  // NaN and infinities are no values of a distribution, and the engine refuses the deviation of one.
  const finite = floating ? ` FILTER (WHERE isfinite(${column}))` : '';
  const spoilt = floating ? `count(*) FILTER (WHERE NOT isfinite(${column}))` : '0';
  const value = `${AGGREGATES[rule.expect](column, 'q' in rule ? rule.q : 0.5)}${finite}`;
  const what = rule.expect === 'quantile' ? `quantile ${rule.q}` : rule.expect.replace('_', ' ');
  return {
    aggregates: [`CAST(${value} AS DOUBLE)`, spoilt],
    judge: ([found, infinite]) => {
      if (countOf(infinite) > 0)
        return {
          violations: 1,
          passed: false,
          observed: `${countOf(infinite)} values are infinite or NaN`,
        };
      return between(found === null ? null : Number(found), rule, what);
    },
  };
}

/** The newest time, not after `asOf`, against its greatest age. */
export function freshness(
  rule: Rule<'freshness'>,
  table: CheckedTable,
  where: string,
  asOf: string,
): Compiled {
  requireFamily(table, rule.column, TIMES, where, 'freshness needs dates or timestamps');
  const column = `CAST(${quoteIdent(rule.column)} AS TIMESTAMPTZ)`;
  const moment = `CAST(${quoteLiteral(asOf)} AS TIMESTAMPTZ)`;
  const known = `FILTER (WHERE ${column} <= ${moment} AND isfinite(${column}))`;
  return {
    aggregates: [`epoch_ms(${moment} - max(${column}) ${known})`],
    judge: ([age], rows) => {
      if (rows === 0) return { violations: 0, passed: true, note: 'the table is empty' };
      if (age === null)
        return { violations: 1, passed: false, observed: 'there is no time up to the moment of the run' };
      const passed = Number(age) <= durationMs(rule.maxAge);
      return {
        violations: passed ? 0 : 1,
        passed,
        value: Number(age) / 1_000,
        observed: `the newest is ${ageText(Number(age))} old`,
      };
    },
  };
}

function ageText(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
  ] as const;
  const [unit, size] = units.find(([, length]) => ms >= length) ?? (['s', 1_000] as const);
  return `${Number((ms / size).toFixed(1))} ${unit}`;
}

export const rowCount = (rule: Rule<'row_count'>): Compiled => ({
  aggregates: [],
  judge: (_values, rows) => {
    const passed = rows >= rule.min && rows <= (rule.max ?? Number.POSITIVE_INFINITY);
    return { violations: passed ? 0 : 1, passed, value: rows, observed: `${rows} rows` };
  },
});

const FAMILIES: Record<string, readonly string[]> = {
  integer: ['integer'],
  number: ['integer', 'decimal'],
  text: ['text'],
  boolean: ['boolean'],
  date: ['date'],
  timestamp: ['timestamp'],
};

/** Columns that are missing, of another type, not expected, or have missing values where none may be. */
export function schema(rule: Rule<'schema'>, table: CheckedTable): Compiled {
  const wrong: string[] = [];
  const required: string[] = [];
  for (const [name, { type, nullable }] of Object.entries(rule.columns)) {
    const found = table.columns.find((column) => column.name === name)?.type;
    if (found === undefined) {
      wrong.push(`${name} is missing`);
      continue;
    }
    const families = type === undefined ? undefined : FAMILIES[type.toLowerCase()];
    const fits = families
      ? families.includes(familyOf(found))
      : type === undefined || found.toUpperCase() === type.toUpperCase();
    if (!fits) wrong.push(`${name} is ${found}, expected ${type}`);
    else if (!nullable) required.push(name);
  }
  if (rule.unexpected === 'refuse')
    for (const { name } of table.columns)
      if (!Object.hasOwn(rule.columns, name)) wrong.push(`${name} is not expected`);
  return {
    aggregates: required.map((name) => `count(*) - count(${quoteIdent(name)})`),
    judge: (values) => {
      const all = [
        ...wrong,
        ...required.flatMap((name, k) =>
          countOf(values[k]) > 0 ? [`${name} has ${countOf(values[k])} missing values`] : [],
        ),
      ];
      return {
        violations: all.length,
        passed: all.length === 0,
        observed: all.length === 0 ? 'as expected' : listed(all),
      };
    },
  };
}

const listed = (words: readonly string[]): string =>
  `${words.slice(0, 10).join('; ')}${words.length > 10 ? `; and ${words.length - 10} more` : ''}`;
