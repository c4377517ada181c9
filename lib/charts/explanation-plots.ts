import type { ExplanationReport } from '../../contracts/explanation.ts';
import { dependenceChart } from './dependence-chart.ts';
import {
  attributionChart,
  importanceChart,
  sliceImportanceChart,
  waterfallChart,
} from './explanation-charts.ts';
import { drawn, type NamedChart, type Plot } from './plot.ts';

/** The plots of an explanation, as SVG: `importance`, `attributions`, `dependence-1` and so on. */
export function explanationPlots(report: ExplanationReport): Promise<Plot[]> {
  const { importance, metric, attributions, dependence, slices, outputs } = report;
  const answer = outputs.length > 1 ? 'mean probability' : `mean ${outputs[0] ?? 'answer'}`;
  const charts: NamedChart[] = [
    { name: 'importance', title: 'What the model relies on', chart: importanceChart(importance, metric) },
    {
      name: 'attributions',
      title: 'What moves single predictions',
      chart: attributionChart(attributions.columns, attributions.unit),
    },
    ...dependence.map((curve, index) => ({
      name: `dependence-${index + 1}`,
      title: `Dependence on ${curve.column}`,
      chart: dependenceChart(curve, outputs, answer),
    })),
    ...(slices.length > 1
      ? [
          {
            name: 'slice-importance',
            title: 'Importance by slice',
            chart: sliceImportanceChart(
              slices,
              importance.map(({ column }) => column),
              metric,
            ),
          },
        ]
      : []),
    ...attributions.examples.map(({ why, attribution }, index) => ({
      name: `example-${index + 1}`,
      title: why,
      chart: waterfallChart(attribution, why, attributions.unit),
    })),
  ];
  return drawn(charts);
}
