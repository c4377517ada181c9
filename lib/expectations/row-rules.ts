import { PerennialError } from '../../contracts/errors.ts';
import type { RowRule, Rule } from '../../contracts/spec/expectations.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { type CheckedTable, familyOf, NUMBERS, requireFamily, TIMES, typeOf } from './table.ts';

type SimpleRule = Extract<RowRule, { expect: 'not_null' | 'range' | 'in_set' | 'regex' | 'length' }>;

/** A literal as a column of a type can be compared with it. */
function literal(value: string | number | boolean, type: string): string {
  if (typeof value === 'string') return quoteLiteral(value);
  if (typeof value === 'boolean') return String(value);
  // As a DOUBLE, 0.1 would be another number than the 0.1 of the column.
  if (type === 'FLOAT' && Number.isFinite(Math.fround(value))) return `CAST('${value}' AS FLOAT)`;
  return exceedsDecimal(value, type) ? `CAST('${value}' AS DOUBLE)` : String(value);
}

/** Whether no DECIMAL holds the digits of both a value and a column, which the engine would refuse to compare. */
function exceedsDecimal(value: number, type: string): boolean {
  const [, width, scale] = (/^DECIMAL\((\d+),(\d+)\)$/.exec(type) ?? []).map(Number);
  if (width === undefined || scale === undefined) return false;
  const [whole = '', fraction = ''] = String(Math.abs(value)).split('.');
  return Math.max(width - scale, whole.length) + Math.max(scale, fraction.length) > 38;
}

/**
 * A condition that is true for a row that violates the rule. Missing values violate only `not_null`.
 *
 * @param where names the rule in messages
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`
 */
export function violation(rule: SimpleRule, table: CheckedTable, where: string): string {
  const column = quoteIdent(rule.column);
  const type = typeOf(table, rule.column, where);
  switch (rule.expect) {
    case 'not_null':
      return `${column} IS NULL`;
    case 'range':
      return outsideOf(rule, table, where);
    case 'in_set': {
      checkSetTypes(rule, type, where);
      return `${column} NOT IN (${rule.values.map((value) => literal(value, type)).join(', ')})`;
    }
    case 'regex':
      return `NOT regexp_full_match(${type === 'VARCHAR' ? column : `CAST(${column} AS VARCHAR)`}, ${quoteLiteral(rule.pattern)})`;
    case 'length': {
      requireFamily(table, rule.column, ['text'], where, 'length needs text; use range for numbers');
      const length = `length(CAST(${column} AS VARCHAR))`;
      return [
        ...(rule.min === undefined ? [] : [`${length} < ${rule.min}`]),
        ...(rule.max === undefined ? [] : [`${length} > ${rule.max}`]),
      ].join(' OR ');
    }
  }
}

function outsideOf(rule: Rule<'range'>, table: CheckedTable, where: string): string {
  const column = quoteIdent(rule.column);
  const dates = [rule.min, rule.max].some((bound) => typeof bound === 'string');
  requireFamily(
    table,
    rule.column,
    dates ? TIMES : NUMBERS,
    where,
    dates ? 'a date as bound needs a column of dates' : 'range needs numbers, or dates as bounds of dates',
  );
  if (dates && [rule.min, rule.max].some((bound) => typeof bound === 'number'))
    throw new PerennialError(
      'ColumnInvalid',
      `${where}: min and max are a number and a date; write both alike`,
    );
  const type = typeOf(table, rule.column, where);
  // A bound with a time of day means that moment, also for a column of days.
  const moment = (text: string): string =>
    `CAST(${quoteLiteral(text)} AS ${/[Z+]|-\d{2}:/.test(text.slice(10)) || /ZONE/.test(type) ? 'TIMESTAMPTZ' : text.length > 10 ? 'TIMESTAMP' : type})`;
  const bound = (value: string | number): string =>
    typeof value === 'string' ? moment(value) : literal(value, type);
  return [
    ...(rule.min === undefined ? [] : [`${column} < ${bound(rule.min)}`]),
    // NaN is greater than everything, so that max tells it; without max it would lie in every range.
    ...(rule.max === undefined
      ? /^(DOUBLE|FLOAT)$/.test(type)
        ? [`isnan(${column})`]
        : []
      : [`${column} > ${bound(rule.max)}`]),
  ].join(' OR ');
}

function checkSetTypes(rule: Rule<'in_set'>, type: string, where: string): void {
  const kinds = new Set(rule.values.map((value) => typeof value));
  const family = familyOf(type);
  const wanted = NUMBERS.includes(family) ? 'number' : family === 'boolean' ? 'boolean' : 'string';
  if (family !== 'other' && (kinds.size > 1 || !kinds.has(wanted)))
    throw new PerennialError(
      'ColumnInvalid',
      `${where}: ${rule.column} is ${type}; write each of values as a ${wanted === 'string' ? 'text' : wanted}${wanted === 'string' ? ' (in quotes)' : ''}`,
    );
}
