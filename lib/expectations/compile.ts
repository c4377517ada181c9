import { PerennialError } from '../../contracts/errors.ts';
import type { Expectation } from '../../contracts/spec/expectations.ts';
import type { Task } from '../../contracts/spec/task.ts';
import type { Database } from '../duckdb/database.ts';
import { type Check, countOf } from './check.ts';
import { classBalance } from './class-balance.ts';
import { leakage } from './leakage.ts';
import { outside } from './outliers.ts';
import { checkCondition, countQuery } from './people-sql.ts';
import { foreignKey, missingSource } from './references.ts';
import { monotonic } from './row-order.ts';
import { violation } from './row-rules.ts';
import { type CheckedTable, typeOf } from './table.ts';
import { between, freshness, moment, rowCount, schema } from './table-rules.ts';
import { uniqueness } from './uniqueness.ts';
import { describeExpectation } from './words.ts';

/** What rules may need beside their table. */
export interface CompileContext {
  joined: CheckedTable;
  sources: ReadonlyMap<string, CheckedTable>;
  /** ISO 8601. */
  asOf: string;
  target?: string | undefined;
  task?: Task | undefined;
  /** Features that `leakage` looks at where it names none. */
  features: readonly string[];
}

/**
 * Compiles one rule for its table. Columns, types and people's SQL are checked; nothing but the fences of outliers
 * is computed.
 *
 * @returns `undefined` for a rule that is judged elsewhere (`overlap` at the split; `distribution` and `custom` on the whole table)
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`, `SqlInvalid`, `SpecInvalid`
 */
export async function compileRule(
  database: Database,
  rule: Expectation,
  index: number,
  context: CompileContext,
): Promise<Check | undefined> {
  const where = `expectations[${index}] ${describeExpectation(rule)}`;
  const table = tableOf(rule, where, context);
  const check = { index, where, rule, table };
  const byCondition = (condition: string, projection?: Check['projection']): Check => ({
    ...check,
    condition,
    ...(projection ? { projection } : {}),
    aggregates: [`count_if(${condition})`],
    judge: ([count]) => ({ violations: countOf(count) }),
  });
  switch (rule.expect) {
    case 'not_null':
    case 'range':
    case 'in_set':
    case 'regex':
    case 'length':
      return byCondition(violation(rule, table, where));
    case 'unique':
      for (const column of rule.columns) typeOf(table, column, where);
      return uniqueness(database, check, rule.columns);
    case 'foreign_key': {
      const { condition = 'false', projection } = foreignKey(rule, table, context.sources, index, where);
      return byCondition(condition, projection);
    }
    case 'outliers':
      return byCondition(await outside(database, rule, table, where));
    case 'sql': {
      const { sql, query } = rule;
      if (query !== undefined)
        return { ...check, aggregates: [], statement: () => countQuery(database, query, where) };
      const condition = sql ?? '';
      await checkCondition(database, condition, table, where);
      const name = `__perennial_${index}`;
      return byCondition(`NOT ${name}`, { name, sql: condition });
    }
    case 'monotonic':
      return { ...check, aggregates: [], ...monotonic(database, rule, table, where) };
    case 'schema':
      return { ...check, ...schema(rule, table) };
    case 'row_count':
      return { ...check, ...rowCount(rule) };
    case 'freshness':
      return { ...check, ...freshness(rule, table, where, context.asOf) };
    case 'mean':
    case 'median':
    case 'sum':
    case 'standard_deviation':
    case 'quantile':
      return { ...check, ...moment(rule, table, where) };
    case 'ratio': {
      await checkCondition(database, rule.where, table, where);
      const name = `__perennial_${index}`;
      return {
        ...check,
        projection: { name, sql: rule.where },
        aggregates: [`count_if(${name})`],
        judge: ([count], rows) => between(rows === 0 ? null : countOf(count) / rows, rule, 'share'),
      };
    }
    case 'class_balance': {
      const column = rule.column ?? required(context.target, where, 'column');
      typeOf(table, column, where);
      return {
        ...check,
        aggregates: [],
        statement: () => classBalance(database, rule, table, column, where),
      };
    }
    case 'leakage': {
      const target = required(context.target, where, 'columns.target');
      const task = context.task ?? 'binary';
      const features = (rule.columns ?? context.features).filter((name) => name !== target);
      for (const column of [target, ...features]) typeOf(table, column, where);
      return {
        ...check,
        aggregates: [],
        statement: () => leakage(database, { rule, table, target, task, features, where }),
      };
    }
    case 'overlap':
    case 'distribution':
    case 'custom':
      return undefined;
  }
}

function required(value: string | undefined, where: string, what: string): string {
  if (value !== undefined) return value;
  throw new PerennialError('SpecInvalid', `${where}: the table has no target; set ${what}`);
}

function tableOf(rule: Expectation, where: string, { joined, sources }: CompileContext): CheckedTable {
  const name = 'on' in rule ? rule.on : undefined;
  if (name === undefined) return joined;
  const source = sources.get(name);
  if (!source) throw missingSource(where, name, [...sources.keys()]);
  return source;
}
