import type { AdwinState } from '../../../contracts/detectors.ts';
import { type ConceptChange, type ConceptDetector, type DetectorSignal, finiteError } from './detector.ts';

/** Buckets of one size before the two oldest become one of twice the size: M of the paper. */
const MOST_BUCKETS = 5;
/** How often it is looked for a cut, in errors. */
const CLOCK = 32;
/** Errors that either side of a cut has at the least. */
const LEAST_SIDE = 5;
/** Errors before the first look. */
const GRACE = 10;
/** Two to the 48 errors are more than there will be. */
const MOST_ROWS = 48;

interface Bucket {
  total: number;
  /** Sum of squared deviations from the bucket's mean. */
  deviations: number;
}

/** A point at which the window may fall apart: the means before and after it, the errors after it, what chance may do. */
interface Cut {
  before: number;
  after: number;
  newer: number;
  bound: number;
}

export const freshAdwin = (): AdwinState => ({
  detector: 'adwin',
  seen: 0,
  total: 0,
  deviations: 0,
  rows: [[]],
});

/** What two groups of numbers have more of squared deviations together than each by itself. */
const between = (n: number, mean: number, m: number, other: number): number =>
  (n * m * (mean - other) * (mean - other)) / (n + m);

/**
 * ADWIN2 (Bifet and Gavaldà 2007): a window of the latest errors that grows while their mean stays, and loses its older
 * part as soon as that part's mean differs from the newer one's by more than chance makes of it. The window is kept as an
 * exponential histogram: memory and time are logarithmic in its length. Changes in either direction are found.
 *
 * Bound, clock and minimal lengths are those of MOA and river, with which it agrees error by error.
 */
export class Adwin implements ConceptDetector {
  change: ConceptChange | null = null;
  #seen: number;
  #total: number;
  #deviations: number;
  #rows: Bucket[][];
  #width: number;

  constructor(
    private readonly delta: number,
    state: AdwinState = freshAdwin(),
  ) {
    this.#seen = state.seen;
    this.#total = state.total;
    this.#deviations = state.deviations;
    this.#rows = state.rows.map((row) => row.map((bucket) => ({ ...bucket })));
    this.#width = this.#rows.reduce((sum, row, i) => sum + row.length * 2 ** i, 0);
  }

  get state(): AdwinState {
    return {
      detector: 'adwin',
      seen: this.#seen,
      total: this.#total,
      deviations: this.#deviations,
      rows: this.#rows.map((row) => row.map((bucket) => ({ ...bucket }))),
    };
  }

  update(error: number): DetectorSignal {
    this.change = null;
    this.#insert(finiteError(error));
    this.#seen += 1;
    if (this.#seen % CLOCK !== 0 || this.#width <= GRACE) return 'stable';
    let sharpest: Cut | undefined;
    while (this.#isCut()) {
      sharpest ??= this.#sharpestCut();
      this.#dropOldest();
    }
    if (!sharpest) return 'stable';
    this.change = { before: sharpest.before, after: sharpest.after, since: sharpest.newer };
    this.#begin();
    return 'drift';
  }

  #begin(): void {
    const { seen, total, deviations, rows } = freshAdwin();
    this.#seen = seen;
    this.#total = total;
    this.#deviations = deviations;
    this.#rows = rows;
    this.#width = 0;
  }

  #insert(error: number): void {
    if (this.#width > 0) this.#deviations += between(1, error, this.#width, this.#total / this.#width);
    this.#total += error;
    this.#width += 1;
    this.#row(0).push({ total: error, deviations: 0 });
    this.#compress();
  }

  #row(index: number): Bucket[] {
    const row = this.#rows[index] ?? [];
    this.#rows[index] = row;
    return row;
  }

  /** The two oldest of a size that has too many become one of the next size. */
  #compress(): void {
    for (let index = 0; index < MOST_ROWS - 1; index++) {
      const row = this.#row(index);
      if (row.length <= MOST_BUCKETS) return;
      const [first, second] = row.splice(0, 2);
      if (!first || !second) return;
      const size = 2 ** index;
      this.#row(index + 1).push({
        total: first.total + second.total,
        deviations:
          first.deviations + second.deviations + between(size, first.total / size, size, second.total / size),
      });
    }
  }

  #dropOldest(): void {
    const last = this.#rows.length - 1;
    const bucket = this.#row(last).shift();
    if (!bucket) return;
    const size = 2 ** last;
    this.#width -= size;
    this.#total -= bucket.total;
    const rest = between(size, bucket.total / size, this.#width, this.#total / this.#width);
    this.#deviations -= bucket.deviations + rest;
    if (this.#row(last).length === 0) this.#rows.pop();
  }

  /** The ends of buckets at which both sides are long enough, the oldest first. */
  *#cuts(): Generator<Cut> {
    const confidence = Math.log((2 * Math.log(this.#width)) / this.delta);
    const variance = this.#deviations / this.#width;
    let older = 0;
    let total = 0;
    for (let index = this.#rows.length - 1; index >= 0; index--) {
      for (const bucket of this.#rows[index] ?? []) {
        older += 2 ** index;
        total += bucket.total;
        const newer = this.#width - older;
        if (newer < LEAST_SIDE) return;
        if (older < LEAST_SIDE) continue;
        const inverse = 1 / (older - LEAST_SIDE + 1) + 1 / (newer - LEAST_SIDE + 1);
        const bound = Math.sqrt(2 * inverse * variance * confidence) + (2 / 3) * confidence * inverse;
        yield { before: total / older, after: (this.#total - total) / newer, newer, bound };
      }
    }
  }

  #isCut(): boolean {
    for (const { before, after, bound } of this.#cuts()) if (Math.abs(before - after) > bound) return true;
    return false;
  }

  /** Where the means differ most beyond the bound: most likely the change itself. */
  #sharpestCut(): Cut | undefined {
    const sharpness = ({ before, after, bound }: Cut): number => Math.abs(before - after) / bound;
    let sharpest: Cut | undefined;
    for (const cut of this.#cuts()) if (!sharpest || sharpness(cut) > sharpness(sharpest)) sharpest = cut;
    return sharpest;
  }
}
