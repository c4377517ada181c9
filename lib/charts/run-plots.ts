import type { MetricName } from '../../contracts/spec/evaluation.ts';
import type { EvaluateOutput, TrainOutput } from '../../contracts/stages.ts';
import { drawn, type NamedChart, type Plot } from './plot.ts';
import type { Chart } from './render.ts';
import {
  comparedChart,
  effortChart,
  fairnessChart,
  robustnessChart,
  searchChart,
  sliceChart,
} from './run-charts.ts';

/** The plots of a run beside those of the evaluation and the explanation: what has nothing to show is left out. */
export function runPlots(
  evaluate: EvaluateOutput,
  { search }: Pick<TrainOutput, 'search'>,
  metric: MetricName,
): Promise<Plot[]> {
  const { slices, fairness, robustness, test } = evaluate;
  const named = (name: string, title: string, chart: Chart | undefined): NamedChart[] =>
    chart ? [{ name, title, chart }] : [];
  return drawn([
    ...named('compared', `${metric} on the test split`, comparedChart(evaluate, metric)),
    ...named('search', 'The search', searchChart(search)),
    ...named('effort', 'What trials took and gave', effortChart(search)),
    ...named(
      'slices',
      `${metric} by slice`,
      sliceChart([...slices.declared, ...slices.worst], metric, test[metric]),
    ),
    ...fairness.flatMap((result, index) =>
      named(`fairness-${index + 1}`, `Groups of ${result.column}`, fairnessChart(result)),
    ),
    ...robustness.flatMap((result, index) =>
      named(`robustness-${index + 1}`, `Robustness: ${result.robustness}`, robustnessChart(result)),
    ),
  ]);
}
