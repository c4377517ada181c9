/** How fast new figures replace old ones. */
const LEARNING = 0.1;
/** A run that was held up by something else counts as no more than this many times what was expected. */
const MOST_SURPRISE = 4;
/** What a refusal takes off the belief: an estimate that lets nothing through would never be corrected. */
const DOUBT = 0.9;

/** What a run of a model takes: a part for the call, and one for each row; in milliseconds. */
export class RunCost {
  #call: number;
  #row: number;

  /**
   * @param single milliseconds of a run of one row
   * @param many milliseconds of a run of `manyRows` rows
   */
  constructor(single: number, many: number, manyRows: number) {
    // A row costs something even where the clock does not show it.
    this.#row = Math.max((many - single) / (manyRows - 1), single / 1_000);
    this.#call = Math.max(single - this.#row, 0);
  }

  /** Of the call alone: what company in a run saves. */
  get call(): number {
    return this.#call;
  }

  of(rows: number): number {
    return this.#call + this.#row * rows;
  }

  /** As many rows as can be computed in so many milliseconds. */
  rowsIn(milliseconds: number): number {
    return Math.floor((milliseconds - this.#call) / this.#row);
  }

  /** Learns from a run. The part that makes up more of it is the one that the run tells of. */
  observe(rows: number, milliseconds: number): void {
    const expected = this.of(rows);
    const seen = Math.min(milliseconds, expected * MOST_SURPRISE);
    const byRows = this.#row * rows;
    if (byRows > this.#call) this.#row += (LEARNING * (Math.max(seen - this.#call, 0) - byRows)) / rows;
    else this.#call += LEARNING * (Math.max(seen - byRows, 0) - this.#call);
  }

  /** Believes a little less, since a request was refused on this estimate. */
  doubt(): void {
    this.#call *= DOUBT;
    this.#row *= DOUBT;
  }
}
