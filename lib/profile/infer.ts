import type { ColumnProfile, TableProfile } from '../../contracts/profile.ts';

/** A rule of the spec's `expectations`, with what was seen in the data that led to it. */
export interface InferredRule {
  rule: Record<string, unknown>;
  seen: string;
}

/** A share of missing values above this says that anything goes. */
const MOSTLY_MISSING = 0.9;
/** A set of values is taken for closed up to this size, … */
const MAX_SET = 20;
/** … where each value is there this often on average. */
const MIN_REPEATS = 20;
/** Bounds of a number lie this part of the seen span beyond what was seen. */
const MARGIN = 0.25;
/** Fewer values than this make no format. */
const MIN_FORMATTED = 20;

const count = (value: number): string => value.toLocaleString('en-US');
/** Without separators of thousands: 2013 may be a year. */
const number = (value: number): string =>
  value.toLocaleString('en-US', { maximumFractionDigits: 6, useGrouping: false });
const percent = (share: number): string => `${Number((100 * share).toPrecision(3))} %`;

/**
 * Proposes expectations from a profile, for a person to edit. They hold on the data that was profiled, with room for
 * ordinary change: half of the rows, a quarter of the span beyond the extremes, shares of missing values rounded up.
 *
 * @param on the source that was profiled, where its rows are not those of the joined table
 * @returns rules in the order of the columns; each parses as an element of the spec's `expectations`
 * @example
 * expectationsYaml(inferExpectations(await profileTable(database, relation)));
 */
export function inferExpectations(profile: TableProfile, on: string | null = null): InferredRule[] {
  if (profile.rows === 0) return [];
  const rules = [
    {
      rule: { expect: 'row_count', min: Math.max(1, Math.floor(profile.rows / 2)) },
      seen: `${count(profile.rows)} rows`,
    },
    ...profile.columns.flatMap((column) => columnRules(column, profile.rows)),
  ];
  return on === null ? rules : rules.map(({ rule, seen }) => ({ rule: { ...rule, on }, seen }));
}

function columnRules(column: ColumnProfile, rows: number): InferredRule[] {
  if (column.kind === 'other' || column.values === 0) return [];
  return [notNull(column, rows), unique(column), order(column), ...values(column)].filter(
    (rule) => rule !== null,
  );
}

function notNull({ name, missing }: ColumnProfile, rows: number): InferredRule | null {
  const share = missing / rows;
  if (share > MOSTLY_MISSING) return null;
  if (missing === 0) return { rule: { expect: 'not_null', column: name }, seen: `${name}: none missing` };
  return {
    rule: { expect: 'not_null', column: name, maxShare: Math.min(1, Math.ceil(share * 1.25 * 100) / 100) },
    seen: `${name}: ${count(missing)} missing (${percent(share)})`,
  };
}

const isKey = ({ unique, kind, whole, values }: ColumnProfile): boolean =>
  unique && values > 1 && (kind === 'text' || whole);

const unique = (column: ColumnProfile): InferredRule | null =>
  isKey(column)
    ? {
        rule: { expect: 'unique', columns: [column.name] },
        seen: `${column.name}: ${count(column.values)} values, all different`,
      }
    : null;

/** Only of moments: that an id grows is often an accident of one export. */
const order = ({ name, kind, order, unique: different }: ColumnProfile): InferredRule | null =>
  kind === 'moment' && order === 'increasing'
    ? {
        rule: { expect: 'monotonic', column: name, severity: 'warn' },
        seen: `${name}: never goes back, from row to row${different ? ', nor stands still' : ''}`,
      }
    : null;

function values(column: ColumnProfile): InferredRule[] {
  const { name, kind, distinct, top, pattern, values: given } = column;
  if (kind === 'number') return range(column);
  if (kind === 'moment') return since(column);
  if (kind !== 'text') return [];
  const whole = distinct?.exact === true && distinct.count === top.length;
  if (whole && distinct.count <= MAX_SET && given >= MIN_REPEATS * distinct.count)
    return [
      {
        rule: { expect: 'in_set', column: name, values: top.map(({ value }) => value).sort() },
        seen: `${name}: ${distinct.count} different values`,
      },
    ];
  if (pattern !== null && given >= MIN_FORMATTED)
    return [
      { rule: { expect: 'regex', column: name, pattern }, seen: `${name}: every value has this format` },
    ];
  return length(column);
}

/** Twice the longest text that was seen: a guard against columns that slipped, not a form. */
function length({ name, lengths }: ColumnProfile): InferredRule[] {
  if (!lengths || lengths.max === 0) return [];
  const max = Math.ceil((2 * lengths.max) / 10) * 10;
  return [
    {
      rule: { expect: 'length', column: name, ...(lengths.min > 0 ? { min: 1 } : {}), max },
      seen: `${name}: ${lengths.min === lengths.max ? '' : `${lengths.min} to `}${lengths.max} characters`,
    },
  ];
}

/** Time goes on, so only its beginning bounds it: a date of 1970 or 1900 is often a missing one. */
function since({ name, min, max }: ColumnProfile): InferredRule[] {
  if (typeof min !== 'string' || typeof max !== 'string') return [];
  const [from, to] = [Date.parse(min), Date.parse(max)];
  const bound = new Date(from - MARGIN * (to - from));
  if (Number.isNaN(bound.getTime()) || bound.getUTCFullYear() < 1 || to >= Date.UTC(10_000, 0)) return [];
  return [
    {
      rule: { expect: 'range', column: name, min: bound.toISOString().slice(0, 10) },
      seen: `${name}: from ${min} to ${max}`,
    },
  ];
}

function range(column: ColumnProfile): InferredRule[] {
  const { name, min, max, infinite, values: given, whole } = column;
  if (typeof min !== 'number' || typeof max !== 'number') return [];
  const step = MARGIN * (max - min) || Math.max(Math.abs(max) * MARGIN, whole ? 1 : 0);
  if (!Number.isFinite(max + step) || !Number.isFinite(min - step)) return [];
  const isShare = !whole && min >= 0 && max <= 1;
  const low = isShare || (min >= 0 && min - step < 0) ? 0 : outwards(min - step, step, whole, Math.floor);
  const high = isShare ? 1 : outwards(max + step, step, whole, Math.ceil);
  // A key goes on growing; only its beginning says something.
  const bounds = isKey(column) ? { min: low } : { min: low, max: max <= 0 ? Math.min(high, 0) : high };
  return [
    {
      rule: {
        expect: 'range',
        column: name,
        ...bounds,
        ...(infinite > 0 ? { maxShare: Math.min(1, Math.ceil((infinite / given) * 1.25 * 100) / 100) } : {}),
      },
      seen: `${name}: from ${number(min)} to ${number(max)}${infinite > 0 ? `, and ${count(infinite)} infinite` : ''}`,
    },
  ];
}

/** A bound with two digits of the step, away from the data. */
function outwards(value: number, step: number, whole: boolean, round: (value: number) => number): number {
  if (step === 0) return value;
  const digits = Math.max(Math.floor(Math.log10(step)) - 1, whole ? 0 : Number.NEGATIVE_INFINITY);
  // Dividing by a power of ten is exact where multiplying by its inverse is not: 3 · 0.1 is not 0.3.
  const rounded =
    digits < 0 ? round(value * 10 ** -digits) / 10 ** -digits : round(value / 10 ** digits) * 10 ** digits;
  // Near the smallest numbers that there are, the powers of ten leave their range.
  if (!Number.isFinite(rounded)) return value;
  return Object.is(rounded, -0) ? 0 : rounded;
}
