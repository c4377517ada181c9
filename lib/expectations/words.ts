import { ceilingOf, type Expectation, isRowRule } from '../../contracts/spec/expectations.ts';

/** Longest piece of a spec's own text that is repeated. */
const MAX_TEXT = 60;

const short = (text: string): string => {
  const line = text.trim().replace(/\s+/g, ' ');
  return line.length > MAX_TEXT ? `${line.slice(0, MAX_TEXT)}…` : line;
};

const interval = (rule: { min?: unknown; max?: unknown }): string =>
  `[${rule.min ?? '-∞'}, ${rule.max ?? '∞'}]`;

/**
 * A number for people: as many digits as tell something.
 *
 * @example numberText(499.99182) === '499.992'
 */
export const numberText = (value: number): string =>
  Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(6)));

/** @example percent(0.05) === '5 %' */
export const percent = (share: number): string => `${numberText(share * 100)} %`;

/** The columns that a rule names. */
export function columnsOf(rule: Expectation): string[] {
  switch (rule.expect) {
    case 'schema':
      return Object.keys(rule.columns);
    case 'unique':
      return rule.columns;
    case 'leakage':
    case 'distribution':
    case 'custom':
      return rule.columns ?? [];
    case 'foreign_key':
      return rule.column;
    case 'monotonic':
      return [rule.column, ...(rule.by ?? [])];
    case 'class_balance':
      return rule.column === undefined ? [] : [rule.column];
    case 'row_count':
    case 'ratio':
    case 'sql':
    case 'overlap':
      return [];
    default:
      return [rule.column];
  }
}

function plainWords(rule: Expectation): string {
  switch (rule.expect) {
    case 'schema':
      return `schema (${Object.keys(rule.columns).length} columns)`;
    case 'unique':
      return `unique ${rule.columns.join(', ')}`;
    case 'range':
    case 'length':
    case 'mean':
    case 'median':
    case 'sum':
    case 'standard_deviation':
      return `${rule.expect} ${rule.column} ${interval(rule)}`;
    case 'quantile':
      return `quantile ${rule.q} of ${rule.column} ${interval(rule)}`;
    case 'in_set':
      return `in_set ${rule.column} (${rule.values.length} values)`;
    case 'row_count':
      return `row_count ${interval(rule)}`;
    case 'freshness':
      return `freshness ${rule.column} within ${rule.maxAge}`;
    case 'monotonic':
      return `monotonic ${rule.column}${rule.by ? ` by ${rule.by.join(', ')}` : ''}`;
    case 'foreign_key':
      return `foreign_key ${rule.column.join(', ')} in ${rule.references.join(', ')}`;
    case 'ratio':
      return `ratio of ${short(rule.where)} ${interval(rule)}`;
    case 'outliers':
      return `outliers ${rule.column} (${rule.method})`;
    case 'class_balance':
      return `class_balance ${rule.column ?? 'of the target'}`;
    case 'leakage':
      return `leakage ${rule.columns?.join(', ') ?? 'of all features'}`;
    case 'overlap':
      return `overlap by ${rule.by}`;
    case 'distribution':
      return `distribution against ${rule.against}`;
    case 'custom':
      return `custom${rule.export === 'default' ? '' : ` ${rule.export}`}`;
    case 'sql':
      return `sql ${short(rule.sql ?? rule.query ?? '')}`;
    case 'not_null':
    case 'regex':
      return `${rule.expect} ${rule.column}`;
  }
}

/**
 * A rule in words, for reports and as the reason of a quarantined row: its name where it has one.
 *
 * @example describeExpectation({ expect: 'not_null', column: 'age', … }) === 'not_null age'
 */
export const describeExpectation = (rule: Expectation): string =>
  rule.name ?? `${plainWords(rule)}${'on' in rule && rule.on ? ` on ${rule.on}` : ''}`;

/** What a rule accepts, in words. */
export function limitOf(rule: Expectation): string {
  if (isRowRule(rule)) {
    const ceiling = ceilingOf(rule);
    return ceiling === 0 ? 'no violating row' : `at most ${percent(ceiling)} of rows`;
  }
  switch (rule.expect) {
    case 'schema':
      return rule.unexpected === 'refuse' ? 'these columns and no other' : 'these columns';
    case 'freshness':
      return `at most ${rule.maxAge} old`;
    case 'class_balance':
      return `each class at least ${percent(rule.minShare)}`;
    case 'leakage':
      return `each score below ${rule.threshold}`;
    case 'overlap':
      return `at most ${percent(rule.maxShare)} of rows`;
    case 'distribution':
      return 'no column moved beyond its limits';
    case 'custom':
      return 'the check passes';
    default:
      return `within ${interval(rule)}`;
  }
}
