import { PerennialError } from '../../contracts/errors.ts';
import type {
  CategoricalOptions,
  ColumnFeatures,
  DatetimeOptions,
  FeatureKind,
  FeaturePreset,
  FeaturesSpec,
  NumericOptions,
  TextOptions,
} from '../../contracts/spec/features.ts';
import { type DerivedColumn, derivedColumns } from './derived-columns.ts';
import type { RawColumn } from './feature-plan.ts';
import { PRESETS } from './presets.ts';

/** A column with the options in force for it: a raw one, or one that is made of two raw ones. */
export type ColumnTask = { name: string; derived?: DerivedColumn } & (
  | { kind: 'numeric'; options: NumericOptions }
  | { kind: 'boolean'; options: { missingIndicator: boolean; impute: 'mode' | 'none' } }
  | { kind: 'categorical'; options: CategoricalOptions }
  | { kind: 'datetime'; options: DatetimeOptions }
  | { kind: 'text'; options: TextOptions }
);

const OPTIONS_OF: Record<FeatureKind, readonly (keyof ColumnFeatures)[]> = {
  numeric: ['impute', 'constant', 'missingIndicator', 'scale', 'clip', 'log', 'bins', 'binEncoding'],
  boolean: ['missingIndicator'],
  categorical: ['encoding', 'maxCategories', 'minFrequency', 'smoothing'],
  datetime: ['parts', 'cyclic', 'scale', 'missingIndicator', 'impute'],
  text: ['maxFeatures', 'minDocuments', 'ngrams'],
};

/**
 * The tasks of all columns, derived ones last. A column's own settings lie over those of its kind in the spec, and
 * these over the preset's; columns that are set to "ignored" are left out.
 *
 * @throws PerennialError `ColumnMissing` for settings of a column that is not there, `FeatureInvalid` for a setting
 *   that the column's kind does not have, or a derived feature that cannot be made
 */
export function columnTasks(
  columns: readonly RawColumn[],
  spec: FeaturesSpec,
  preset: FeaturePreset,
): ColumnTask[] {
  const names = new Set(columns.map(({ name }) => name));
  if (names.size < columns.length)
    throw new PerennialError('FeatureInvalid', 'Two feature columns have the same name.');
  if (names.has('__proto__')) {
    throw new PerennialError(
      'FeatureInvalid',
      'A feature column cannot be named "__proto__": rename it in the data\'s SQL.',
    );
  }
  const raw = columns.flatMap((column) => {
    const { kind = column.kind, ...own } = settingsOf(spec, column.name);
    return kind === 'ignored' ? [] : [task(column.name, kind, own, spec, preset)];
  });
  const derived = derivedColumns(spec.derived, raw).map((column) => {
    const { kind, ...own } = settingsOf(spec, column.name);
    if (kind !== undefined && kind !== column.kind) {
      throw new PerennialError(
        'FeatureInvalid',
        `features.columns.${column.name}.kind: a ${column.op} is ${column.kind}; leave the kind out.`,
      );
    }
    return { ...task(column.name, column.kind, own, spec, preset), derived: column };
  });
  for (const column of derived) names.add(column.name);
  for (const [name, own] of Object.entries(spec.columns)) {
    const ignored = (typeof own === 'string' ? own : own.kind) === 'ignored';
    if (ignored || names.has(name)) continue;
    throw new PerennialError(
      'ColumnMissing',
      `features.columns names "${name}", which is no feature column; the feature columns are ${[...names].join(', ')}.`,
    );
  }
  return [...raw, ...derived];
}

function settingsOf(spec: FeaturesSpec, name: string): ColumnFeatures {
  const own = spec.columns[name];
  return typeof own === 'string' ? { kind: own } : (own ?? {});
}

function task(
  name: string,
  kind: FeatureKind,
  settings: ColumnFeatures,
  spec: FeaturesSpec,
  preset: FeaturePreset,
): ColumnTask {
  const own = defined(settings);
  const given = PRESETS[preset];
  for (const key of Object.keys(own)) {
    if (OPTIONS_OF[kind].some((option) => option === key)) continue;
    throw new PerennialError(
      'FeatureInvalid',
      `features.columns.${name}.${key} does not apply to a ${kind} column; it may have ${OPTIONS_OF[kind].join(', ')}.`,
    );
  }
  switch (kind) {
    case 'numeric':
      return { name, kind, options: { ...given.numeric, ...defined(spec.numeric), ...own } };
    case 'boolean': {
      const { impute, missingIndicator } = { ...given.numeric, ...defined(spec.numeric), ...own };
      return { name, kind, options: { missingIndicator, impute: impute === 'none' ? 'none' : 'mode' } };
    }
    case 'categorical':
      return { name, kind, options: { ...given.categorical, ...defined(spec.categorical), ...own } };
    case 'datetime': {
      const { impute, ...rest } = own;
      if (impute !== undefined && impute !== 'median' && impute !== 'none') {
        throw new PerennialError(
          'FeatureInvalid',
          `features.columns.${name}.impute: a missing date can be imputed by median or none, not by ${impute}.`,
        );
      }
      return {
        name,
        kind,
        options: { ...given.datetime, ...defined(spec.datetime), ...rest, ...(impute ? { impute } : {}) },
      };
    }
    case 'text':
      return { name, kind, options: { ...given.text, ...defined(spec.text), ...own } };
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Leaves out keys whose value is `undefined`, which would otherwise hide a default when spread over it. */
function defined<T extends object>(settings: T): Defined<T> {
  return Object.fromEntries(
    Object.entries(settings).filter(([, value]) => value !== undefined),
  ) as Defined<T>;
}
