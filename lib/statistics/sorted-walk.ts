import type { CountPair } from './count-distances.ts';

/** A bin of a number column; it holds the values above the bin before it, up to `upTo`. */
export interface NumberBin extends CountPair {
  /** Infinity for the last bin. */
  upTo: number;
}

/** Whether a value alone holds one of the quantile bins' share of the rows. */
export const isHeavy = (valueRows: number, rows: number, bins: number): boolean => valueRows * bins >= rows;

/** Quantiles that so many of the rows reach; the last one is the end of the table, which closes nothing. */
export const quantilesReached = (reached: number, rows: number, bins: number): number =>
  Math.min(Math.floor((reached * bins) / rows), bins - 1);

/** What {@link SortedWalk} found. */
export interface WalkResult {
  /** Greatest distance of the two empirical distribution functions. */
  distance: number;
  bins: NumberBin[];
}

/**
 * Goes through the values of two tables in ascending order, once, and finds the exact Kolmogorov-Smirnov distance
 * and the rows in each quantile bin of the reference.
 *
 * A bin ends at the value in which the reference reaches 1/bins, 2/bins, … of its rows (numpy's quantile method
 * `inverted_cdf`). A value that alone holds 1/bins of the reference's rows is a bin of its own, so that a heap of
 * zeros cannot hide what moves below it.
 */
export class SortedWalk {
  readonly #bins: NumberBin[] = [];
  #distance = 0;
  #reference = 0;
  #current = 0;
  #closedReference = 0;
  #closedCurrent = 0;
  #before = Number.NEGATIVE_INFINITY;

  /** @param bins number of quantile bins */
  constructor(
    private readonly referenceRows: number,
    private readonly currentRows: number,
    private readonly bins: number,
  ) {}

  /** The next greater value with its number of rows in each table. */
  next(value: number, reference: number, current: number): void {
    const heavy = isHeavy(reference, this.referenceRows, this.bins);
    if (heavy) this.#close(this.#before);
    const reached = this.#quantiles();
    this.#reference += reference;
    this.#current += current;
    this.#distance = Math.max(
      this.#distance,
      Math.abs(this.#reference / this.referenceRows - this.#current / this.currentRows),
    );
    if (heavy || (reference > 0 && this.#quantiles() > reached)) this.#close(value);
    this.#before = value;
  }

  finish(): WalkResult {
    this.#close(Number.POSITIVE_INFINITY);
    return { distance: this.#distance, bins: this.#bins };
  }

  #quantiles(): number {
    return quantilesReached(this.#reference, this.referenceRows, this.bins);
  }

  #close(upTo: number): void {
    const reference = this.#reference - this.#closedReference;
    const current = this.#current - this.#closedCurrent;
    if (reference === 0 && current === 0) return;
    this.#bins.push({ upTo, reference, current });
    this.#closedReference = this.#reference;
    this.#closedCurrent = this.#current;
  }
}
