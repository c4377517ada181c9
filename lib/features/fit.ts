import type { DuckDBConnection } from '@duckdb/node-api';
import { PerennialError } from '../../contracts/errors.ts';
import type { FeaturePreset, FeaturesSpec } from '../../contracts/spec/features.ts';
import { refused } from '../duckdb/database.ts';
import { type CategoryTask, categoryCounts } from './category-statistics.ts';
import { type ColumnTask, columnTasks } from './column-options.ts';
import { columnNotes, columnPlan, type Fittable, type Learned, numberTasksOf } from './column-plans.ts';
import { derivedSql } from './derived-columns.ts';
import type { FeaturePlan, FoldMeans, RawColumn, Vocabulary } from './feature-plan.ts';
import { matrixColumns } from './matrix.ts';
import { type NumberTask, numberStatistics } from './number-statistics.ts';
import { requireReadableText, type SqlTypes, unreadableSql, valueOrNullSql } from './raw-sql.ts';
import { type TargetEncoding, type TargetTask, targetEncodings } from './target-statistics.ts';
import { fitVocabulary } from './text-statistics.ts';

/** How features are fitted, beside what the spec says. */
export interface FitOptions {
  /** What holds where the spec says nothing. */
  preset: FeaturePreset;
  /** What target encoding needs; without it, a column that asks for it is refused. */
  target?: TargetTask;
}

/** Fitted features. */
export interface FittedFeatures {
  plan: FeaturePlan;
  /** By what the training rows are encoded, where a column is encoded by the target. */
  folds?: FoldMeans;
}

/**
 * Learns features from training rows by SQL aggregates: one scan for numbers and dates, one more for clipped numbers
 * and logarithms, one for categories, one for each text and for each column that is encoded by the target. Only
 * statistics leave DuckDB, never rows (categories and words are kept as they are).
 *
 * Values are taken as the model will see them: numbers as float32, dates in UTC. A column that says nothing (no
 * value at all, or the same in every row) stays an input of the model but has no matrix column, and a note says so.
 *
 * @param connection a connection; an interrupt ends the work
 * @param relation what may stand after FROM: a quoted name or `read_parquet('…')`; training rows only
 * @param columns the raw feature columns, in the order of the model's inputs
 * @throws PerennialError `SplitEmpty` without rows, `ColumnMissing`, `ColumnInvalid` for a type or text that cannot
 *   be read as the column's kind, `FeatureInvalid` where no column says anything
 * @example
 * const { plan } = await fitFeatures(connection, 'train', [{ name: 'age', kind: 'numeric' }], featuresSpec.parse({}), {
 *   preset: 'linear',
 * });
 */
export async function fitFeatures(
  connection: DuckDBConnection,
  relation: string,
  columns: readonly RawColumn[],
  spec: FeaturesSpec,
  { preset, target }: FitOptions,
): Promise<FittedFeatures> {
  const types = await sqlTypes(connection, relation);
  const numberTasks: NumberTask[] = [];
  const all = fittables(columnTasks(columns, spec, preset), types, numberTasks);
  if (all.length === 0)
    throw new PerennialError('FeatureInvalid', 'There is no feature column: all are ignored.');

  const { rows, numbers, counts } = await numberStatistics(connection, relation, numberTasks, [
    ...all.map(({ sql }) => sql),
    ...all.map(({ task, sqlType, sql }) => unreadableSql(task, sqlType, sql)),
  ]);
  if (rows === 0) throw new PerennialError('SplitEmpty', 'There are no training rows to fit features on.');
  all.forEach(({ task }, index) => {
    requireReadableText(task, counts[all.length + index] ?? 0, rows);
  });
  const categories = await categoriesByName(connection, relation, all);
  const targets = await targetsByName(connection, relation, all, target);
  const texts = await textsByName(connection, relation, all, rows);

  const plans = all.map((column, index) => {
    const { name } = column.task;
    const present = counts[index] ?? 0;
    const learned: Learned = {
      present,
      missing: rows - present,
      numbers,
      categories: categories.get(name) ?? [],
      target: targets.get(name)?.value,
      vocabulary: texts.get(name),
    };
    return columnPlan(column, learned);
  });

  const matrix = matrixColumns(plans);
  if (matrix.length === 0) {
    throw new PerennialError(
      'FeatureInvalid',
      `None of the feature columns (${plans.map(({ name }) => name).join(', ')}) says anything: each is empty or the same in all ${rows} training rows.`,
    );
  }
  const encoded = [...targets].filter(([, { value }]) => value !== undefined);
  const notes = [
    ...plans.flatMap((plan, index) => columnNotes(plan, all[index]?.task)),
    ...(encoded.length > 0 && target
      ? [
          outOfFoldNote(
            encoded.map(([name]) => name),
            target.folds,
          ),
        ]
      : []),
  ];
  return {
    plan: {
      schemaVersion: 2,
      preset,
      rows,
      columns: plans.filter(({ derived }) => !derived),
      derived: plans.filter(({ derived }) => derived),
      matrix,
      notes,
    },
    ...(encoded.length > 0 && target
      ? {
          folds: {
            folds: target.folds,
            columns: new Map(encoded.map(([name, { folds }]) => [name, folds])),
          },
        }
      : {}),
  };
}

const outOfFoldNote = (names: readonly string[], folds: number): string =>
  `${names.map((name) => `"${name}"`).join(', ')}: encoded by the target. In the training matrix each row was encoded by the other ${folds - 1} of ${folds} folds; the model's graph holds the means of all training rows.`;

/** The columns and DuckDB types of what may stand after FROM. */
export async function sqlTypes(connection: DuckDBConnection, relation: string): Promise<SqlTypes> {
  const reader = await connection
    .runAndReadAll(`DESCRIBE SELECT * FROM ${relation}`)
    .catch(refused('StageFailed', 'columns of the training rows'));
  return new Map(reader.getRowsJS().map(([name, type]) => [String(name), String(type)]));
}

/** The columns with their SQL; the numbers to be summarised are appended to `numberTasks`. */
function fittables(tasks: readonly ColumnTask[], types: SqlTypes, numberTasks: NumberTask[]): Fittable[] {
  const values = new Map<string, string>();
  return tasks.map((task) => {
    const sqlType = task.derived ? undefined : types.get(task.name);
    if (!task.derived && sqlType === undefined) {
      throw new PerennialError(
        'ColumnMissing',
        `The training rows have no column "${task.name}"; they have ${[...types.keys()].join(', ')}.`,
      );
    }
    const [first, second] = task.derived?.of ?? ['', ''];
    const sql = task.derived
      ? derivedSql(task.derived.op, values.get(first) ?? 'NULL', values.get(second) ?? 'NULL')
      : valueOrNullSql(task, sqlType ?? '');
    if (!task.derived) values.set(task.name, sql);
    const numbers = numberTasksOf(task, sql).map(({ part, number }) => ({
      index: numberTasks.push(number) - 1,
      part,
    }));
    return { task, sqlType, sql, numbers };
  });
}

async function categoriesByName(
  connection: DuckDBConnection,
  relation: string,
  all: readonly Fittable[],
): Promise<Map<string, Awaited<ReturnType<typeof categoryCounts>>[number]>> {
  const tasks = all.flatMap(({ task, sql }): CategoryTask[] => {
    if (task.kind !== 'categorical' || task.options.encoding === 'target') return [];
    return [{ name: task.name, sql, options: { ...task.options, encoding: task.options.encoding } }];
  });
  const found = await categoryCounts(connection, relation, tasks);
  return new Map(tasks.map(({ name }, index) => [name, found[index] ?? []]));
}

async function targetsByName(
  connection: DuckDBConnection,
  relation: string,
  all: readonly Fittable[],
  target: TargetTask | undefined,
): Promise<Map<string, TargetEncoding>> {
  const columns = all.flatMap(({ task, sql }) =>
    task.kind === 'categorical' && task.options.encoding === 'target'
      ? [{ name: task.name, sql, options: task.options }]
      : [],
  );
  const [first] = columns;
  if (!first) return new Map();
  if (!target) {
    throw new PerennialError(
      'FeatureInvalid',
      `Column "${first.name}" is to be encoded by the target, which is not known here.`,
    );
  }
  const found = await targetEncodings(connection, relation, columns, target);
  return new Map(
    columns.flatMap(({ name }, index) => {
      const encoding = found[index];
      return encoding ? [[name, encoding]] : [];
    }),
  );
}

async function textsByName(
  connection: DuckDBConnection,
  relation: string,
  all: readonly Fittable[],
  rows: number,
): Promise<Map<string, Vocabulary>> {
  const found = new Map<string, Vocabulary>();
  for (const { task, sql } of all) {
    if (task.kind !== 'text') continue;
    const vocabulary = await fitVocabulary(connection, relation, { sql, options: task.options }, rows);
    if (vocabulary) found.set(task.name, vocabulary);
  }
  return found;
}
