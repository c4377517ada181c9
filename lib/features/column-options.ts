import { PerennialError } from '../../contracts/errors.ts';
import type {
  CategoricalOptions,
  ColumnFeatures,
  DatetimeOptions,
  FeatureKind,
  FeaturesSpec,
  NumericOptions,
} from '../../contracts/spec/features.ts';
import type { RawColumn } from './feature-plan.ts';

/** A raw column with the options in force for it. */
export type ColumnTask = { name: string } & (
  | { kind: 'numeric'; options: NumericOptions }
  | { kind: 'boolean'; options: { missingIndicator: boolean } }
  | { kind: 'categorical'; options: CategoricalOptions }
  | { kind: 'datetime'; options: DatetimeOptions }
);

const OPTIONS_OF: Record<FeatureKind, readonly (keyof ColumnFeatures)[]> = {
  numeric: ['impute', 'constant', 'missingIndicator', 'scale', 'clip'],
  boolean: ['missingIndicator'],
  categorical: ['encoding', 'maxCategories', 'minFrequency'],
  datetime: ['parts', 'cyclic', 'scale', 'missingIndicator'],
};

/**
 * Merges a column's own settings over those of its kind; columns that are set to "ignored" are left out.
 *
 * @throws PerennialError `ColumnMissing` for settings of a column that is not there, `FeatureInvalid` for a setting
 *   that the column's kind does not have
 */
export function columnTasks(columns: readonly RawColumn[], spec: FeaturesSpec): ColumnTask[] {
  const names = new Set(columns.map(({ name }) => name));
  if (names.size < columns.length)
    throw new PerennialError('FeatureInvalid', 'Two feature columns have the same name.');
  if (names.has('__proto__')) {
    throw new PerennialError(
      'FeatureInvalid',
      'A feature column cannot be named "__proto__": rename it in the data\'s SQL.',
    );
  }
  for (const [name, own] of Object.entries(spec.columns)) {
    const ignored = (typeof own === 'string' ? own : own.kind) === 'ignored';
    if (ignored || names.has(name)) continue;
    throw new PerennialError(
      'ColumnMissing',
      `features.columns names "${name}", which is no feature column; the feature columns are ${[...names].join(', ')}.`,
    );
  }
  return columns.flatMap((column) => {
    const own = spec.columns[column.name];
    const settings: ColumnFeatures = typeof own === 'string' ? { kind: own } : (own ?? {});
    const kind = settings.kind ?? column.kind;
    return kind === 'ignored' ? [] : [task(column.name, kind, settings, spec)];
  });
}

function task(name: string, kind: FeatureKind, settings: ColumnFeatures, spec: FeaturesSpec): ColumnTask {
  const { kind: _, ...all } = settings;
  const own = defined(all);
  for (const key of Object.keys(own)) {
    if (OPTIONS_OF[kind].some((option) => option === key)) continue;
    throw new PerennialError(
      'FeatureInvalid',
      `features.columns.${name}.${key} does not apply to a ${kind} column; it may have ${OPTIONS_OF[kind].join(', ')}.`,
    );
  }
  switch (kind) {
    case 'numeric':
      return { name, kind, options: { ...spec.numeric, ...own } };
    case 'boolean':
      return {
        name,
        kind,
        options: { missingIndicator: own.missingIndicator ?? spec.numeric.missingIndicator },
      };
    case 'categorical':
      return { name, kind, options: { ...spec.categorical, ...own } };
    case 'datetime':
      return { name, kind, options: { ...spec.datetime, ...own } };
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Leaves out keys whose value is `undefined`, which would otherwise hide a default when spread over it. */
function defined<T extends object>(settings: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as Defined<T>;
}
