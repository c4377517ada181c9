import type { DuckDBConnection } from '@duckdb/node-api';
import { PerennialError } from '../../contracts/errors.ts';
import type { DatePart, FeaturesSpec } from '../../contracts/spec/features.ts';
import { refused } from '../duckdb/database.ts';
import { quoteIdent, quoteLiteral } from '../duckdb/sql.ts';
import { type Category, type CategoryTask, categoryCounts, fitCategories } from './category-statistics.ts';
import { type ColumnTask, columnTasks } from './column-options.ts';
import {
  type ColumnPlan,
  cyclicPart,
  type FeaturePlan,
  MISSING_WORDS,
  type RawColumn,
} from './feature-plan.ts';
import { matrixColumns } from './matrix.ts';
import { type NumberStatistics, type NumberTask, numberStatistics } from './number-statistics.ts';
import { type SqlTypes, valueOrNullSql } from './raw-sql.ts';

/** A column's task with the SQL of its value and the places of its numbers in the list of all numbers. */
interface Prepared {
  task: ColumnTask;
  sqlType: string;
  sql: string;
  /** `part` is set for dates. */
  numbers: { index: number; part?: DatePart }[];
}

/**
 * Learns features from training rows by SQL aggregates: one scan for numbers and dates, one more for clipped
 * numbers, one for categories. Only statistics leave DuckDB, never rows (categories are kept as they are).
 *
 * Values are taken as the model will see them: numbers as float32, dates in UTC. A column that says nothing (no
 * value at all, or the same in every row) stays an input of the model but has no matrix column, and a note says so.
 *
 * @param connection a connection whose `interrupt()` ends the work
 * @param relation what may stand after FROM: a quoted name or `read_parquet('…')`; training rows only
 * @param columns the feature columns, in the order of the model's inputs
 * @throws PerennialError `SplitEmpty` without rows, `ColumnMissing`, `ColumnInvalid` for a type or text that cannot
 *   be read as the column's kind, `FeatureInvalid` where no column says anything
 * @example
 * const plan = await fitFeatures(connection, 'train', [{ name: 'age', kind: 'numeric' }], featuresSpec.parse({}));
 */
export async function fitFeatures(
  connection: DuckDBConnection,
  relation: string,
  columns: readonly RawColumn[],
  options: FeaturesSpec,
): Promise<FeaturePlan> {
  const types = await sqlTypes(connection, relation);
  const numberTasks: NumberTask[] = [];
  const prepared = columnTasks(columns, options).map((task) => prepare(task, types, numberTasks));
  if (prepared.length === 0)
    throw new PerennialError('FeatureInvalid', 'There is no feature column: all are ignored.');

  const { rows, numbers, counts } = await numberStatistics(connection, relation, numberTasks, [
    ...prepared.map(({ sql }) => sql),
    ...prepared.map(unreadableSql),
  ]);
  if (rows === 0) throw new PerennialError('SplitEmpty', 'There are no training rows to fit features on.');
  prepared.forEach((column, index) => {
    requireReadableText(column, counts[prepared.length + index] ?? 0, rows);
  });
  const categoryTasks = prepared.flatMap(({ task, sql }): CategoryTask[] =>
    task.kind === 'categorical' ? [{ name: task.name, sql, options: task.options }] : [],
  );
  const categories = new Map(
    (await categoryCounts(connection, relation, categoryTasks)).map((found, index) => [
      categoryTasks[index]?.name,
      found,
    ]),
  );

  const plans = prepared.map((column, index) => {
    const present = counts[index] ?? 0;
    return columnPlan(column, {
      present,
      missing: rows - present,
      numbers,
      categories: categories.get(column.task.name) ?? [],
    });
  });

  const matrix = matrixColumns(plans);
  if (matrix.length === 0) {
    throw new PerennialError(
      'FeatureInvalid',
      `None of the feature columns (${plans.map(({ name }) => name).join(', ')}) says anything: each is empty or the same in all ${rows} training rows.`,
    );
  }
  const notes = plans.flatMap((plan, index) => columnNotes(plan, prepared[index]?.task));
  return { schemaVersion: 1, rows, columns: plans, matrix, notes };
}

/** The columns and DuckDB types of what may stand after FROM. */
export async function sqlTypes(connection: DuckDBConnection, relation: string): Promise<SqlTypes> {
  const reader = await connection
    .runAndReadAll(`DESCRIBE SELECT * FROM ${relation}`)
    .catch(refused('StageFailed', 'columns of the training rows'));
  return new Map(reader.getRowsJS().map(([name, type]) => [String(name), String(type)]));
}

function prepare(task: ColumnTask, types: SqlTypes, numberTasks: NumberTask[]): Prepared {
  const sqlType = types.get(task.name);
  if (sqlType === undefined) {
    throw new PerennialError(
      'ColumnMissing',
      `The training rows have no column "${task.name}"; they have ${[...types.keys()].join(', ')}.`,
    );
  }
  const sql = valueOrNullSql(task, sqlType);
  const add = (number: NumberTask, part?: DatePart) => ({
    index: numberTasks.push(number) - 1,
    ...(part ? { part } : {}),
  });
  const numbers = () => {
    switch (task.kind) {
      case 'numeric': {
        const { impute, constant = 0, scale, clip } = task.options;
        return [
          add({
            sql,
            impute: impute === 'zero' ? 0 : impute === 'constant' ? constant : impute,
            scale,
            clip,
          }),
        ];
      }
      case 'boolean':
        return [add({ sql, impute: 'mode', scale: 'none' })];
      case 'datetime':
        return [...new Set(task.options.parts)].map((part) =>
          add({ sql: datePartSql(part, sql), impute: 'median', scale: task.options.scale }, part),
        );
      case 'categorical':
        return [];
    }
  };
  return { task, sqlType, sql, numbers: numbers() };
}

/** A part of epoch seconds in UTC, independent of the session's time zone. */
function datePartSql(part: DatePart, epochSeconds: string): string {
  const moment = `make_timestamp(CAST(floor(${epochSeconds}) AS BIGINT) * 1000000)`;
  switch (part) {
    case 'weekday':
      return `isodow(${moment}) - 1`;
    case 'dayofyear':
      return `dayofyear(${moment})`;
    default:
      return `${part}(${moment})`;
  }
}

/** NULL, except for rows whose text should be a number, a boolean or a date and is none. */
function unreadableSql({ task, sqlType, sql }: Prepared): string {
  if (sqlType !== 'VARCHAR' || task.kind === 'categorical') return 'NULL';
  const name = quoteIdent(task.name);
  return `CASE WHEN ${name} NOT IN (${MISSING_WORDS.map(quoteLiteral).join(', ')}) AND (${sql}) IS NULL THEN 1 END`;
}

function requireReadableText({ task }: Prepared, unreadable: number, rows: number): void {
  if (unreadable === 0) return;
  const word = {
    numeric: 'number',
    boolean: 'true or false',
    datetime: 'ISO-8601 date',
    categorical: 'text',
  }[task.kind];
  throw new PerennialError(
    'ColumnInvalid',
    `Column "${task.name}" is text, and in ${unreadable} of ${rows} training rows it is no ${word}: convert it in the data's SQL, or make it categorical under features.columns.`,
  );
}

/** What was learned about one column. */
interface Learned {
  present: number;
  missing: number;
  /** Of all columns; a column knows the places of its own. */
  numbers: readonly NumberStatistics[];
  categories: readonly Category[];
}

function columnPlan({ task, sqlType, sql, numbers: places }: Prepared, learned: Learned): ColumnPlan {
  const { present, missing } = learned;
  const base = { name: task.name, sqlType, missing };
  const mixed = missing > 0 && present > 0;
  const values = places.map(({ index, part }) => ({ part, value: learned.numbers[index]?.value }));
  if (task.kind === 'categorical') {
    const value = fitCategories(
      { name: task.name, sql, options: task.options },
      learned.categories,
      present,
      missing,
    );
    return {
      kind: task.kind,
      ...base,
      indicator: mixed && value?.encoding === 'onehot',
      ...(value ? { value } : {}),
    };
  }
  const indicator = mixed && task.options.missingIndicator;
  if (task.kind === 'datetime') {
    const known = values.flatMap(({ part, value }) => (part && value ? [{ part, value }] : []));
    const cycles = task.options.cyclic
      ? known.flatMap(({ part }) => cyclicPart.safeParse(part).data ?? [])
      : [];
    const parts = known.filter(({ part }) => !cycles.some((cycle) => cycle === part));
    return { kind: task.kind, ...base, indicator, parts, cycles };
  }
  const value = values[0]?.value;
  return { kind: task.kind, ...base, indicator, ...(value ? { value } : {}) };
}

function columnNotes(plan: ColumnPlan, task: ColumnTask | undefined): FeaturePlan['notes'] {
  const note = (message: string) => [`Column "${plan.name}": ${message}`];
  const unused = plan.indicator ? 'only whether it is missing is used' : 'it is left out';
  if (plan.kind !== 'datetime') {
    if (plan.value) return [];
    if (plan.kind === 'categorical')
      return note(`its encoding is the same for every training row: ${unused}.`);
    return note(`it says the same in every training row that has a value, or has none: ${unused}.`);
  }
  const used = new Set<DatePart>([...plan.parts.map(({ part }) => part), ...plan.cycles]);
  if (used.size === 0)
    return note(`its parts are the same in every training row that has a date: ${unused}.`);
  const wanted = task?.kind === 'datetime' ? task.options.parts : [];
  return wanted
    .filter((part) => !used.has(part))
    .flatMap((part) => note(`its ${part} is the same in every training row and is left out.`));
}
