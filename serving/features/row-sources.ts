import type { FeatureSource } from '../../contracts/feature-store.ts';

/** The places of the sources in `FEATURE_SOURCES`. */
export const FROM = {
  looked_up: 0,
  given: 1,
  without_key: 2,
  default: 3,
  refused: 4,
} as const satisfies Record<FeatureSource, number>;

/** Row by row, a place in `FEATURE_SOURCES`. */
export type Sources = Uint8Array;
