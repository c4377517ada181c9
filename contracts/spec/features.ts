import { z } from 'zod';

/** What a feature column is to the model. It decides the type of the model's input. */
export const featureKind = z.enum(['numeric', 'boolean', 'categorical', 'datetime']).meta({
  description: 'numeric and boolean are float32 inputs, categorical is text, datetime epoch seconds in UTC.',
});
export type FeatureKind = z.infer<typeof featureKind>;

/** Parts of a date that can become features; `weekday` counts from Monday = 0, `dayofyear` from 1. */
export const datePart = z.enum(['year', 'month', 'day', 'dayofyear', 'weekday', 'hour', 'minute']);
export type DatePart = z.infer<typeof datePart>;

const impute = z.enum(['median', 'mean', 'zero', 'constant']).meta({
  description: 'What replaces a missing number: a statistic of the training rows, 0, or `constant`.',
});
const constant = z
  .number()
  .meta({ description: 'The number that replaces a missing one where impute is constant.' });
const missingIndicator = z.boolean().meta({
  description:
    'Adds a 0/1 column that says whether the value was missing, where training rows have missing values.',
});
const scale = z.enum(['standard', 'minmax', 'none']).meta({
  description:
    'standard: minus mean, by standard deviation; minmax: training minimum 0, maximum 1; none: as it is.',
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
const encoding = z.enum(['auto', 'onehot', 'ordinal', 'frequency']).meta({
  description:
    'onehot: one 0/1 column per category; ordinal: its place in sort order from 0 (other -1, missing -2); frequency: its share of the training rows; auto: onehot up to maxCategories categories, else frequency.',
});
const maxCategories = z.number().int().min(1).max(1000).meta({
  description: 'One-hot columns at most: the most frequent categories have their own, the rest are "other".',
});
const minFrequency = z.number().int().min(1).meta({
  description: 'A category with fewer training rows than this counts as "other".',
});
const parts = z
  .array(datePart)
  .min(1)
  .meta({ description: 'The parts of a date that become features, in UTC.' });
const cyclic = z.boolean().meta({
  description:
    'Gives month, weekday and hour as sine and cosine (December beside January) instead of as numbers.',
});

/** How numeric columns are treated: missing values replaced, then clipped, then scaled. */
export const numericOptions = z.strictObject({
  impute: impute.default('median'),
  constant: constant.optional(),
  missingIndicator: missingIndicator.default(true),
  scale: scale.default('standard'),
  clip: clip.optional(),
});
export type NumericOptions = z.infer<typeof numericOptions>;

/** How text columns are encoded. */
export const categoricalOptions = z.strictObject({
  encoding: encoding.default('auto'),
  maxCategories: maxCategories.default(32),
  minFrequency: minFrequency.default(1),
});
export type CategoricalOptions = z.infer<typeof categoricalOptions>;

/** Which parts of dates become features. Numbers among them are scaled like numeric columns. */
export const datetimeOptions = z.strictObject({
  parts: parts.default(['month', 'weekday', 'hour']),
  cyclic: cyclic.default(false),
  scale: scale.default('standard'),
  missingIndicator: missingIndicator.default(true),
});
export type DatetimeOptions = z.infer<typeof datetimeOptions>;

/** The settings of one column; those left out are those of its kind. */
export const columnFeatures = z.strictObject({
  kind: z
    .enum([...featureKind.options, 'ignored'])
    .optional()
    .meta({
      description:
        'Where the kind found from the data is not meant: for example categorical for a numeric code.',
    }),
  impute: impute.optional(),
  constant: constant.optional(),
  missingIndicator: missingIndicator.optional(),
  scale: scale.optional(),
  clip: clip.optional(),
  encoding: encoding.optional(),
  maxCategories: maxCategories.optional(),
  minFrequency: minFrequency.optional(),
  parts: parts.optional(),
  cyclic: cyclic.optional(),
});
export type ColumnFeatures = z.infer<typeof columnFeatures>;

/**
 * The `features:` part of the pipeline spec: how columns become the numbers that a model sees. All is optional.
 *
 * @example
 * features:
 *   numeric: { impute: median, clip: [0.01, 0.99] }
 *   columns: { zip_code: categorical, balance: { scale: none }, comment: ignored }
 */
export const featuresSpec = z
  .strictObject({
    numeric: numericOptions.prefault({}).meta({ description: 'All numeric columns.' }),
    categorical: categoricalOptions.prefault({}).meta({ description: 'All text columns.' }),
    datetime: datetimeOptions.prefault({}).meta({ description: 'All date and time columns.' }),
    columns: z
      .record(z.string(), z.union([z.enum([...featureKind.options, 'ignored']), columnFeatures]))
      .default({})
      .meta({
        description: 'Single columns by name: a kind, or settings that differ from those of its kind.',
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
