/**
 * Where the values of a view in a row came from: the online store; the request itself; nowhere, since the row has no
 * key; the defaults, since the store could not be asked; or the request was refused for that. In records and metrics:
 * add at the end, never change the order.
 */
export const FEATURE_SOURCES = ['looked_up', 'given', 'without_key', 'default', 'refused'] as const;
export type FeatureSource = (typeof FEATURE_SOURCES)[number];

/** Their places in the list. */
export const FROM = {
  looked_up: 0,
  given: 1,
  without_key: 2,
  default: 3,
  refused: 4,
} as const satisfies Record<FeatureSource, number>;

/** Row by row, a place in {@link FEATURE_SOURCES}. */
export type Sources = Uint8Array;
