import { createHash } from 'node:crypto';
import { durationMs } from '../../contracts/durations.ts';
import { PerennialError } from '../../contracts/errors.ts';
import type { ViewPlan } from '../../contracts/feature-store.ts';
import { AGGREGATES, type Aggregate } from '../../contracts/serving.ts';
import { type FeatureView, viewColumns } from '../../contracts/spec/feature-views.ts';
import { oneSelect } from '../data/join.ts';
import { missingColumn } from '../data/missing-column.ts';
import type { Database } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';

/** What the engine's tables call an entity, a moment, and a value. */
export const KEY = '__perennial_key';
export const TIME = '__perennial_time';
export const valueColumn = (value: number): string => `__perennial_value_${value}`;

/** What SQL calls an aggregate. */
const NAMES: Readonly<Record<string, Aggregate>> = {
  count: 'count',
  count_star: 'count',
  sum: 'sum',
  avg: 'avg',
  mean: 'avg',
  min: 'min',
  max: 'max',
  stddev: 'stddev_samp',
  stddev_samp: 'stddev_samp',
  stddev_pop: 'stddev_pop',
  variance: 'var_samp',
  var_samp: 'var_samp',
  var_pop: 'var_pop',
  last: 'last',
};
const KNOWN = AGGREGATES.join(', ');

const NUMERIC = /^(?:U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)|BOOLEAN|"NULL")$/;
const MOMENT = /^(?:DATE|TIMESTAMP(?:_S|_MS|_NS)?|TIMESTAMP WITH TIME ZONE)$/;
const KEY_TYPES = /^(?:VARCHAR|U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|BOOLEAN|DATE|UUID|ENUM\(.*\))$/;

/**
 * Reads a view's definition with DuckDB's own parser and holds it against the columns of its events.
 *
 * @param database with the sources under their names
 * @throws PerennialError `SqlInvalid`, `ColumnMissing`, `ColumnInvalid`
 */
export async function planView(database: Database, name: string, view: FeatureView): Promise<ViewPlan> {
  const where = `featureViews.${name}`;
  const events = await oneSelect(database, view.events, `${where}.events`);
  const types = new Map(
    (await database.columns(`(${events}\n)`, 'SqlInvalid', `${where}.events`)).map((column) => [
      column.name,
      column.type,
    ]),
  );
  for (const column of view.entity) requireKey(`${where}.entity`, 'the SELECT of events', column, types);
  requireMoment(`${where}.timestamp`, 'the SELECT of events', view.timestamp, types);
  const values: string[] = [];
  const aggregates = new Map<string, { aggregate: Aggregate; value: number }>();
  for (const [feature, sql] of Object.entries(view.features)) {
    const { aggregate, value } = await readAggregate(database, events, sql, `${where}.features.${feature}`);
    const known = values.indexOf(value);
    aggregates.set(feature, { aggregate, value: known < 0 ? values.push(value) - 1 : known });
  }
  const lengths = view.windows.map((window) => durationMs(window) * 1_000);
  const columns = viewColumns(name, view).map(
    ({ name: column, feature, window }): ViewPlan['columns'][number] => {
      const { aggregate, value } = aggregates.get(feature) ?? { aggregate: 'count' as const, value: 0 };
      return { name: column, aggregate, value, window: view.windows.indexOf(window) };
    },
  );
  const definitionOf = ({ aggregate, value, window }: ViewPlan['columns'][number]): string =>
    sha256([events, view.entity, view.timestamp, values[value], aggregate, lengths[window]]).slice(0, 16);
  const eventsSql = `SELECT ${keySql(view.entity)} AS ${KEY}, ${timeSql(view.timestamp)} AS ${TIME}${values
    .map((sql, index) => `, ${sql} AS ${valueColumn(index)}`)
    .join('')} FROM (${events}\n)`;
  return {
    name,
    eventsSql,
    entity: view.entity,
    values: values.length,
    windows: lengths,
    columns: columns.map((column) => ({ ...column, definition: definitionOf(column) })),
    digest: sha256({ eventsSql, lengths, columns }),
  };
}

const sha256 = (facts: unknown): string => createHash('sha256').update(JSON.stringify(facts)).digest('hex');

type Types = ReadonlyMap<string, string>;

/**
 * Holds a column of a key against the types that have one text for one value on both sides.
 *
 * @param where in the spec, for the message
 * @param relation that has the column, for the message
 * @throws PerennialError `ColumnMissing`, `ColumnInvalid`
 */
export const requireKey = (where: string, relation: string, column: string, types: Types): void =>
  requireType(where, relation, column, types, KEY_TYPES, 'text, whole numbers, dates, UUIDs or truth values');

/** Holds a column of moments against the types that are. @throws as {@link requireKey} */
export const requireMoment = (where: string, relation: string, column: string, types: Types): void =>
  requireType(where, relation, column, types, MOMENT, 'a date or a timestamp');

function requireType(
  where: string,
  relation: string,
  column: string,
  types: Types,
  allowed: RegExp,
  expected: string,
): void {
  const type = types.get(column);
  if (type === undefined) throw missingColumn(where, column, [...types.keys()]);
  if (!allowed.test(type))
    throw new PerennialError(
      'ColumnInvalid',
      `${where}: ${column} of ${relation} is ${type}; expected ${expected}, cast it in the SELECT`,
    );
}

/**
 * The key of an entity as text; `NULL` where a part of it is missing. Parts are told apart by their lengths, so that no
 * two entities have the same key; see {@link keyOf}.
 *
 * @param columns whose values are cast to text
 */
export function keySql(columns: readonly string[]): string {
  const [only, ...others] = columns.map((column) => `CAST(${quoteIdent(column)} AS VARCHAR)`);
  if (others.length === 0) return String(only);
  return [only, ...others].map((part) => `strlen(${part}) || ':' || ${part}`).join(` || ',' || `);
}

/** Microseconds of Unix time, of a date or a timestamp in UTC. */
export const timeSql = (column: string): string => `epoch_us(CAST(${quoteIdent(column)} AS TIMESTAMP))`;

/** The parts of a parsed statement that are looked at. */
interface ParsedExpression {
  class?: string;
  function_name?: string;
  children?: unknown[];
  filter?: unknown;
  distinct?: boolean;
  order_bys?: { orders?: unknown[] };
  schema?: string;
}

/** An aggregate in SQL: which, of what, and of which events. */
async function readAggregate(
  database: Database,
  events: string,
  sql: string,
  where: string,
): Promise<{ aggregate: Aggregate; value: string }> {
  await oneSelect(database, `SELECT ${sql}\n FROM (${events}\n)`, where);
  const tree = await parsed(database, `SELECT ${sql}\n`);
  const part = (path: string): Promise<string> => written(database, `SELECT ${sql}\n`, path);
  const { select_list: list = [], from_table: from } = tree.statements?.[0]?.node ?? {};
  const [expression] = list;
  const aggregate = NAMES[expression?.function_name ?? ''];
  if (
    list.length !== 1 ||
    from?.type !== 'EMPTY' ||
    expression?.class !== 'FUNCTION' ||
    aggregate === undefined
  )
    throw new PerennialError(
      'SqlInvalid',
      `${where}: expected one of ${KNOWN} over the events of a window, such as avg(amount) or count(*) FILTER (WHERE amount > 0)`,
    );
  if (expression.distinct === true || (expression.order_bys?.orders ?? []).length > 0)
    throw new PerennialError(
      'SqlInvalid',
      `${where}: DISTINCT and ORDER BY inside of an aggregate are not supported; last is by the timestamp of the view`,
    );
  const children = expression.children ?? [];
  if (children.length > 1)
    throw new PerennialError('SqlInvalid', `${where}: expected one argument, found ${children.length}`);
  const of = children.length === 0 ? 'true' : await part('children[0]');
  const condition = expression.filter ? await part('filter') : undefined;
  const type = await typeOf(database, events, of, where);
  if (aggregate !== 'count' && !NUMERIC.test(type))
    throw new PerennialError(
      'ColumnInvalid',
      `${where}: ${expression.function_name} is of ${type}; only numbers and truth values have it, cast the value`,
    );
  if (condition !== undefined) await typeOf(database, events, `CAST(${condition} AS BOOLEAN)`, where);
  // What is counted is whether there is a value.
  const value =
    aggregate === 'count' ? `CASE WHEN ${of} IS NOT NULL THEN 1.0::DOUBLE END` : `CAST(${of} AS DOUBLE)`;
  const chosen = condition === undefined ? value : `CASE WHEN ${condition} THEN ${value} END`;
  // An infinite value would make all windows that hold it useless.
  return {
    aggregate,
    value: aggregate === 'count' ? chosen : `CASE WHEN isfinite(${chosen}) THEN ${chosen} END`,
  };
}

interface ParsedStatement {
  statements?: { node?: { select_list?: ParsedExpression[]; from_table?: { type?: string } } }[];
}

async function parsed(database: Database, sql: string): Promise<ParsedStatement> {
  const { tree } = await database.row(
    `SELECT CAST(json_serialize_sql(${quoteLiteral(sql)}) AS VARCHAR) AS tree`,
  );
  const value: ParsedStatement = JSON.parse(String(tree));
  return value;
}

const SELECTED = '$.statements[0].node.select_list[0]';

/** The SQL of a part of what a statement selects. Only as text: its numbers may have more digits than JavaScript has. */
async function written(database: Database, sql: string, path: string): Promise<string> {
  const { part, frame, selected } = await database.row(
    `SELECT CAST(json_extract(json_serialize_sql(${quoteLiteral(sql)}), '${SELECTED}.${path}') AS VARCHAR) AS part,
       CAST(json_serialize_sql('SELECT 0') AS VARCHAR) AS frame,
       CAST(json_extract(json_serialize_sql('SELECT 0'), '${SELECTED}') AS VARCHAR) AS selected`,
  );
  const alone = String(frame).replace(String(selected), () => String(part));
  const { text } = await database.row(`SELECT json_deserialize_sql(${quoteLiteral(alone)}::JSON) AS text`);
  return String(text).replace(/^SELECT /, '');
}

/** The type of an expression over one event. */
async function typeOf(
  database: Database,
  events: string,
  expression: string,
  where: string,
): Promise<string> {
  const query = await oneSelect(database, `SELECT (${expression}\n) AS value FROM (${events}\n)`, where);
  const [column] = await database.columns(`(${query}\n)`, 'SqlInvalid', where);
  return column?.type ?? '';
}
