import type { PageHinkleyState } from '../../../contracts/detectors.ts';
import { type ConceptChange, type ConceptDetector, type DetectorSignal, finiteError } from './detector.ts';

/** Errors before anything is said. */
const WARM_START = 30;
/** How much of the cumulated deviations is kept with each error: what is long ago counts less. */
const KEPT = 1 - 0.0001;

export const freshPageHinkley = (): PageHinkleyState => ({
  detector: 'page-hinkley',
  seen: 0,
  mean: 0,
  sum: 0,
  least: 0,
  since: { seen: 0, total: 0 },
});

/**
 * The test of Page (1954) and Hinkley for a greater mean, with the forgetting of Gama et al. (2014): the deviations of
 * the errors from their mean so far, less a tolerated `delta`, are added up; a change is found where the sum lies more
 * than `threshold` above the least that it was. It finds more errors, not fewer. The threshold is in units of the error.
 */
export class PageHinkley implements ConceptDetector {
  change: ConceptChange | null = null;
  #state: PageHinkleyState;

  constructor(
    private readonly limits: { delta: number; threshold: number },
    state: PageHinkleyState = freshPageHinkley(),
  ) {
    this.#state = { ...state };
  }

  get state(): PageHinkleyState {
    return { ...this.#state };
  }

  update(error: number): DetectorSignal {
    this.change = null;
    const state = this.#state;
    const value = finiteError(error);
    state.seen += 1;
    state.mean += (value - state.mean) / state.seen;
    state.sum = KEPT * state.sum + (value - state.mean) - this.limits.delta;
    state.since = { seen: state.since.seen + 1, total: state.since.total + value };
    if (state.seen === 1 || state.sum < state.least) {
      state.least = state.sum;
      state.since = { seen: 0, total: 0 };
    }
    if (state.seen < WARM_START || state.sum - state.least <= this.limits.threshold) return 'stable';
    const { seen, mean, since } = state;
    this.change = {
      before: since.seen < seen ? (mean * seen - since.total) / (seen - since.seen) : null,
      after: since.seen > 0 ? since.total / since.seen : null,
      since: since.seen,
    };
    this.#state = freshPageHinkley();
    return 'drift';
  }
}
