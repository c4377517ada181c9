import { detectorState } from '../../../contracts/detectors.ts';
import { PerennialError } from '../../../contracts/errors.ts';
import type { ConceptSpec } from '../../../contracts/spec/monitoring.ts';
import { Adwin } from './adwin.ts';
import { Ddm } from './ddm.ts';
import type { ConceptDetector } from './detector.ts';
import { PageHinkley } from './page-hinkley.ts';

/**
 * A detector that goes on where another one stopped.
 *
 * @param state of a detector; it begins anew without one, and where the spec has come to name another detector
 * @throws PerennialError `InputInvalid` where the state is none
 * @example
 * const detector = createDetector({ detector: 'adwin', delta: 0.002 }, saved);
 * for (const error of errors) if (detector.update(error) === 'drift') changes.push(detector.change);
 * save(detector.state);
 */
export function createDetector(spec: ConceptSpec, state?: unknown): ConceptDetector {
  const known = state === undefined || state === null ? undefined : detectorState.safeParse(state);
  if (known && !known.success)
    throw new PerennialError(
      'InputInvalid',
      'the state of the concept drift detector is none that this version wrote; take it away, and the detector begins anew',
    );
  const saved = known?.data;
  switch (spec.detector) {
    case 'adwin':
      return new Adwin(spec.delta, saved?.detector === 'adwin' ? saved : undefined);
    case 'ddm':
      return new Ddm(spec, saved?.detector === 'ddm' ? saved : undefined);
    case 'page-hinkley':
      return new PageHinkley(spec, saved?.detector === 'page-hinkley' ? saved : undefined);
  }
}
