import { z } from 'zod';

/** What a feature column is to the model. It decides the type of the model's input. */
export const featureKind = z.enum(['numeric', 'boolean', 'categorical', 'datetime', 'text']).meta({
  description:
    'numeric and boolean are float32 inputs, categorical and text (words of it become features) are text, datetime epoch seconds in UTC.',
});
export type FeatureKind = z.infer<typeof featureKind>;

/** What a family of trainers takes features as, where the spec does not say. */
export const featurePreset = z.enum(['tree', 'linear']);
export type FeaturePreset = z.infer<typeof featurePreset>;

/** Parts of a date that can become features; `weekday` counts from Monday = 0, `dayofyear` from 1. */
export const datePart = z.enum(['year', 'month', 'day', 'dayofyear', 'weekday', 'hour', 'minute']);
export type DatePart = z.infer<typeof datePart>;

const impute = z.enum(['median', 'mean', 'zero', 'constant', 'none']).meta({
  description:
    'What replaces a missing number: a statistic of the training rows, 0, or `constant`; none leaves it missing (trees only), where training rows had missing ones.',
});
const constant = z
  .number()
  .meta({ description: 'The number that replaces a missing one where impute is constant.' });
const missingIndicator = z.boolean().meta({
  description:
    'Adds a 0/1 column that says whether the value was missing, where training rows have missing values.',
});
const scale = z.enum(['standard', 'robust', 'minmax', 'none']).meta({
  description:
    'standard: minus mean, by standard deviation; robust: minus median, by interquartile range; minmax: training minimum 0, maximum 1; none: as it is.',
});
const quantile = z.number().min(0).max(1);
const clip = z
  .tuple([quantile, quantile])
  .refine(
    ([low, high]) => low < high,
    'the low quantile stands before the high one, for example [0.01, 0.99]',
  )
  .meta({
    description: 'Limits values to these two quantiles of the training rows, for example [0.01, 0.99].',
  });
const log = z.boolean().meta({
  description: 'Takes sign(x) · ln(1 + |x|), after clipping and before scaling.',
});
const bins = z.number().int().min(2).max(256).meta({
  description: 'Bins with equally many training rows, in place of the number; log and scale do not apply.',
});
const binEncoding = z.enum(['ordinal', 'onehot']).meta({
  description: 'ordinal: the number of the bin from 0; onehot: a 0/1 column per bin.',
});
const encoding = z.enum(['auto', 'onehot', 'ordinal', 'frequency', 'target']).meta({
  description:
    'onehot: one 0/1 column per category; ordinal: its place in sort order from 0 (other -1, missing -2); frequency: its share of the training rows; target: the smoothed mean of the target, out of fold in training; auto: onehot up to maxCategories categories, else frequency.',
});
const maxCategories = z.number().int().min(1).max(1000).meta({
  description: 'One-hot columns at most: the most frequent categories have their own, the rest are "other".',
});
const minFrequency = z.number().int().min(1).meta({
  description: 'A category with fewer training rows than this counts as "other".',
});
const smoothing = z.number().min(0).max(1e9).meta({
  description:
    'encoding target: the mean of all training rows counts as much as this many rows of the category.',
});
const parts = z
  .array(datePart)
  .min(1)
  .meta({ description: 'The parts of a date that become features, in UTC.' });
const cyclic = z.boolean().meta({
  description:
    'Gives month, weekday and hour as sine and cosine (December beside January) instead of as numbers.',
});
const imputeDate = z.enum(['median', 'none']).meta({
  description: 'What replaces the parts of a missing date; none leaves them missing (trees only).',
});
const maxFeatures = z.number().int().min(1).max(5000).meta({
  description: 'Words of a text column at most: those in the most training rows.',
});
const minDocuments = z.number().int().min(1).meta({
  description: 'A word in fewer training rows than this is not used.',
});
const ngrams = z.number().int().min(1).max(2).meta({ description: '2: also pairs of neighbouring words.' });

/** How numeric columns are treated: missing values replaced, then clipped, then the logarithm, then scaled. */
export const numericOptions = z.strictObject({
  impute,
  constant: constant.optional(),
  missingIndicator,
  scale,
  clip: clip.optional(),
  log,
  bins: bins.optional(),
  binEncoding,
});
export type NumericOptions = z.infer<typeof numericOptions>;

/** How text columns are encoded. */
export const categoricalOptions = z.strictObject({ encoding, maxCategories, minFrequency, smoothing });
export type CategoricalOptions = z.infer<typeof categoricalOptions>;

/** Which parts of dates become features. Numbers among them are scaled like numeric columns. */
export const datetimeOptions = z.strictObject({ parts, cyclic, scale, missingIndicator, impute: imputeDate });
export type DatetimeOptions = z.infer<typeof datetimeOptions>;

/** How texts become TF-IDF weights of their words. */
export const textOptions = z.strictObject({ maxFeatures, minDocuments, ngrams });
export type TextOptions = z.infer<typeof textOptions>;

/** The settings of one column; those left out are those of its kind. */
export const columnFeatures = z.strictObject({
  kind: z
    .enum([...featureKind.options, 'ignored'])
    .optional()
    .meta({
      description:
        'Where the kind found from the data is not meant: for example categorical for a numeric code.',
    }),
  ...numericOptions.partial().shape,
  ...categoricalOptions.partial().shape,
  ...datetimeOptions.omit({ impute: true }).partial().shape,
  ...textOptions.partial().shape,
});
export type ColumnFeatures = z.infer<typeof columnFeatures>;

const pair = z.tuple([z.string(), z.string()]).refine(([first, second]) => first !== second, {
  error: 'two different columns',
});
const name = z.string().min(1).max(120).optional();

/** A feature made of two columns. */
export const derivedFeature = z.union([
  z.strictObject({ ratio: pair, name }).meta({ description: 'a / b of two numbers; missing where b is 0.' }),
  z.strictObject({ product: pair, name }).meta({ description: 'a × b of two numbers.' }),
  z.strictObject({ cross: pair, name }).meta({ description: 'Each pair of categories as a category.' }),
]);
export type DerivedFeature = z.infer<typeof derivedFeature>;

/**
 * The `features:` part of the pipeline spec: how columns become the numbers that a model sees. All is optional: what
 * is not said is as the family of the candidate's trainer likes it.
 *
 * @example
 * features:
 *   numeric: { impute: median, clip: [0.01, 0.99] }
 *   columns: { zip_code: categorical, balance: { scale: none }, comment: ignored }
 *   derived: [{ ratio: [balance, income] }]
 */
export const featuresSpec = z
  .strictObject({
    numeric: numericOptions.partial().prefault({}).meta({ description: 'All numeric columns.' }),
    categorical: categoricalOptions.partial().prefault({}).meta({ description: 'All categorical columns.' }),
    datetime: datetimeOptions.partial().prefault({}).meta({ description: 'All date and time columns.' }),
    text: textOptions.partial().prefault({}).meta({ description: 'All columns of kind text.' }),
    columns: z
      .record(z.string(), z.union([z.enum([...featureKind.options, 'ignored']), columnFeatures]))
      .default({})
      .meta({
        description:
          'Single columns by name, derived ones included: a kind, or settings that differ from those of its kind.',
      }),
    derived: z.array(derivedFeature).max(500).default([]).meta({
      description: 'Features made of two columns: ratio, product, cross.',
    }),
    folds: z.number().int().min(2).max(20).default(5).meta({
      description: 'Encoding target: folds of the training rows; a row is encoded by the others.',
    }),
  })
  .prefault({})
  .superRefine((spec, context) => {
    const check = (
      path: (string | number)[],
      options: { impute?: string | undefined; constant?: number | undefined },
    ) => {
      if (options.impute === 'constant' && options.constant === undefined)
        context.addIssue({
          code: 'custom',
          path: [...path, 'constant'],
          message: 'impute: constant needs the constant',
        });
    };
    check(['numeric'], spec.numeric);
    for (const [name, column] of Object.entries(spec.columns))
      if (typeof column !== 'string')
        check(['columns', name], {
          impute: column.impute,
          constant: column.constant ?? spec.numeric.constant,
        });
  })
  .meta({ description: 'How columns become the numbers that a model sees.' });
export type FeaturesSpec = z.output<typeof featuresSpec>;

/** Where a spec leaves numbers missing, which only trees take: paths into `features`. */
export function missingKept(spec: FeaturesSpec): string[][] {
  return [
    ...(spec.numeric.impute === 'none' ? [['numeric', 'impute']] : []),
    ...(spec.datetime.impute === 'none' ? [['datetime', 'impute']] : []),
    ...Object.entries(spec.columns).flatMap(([name, column]) =>
      typeof column !== 'string' && column.impute === 'none' ? [['columns', name, 'impute']] : [],
    ),
  ];
}
