import type {
  CategoricalOptions,
  DatetimeOptions,
  FeaturePreset,
  NumericOptions,
  TextOptions,
} from '../../contracts/spec/features.ts';

/** The options of every kind. */
export interface KindOptions {
  numeric: NumericOptions;
  categorical: CategoricalOptions;
  datetime: DatetimeOptions;
  text: TextOptions;
}

/**
 * What holds where a spec says nothing. Trees split at any threshold and learn where missing values belong: numbers
 * stay as they are and categories are codes. Linear and neural models need every number there, of one size, and a
 * column per category.
 */
export const PRESETS: Readonly<Record<FeaturePreset, KindOptions>> = {
  tree: {
    numeric: {
      impute: 'none',
      missingIndicator: false,
      scale: 'none',
      log: false,
      binEncoding: 'ordinal',
    },
    categorical: { encoding: 'ordinal', maxCategories: 32, minFrequency: 1, smoothing: 20 },
    datetime: {
      parts: ['month', 'weekday', 'hour'],
      cyclic: false,
      scale: 'none',
      missingIndicator: false,
      impute: 'none',
    },
    text: { maxFeatures: 200, minDocuments: 2, ngrams: 1 },
  },
  linear: {
    numeric: {
      impute: 'median',
      missingIndicator: true,
      scale: 'standard',
      log: false,
      binEncoding: 'onehot',
    },
    categorical: { encoding: 'auto', maxCategories: 32, minFrequency: 1, smoothing: 20 },
    datetime: {
      parts: ['month', 'weekday', 'hour'],
      cyclic: false,
      scale: 'standard',
      missingIndicator: true,
      impute: 'median',
    },
    text: { maxFeatures: 1000, minDocuments: 2, ngrams: 1 },
  },
};
