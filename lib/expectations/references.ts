import { PerennialError } from '../../contracts/errors.ts';
import { nearest } from '../../contracts/issues.ts';
import type { Rule } from '../../contracts/spec/expectations.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import type { Check } from './check.ts';
import { type CheckedTable, familyOf, typeOf } from './table.ts';

/** The error for a source that the spec does not have. */
export function missingSource(where: string, name: string, known: readonly string[]): PerennialError {
  const hint = nearest(name, known);
  return new PerennialError(
    'SpecInvalid',
    `${where}: there is no source ${name}${hint ? `; did you mean ${hint}?` : '.'} The sources are ${known.join(', ')}`,
  );
}

/** @example referenceOf('carriers.code') // { source: 'carriers', column: 'code' } */
export function referenceOf(text: string): { source: string; column: string } {
  const dot = text.indexOf('.');
  return { source: text.slice(0, dot), column: text.slice(dot + 1) };
}

/**
 * `foreign_key`: the key stands in the other source. A key with a missing part refers to nothing and is accepted
 * (SQL's MATCH SIMPLE).
 */
export function foreignKey(
  rule: Rule<'foreign_key'>,
  table: CheckedTable,
  sources: ReadonlyMap<string, CheckedTable>,
  index: number,
  where: string,
): Pick<Check, 'condition' | 'projection'> {
  const parts = rule.references.map(referenceOf);
  const name = parts[0]?.source ?? '';
  const other = sources.get(name);
  if (!other) throw missingSource(where, name, [...sources.keys()]);
  const kind = (type: string): string => {
    const family = familyOf(type);
    return family === 'decimal' ? 'integer' : family === 'date' ? 'timestamp' : family;
  };
  rule.column.forEach((column, k) => {
    const there = parts[k]?.column ?? '';
    const [own, referred] = [typeOf(table, column, where), typeOf(other, there, where)];
    if (kind(own) !== kind(referred))
      throw new PerennialError(
        'ColumnInvalid',
        `${where}: ${column} is ${own}, ${name}.${there} is ${referred}; set types of the source so that both are alike`,
      );
  });
  const tuple = (columns: readonly string[]): string => {
    const quoted = columns.map(quoteIdent);
    return quoted.length === 1 ? (quoted[0] ?? '') : `row(${quoted.join(', ')})`;
  };
  const whole = rule.column.map((column) => `${quoteIdent(column)} IS NOT NULL`).join(' AND ');
  const keys = parts.map((part) => part.column);
  // Without the missing ones: beside a NULL nothing would be known not to be in the list.
  const given = keys.map((column) => `${quoteIdent(column)} IS NOT NULL`).join(' AND ');
  const projection = {
    name: `__perennial_${index}`,
    sql: `${tuple(rule.column)} IN (SELECT ${tuple(keys)} FROM ${other.from} WHERE ${given})`,
  };
  return { projection, condition: `${whole} AND NOT ${projection.name}` };
}
