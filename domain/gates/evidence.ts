import type {
  FairnessResult,
  Footprint,
  MetricBound,
  MetricIntervals,
  MetricValues,
  RobustnessResult,
  SlicesResult,
} from '../../contracts/evaluation-report.ts';
import type { EvaluateOutput } from '../../contracts/stages.ts';

/** What gates look at. What is left out was not measured: a gate that needs it fails. */
export interface Evidence {
  test: MetricValues;
  train: MetricValues;
  baseline: MetricValues;
  /** The version in production on the same test rows, or `null` where there is none. */
  champion: MetricValues | null;
  /** Why the champion cannot be compared, where it cannot. */
  championNote?: string | undefined;
  /** Of the test metrics, with the confidence of the spec. */
  intervals?: MetricIntervals;
  /** For gates with a confidence of their own. */
  bounds?: readonly MetricBound[];
  slices?: SlicesResult;
  fairness?: readonly FairnessResult[];
  robustness?: readonly RobustnessResult[];
  footprint?: Footprint | null;
}

/** The evidence that an evaluation gives. */
export function evidenceOf(evaluated: Omit<EvaluateOutput, 'report'>): Evidence {
  const { test, train, baseline, champion, intervals, bounds } = evaluated;
  const { slices, fairness, robustness, footprint } = evaluated;
  return {
    test,
    train,
    baseline,
    champion: champion?.test ?? null,
    championNote: champion?.notComparable,
    intervals,
    bounds,
    slices,
    fairness,
    robustness,
    footprint,
  };
}
