import type { OnlineView } from '../../contracts/feature-store.ts';
import type { ServedView } from '../../contracts/serving.ts';

/** Values of the columns of a view for some entities. */
export interface LookedUp {
  /** Row by row, the columns of the view side by side; NaN: there is none. */
  readonly values: Float64Array;
  /** Up to which moment the store knows events, milliseconds of Unix time. */
  readonly until: number;
}

/**
 * Reads features of entities as of a moment. An embedded store answers at once, one behind a network by a promise.
 */
export interface OnlineReader {
  /**
   * @param keys of the entities, as `keyOf` makes them; `undefined`: none was given, and all its values are NaN
   * @param at milliseconds of Unix time: events before it count
   * @throws OnlineStoreError where the store cannot be asked
   */
  lookUp(view: ServedView, keys: readonly (string | undefined)[], at: number): LookedUp | Promise<LookedUp>;
  /** The views that the store holds. */
  views(): Promise<OnlineView[]>;
  close(): Promise<void>;
}

/** The store cannot be asked, or does not hold the view. Its message names neither keys nor values. */
export class OnlineStoreError extends Error {
  override readonly name = 'OnlineStoreError';
}
