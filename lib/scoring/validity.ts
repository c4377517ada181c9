import type { ModelInput, ModelSignature } from '../../contracts/serving.ts';
import { quoteIdent } from '../duckdb/sql.ts';
import { type SqlTypes, unreadableSql, valueOrNullSql } from '../features/raw-sql.ts';

/** Something that makes a row one that the model server would refuse. */
export interface RowProblem {
  /** True for such rows. */
  condition: string;
  /** In words, with the column and without a value. */
  words: string;
}

/** The largest magnitude of a float32. */
const FLOAT32_MAX = '3.4028234663852886e38';

const NO_VALUE: Record<ModelInput['kind'], string> = {
  numeric: 'number',
  boolean: 'true or false',
  datetime: 'ISO-8601 date',
  categorical: 'text',
  text: 'text',
};

/**
 * What could be wrong with rows of a table, in the order in which it is told. A table whose types leave no doubt has
 * nothing.
 *
 * @param types the table's own
 */
export function rowProblems({ inputs }: ModelSignature, types: SqlTypes): RowProblem[] {
  return inputs.flatMap((input) => {
    const type = types.get(input.name);
    return type === undefined ? [] : problemsOf(input, type);
  });
}

function problemsOf(input: ModelInput, type: string): RowProblem[] {
  const { name, kind, optional } = input;
  const column = quoteIdent(name);
  const value = `(${valueOrNullSql({ name, kind }, type)})`;
  const problems: RowProblem[] = [];
  const add = (condition: string, words: string): void => {
    problems.push({ condition, words: `column "${name}": ${words}` });
  };
  const unreadable = unreadableSql({ name, kind }, type, value);
  if (unreadable !== 'NULL') add(`(${unreadable}) IS NOT NULL`, `the text is no ${NO_VALUE[kind]}`);
  const given = /^(FLOAT|DOUBLE|DATE|TIMESTAMP)/.test(type) ? `isfinite(${column})` : `${column} IS NOT NULL`;
  if (kind === 'numeric' && type === 'DOUBLE')
    add(
      `isfinite(${column}) AND abs(${column}) > ${FLOAT32_MAX}`,
      'the number is too large for a 32-bit float',
    );
  if (kind === 'datetime' && type !== 'VARCHAR')
    add(`${given} AND ${value} IS NULL`, 'the date lies outside of the years 1 to 9999');
  if (!optional) add(`${value} IS NULL`, 'the value is missing; the model requires it');
  return problems;
}

/**
 * The number of a row's first problem, counted from 1; 0 where it has none.
 *
 * @example problemSql([{ condition: 'a IS NULL', words: '…' }]) === 'CASE WHEN a IS NULL THEN 1 ELSE 0 END'
 */
export const problemSql = (problems: readonly RowProblem[]): string =>
  `CASE ${problems.map(({ condition }, index) => `WHEN ${condition} THEN ${index + 1}`).join(' ')} ELSE 0 END`;
