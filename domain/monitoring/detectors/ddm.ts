import type { DdmState } from '../../../contracts/detectors.ts';
import { type ConceptChange, type ConceptDetector, type DetectorSignal, finiteError } from './detector.ts';

/** Answers before anything is said. */
const WARM_START = 30;

export const freshDdm = (): DdmState => ({
  detector: 'ddm',
  seen: 0,
  mean: 0,
  least: null,
  warning: null,
});

/**
 * The drift detection method (Gama, Medas, Castillo and Rodrigues 2004): while nothing changes the share of wrong answers
 * falls or stays; a share that lies `warning` (or `drift`) deviations above the least one that was seen warns (or is a
 * change). It finds more errors, not fewer, and grows slow with the length of the time before the change.
 */
export class Ddm implements ConceptDetector {
  change: ConceptChange | null = null;
  #state: DdmState;

  constructor(
    private readonly limits: { warning: number; drift: number },
    state: DdmState = freshDdm(),
  ) {
    this.#state = { ...state };
  }

  get state(): DdmState {
    return { ...this.#state };
  }

  update(error: number): DetectorSignal {
    this.change = null;
    const wrong = finiteError(error);
    if (wrong < 0 || wrong > 1)
      throw new RangeError('ddm watches a share of wrong answers, from 0 to 1; take adwin or page-hinkley');
    const state = this.#state;
    state.seen += 1;
    state.mean += (wrong - state.mean) / state.seen;
    if (state.seen <= WARM_START) return 'stable';
    // Rounding may carry the mean of ones above one.
    const deviation = Math.sqrt(Math.max(0, state.mean * (1 - state.mean)) / state.seen);
    const level = state.mean + deviation;
    if (!state.least || level <= state.least.mean + state.least.deviation)
      state.least = { mean: state.mean, deviation };
    const { least } = state;
    const beyond = (times: number): boolean => level > least.mean + times * least.deviation;
    const warns = beyond(this.limits.warning);
    state.warning = warns
      ? { seen: (state.warning?.seen ?? 0) + 1, wrong: (state.warning?.wrong ?? 0) + wrong }
      : null;
    if (!beyond(this.limits.drift)) return warns ? 'warning' : 'stable';
    const since = state.warning ?? { seen: 1, wrong };
    this.change = { before: least.mean, after: since.wrong / since.seen, since: since.seen };
    this.#state = freshDdm();
    return 'drift';
  }
}
