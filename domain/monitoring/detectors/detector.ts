import type { DetectorState } from '../../../contracts/detectors.ts';

/** What a detector says after an error. `warning`: something begins; ADWIN and Page-Hinkley do not warn. */
export type DetectorSignal = 'stable' | 'warning' | 'drift';

/** A change of the error, as the detector that found it sees it. */
export interface ConceptChange {
  /** Mean error before and after it; `null` where there was none to take it from. */
  before: number | null;
  after: number | null;
  /** The errors, counted back from the latest, that belong to the time after it. */
  since: number;
}

/** Looks for changes of the mean of a stream of errors. */
export interface ConceptDetector {
  /**
   * Takes the next error, in the order of event time. After `drift` the detector begins anew.
   *
   * @param error finite; for `ddm` 0 (right) or 1 (wrong), or a share of wrong answers
   * @throws RangeError where it is not
   */
  update(error: number): DetectorSignal;
  /** What the next window goes on with: plain JSON. */
  readonly state: DetectorState;
  /** The change that the latest update found; `null` where it found none. */
  readonly change: ConceptChange | null;
}

/** @throws RangeError where the error is no number */
export function finiteError(error: number): number {
  if (Number.isFinite(error)) return error;
  throw new RangeError('an error of the model must be a finite number; leave rows without one out');
}
