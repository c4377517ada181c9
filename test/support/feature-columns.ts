import type { DuckDBConnection } from '@duckdb/node-api';
import { type FeatureKind, type FeaturePreset, featuresSpec } from '../../contracts/spec/features.ts';
import type { Task } from '../../contracts/spec/task.ts';
import { foldSql } from '../../lib/duckdb/row-place.ts';
import type { RawColumn } from '../../lib/features/feature-plan.ts';
import { type FittedFeatures, fitFeatures } from '../../lib/features/fit.ts';
import { targetNumbers } from '../../lib/features/target-statistics.ts';
import { type Cell, createTable } from './feature-tables.ts';

/** A column of random cells with its settings; dates are epoch seconds. */
export interface Column {
  name: string;
  kind: FeatureKind;
  options: Record<string, unknown>;
  training: Cell[];
  scoring: Cell[];
}

const CELLS = {
  numeric: 'number',
  boolean: 'boolean',
  categorical: 'text',
  datetime: 'moment',
  text: 'text',
} as const;

const tableOf = (columns: readonly Column[], part: 'training' | 'scoring', more = {}) => ({
  ...Object.fromEntries(
    columns.map(({ name, kind, ...cells }) => [name, { kind: CELLS[kind], cells: cells[part] }]),
  ),
  ...more,
});

export interface LearnOptions {
  preset?: FeaturePreset;
  derived?: object[];
  settings?: object;
  target?: { task: Task; cells: Cell[]; classNames: string[] };
}

/** Makes the tables `training` and `scoring`, and fits the features on the first. */
export async function learnColumns(
  connection: DuckDBConnection,
  columns: readonly Column[],
  { preset = 'linear', target, derived = [], settings = {} }: LearnOptions = {},
): Promise<FittedFeatures> {
  const rows = columns[0]?.training.length ?? 0;
  const extra = {
    id: { kind: 'number' as const, cells: Array.from({ length: rows }, (_, id) => id) },
    ...(target
      ? {
          y: {
            kind: target.task === 'regression' ? ('number' as const) : ('text' as const),
            cells: target.cells,
          },
        }
      : {}),
  };
  await createTable(connection, 'training', tableOf(columns, 'training', extra));
  await createTable(connection, 'scoring', tableOf(columns, 'scoring'));
  const spec = featuresSpec.parse({
    columns: {
      ...Object.fromEntries(columns.map(({ name, kind, options }) => [name, { kind, ...options }])),
      ...settings,
    },
    derived,
  });
  const raw = columns.map(({ name, kind }): RawColumn => ({ name, kind }));
  return fitFeatures(connection, 'training', raw, spec, {
    preset,
    ...(target
      ? {
          target: {
            numbers: targetNumbers(target.task, 'y', {
              classNames: target.classNames,
              positiveClass: target.classNames[1] ?? null,
              baseline: { classShares: target.classNames.map(() => 1) },
            }),
            fold: foldSql(['id'], 'fold', 5),
            folds: 5,
          },
        }
      : {}),
  });
}
