import type { RankingCurve } from '../statistics/binary-scores.ts';
import type { CalibrationBin } from '../statistics/calibration.ts';
import { renderChart, thin } from './render.ts';

const axis = (name: string) => ({ type: 'value', name, nameLocation: 'middle', nameGap: 32, min: 0, max: 1 });
const DIAGONAL = {
  type: 'line',
  data: [
    [0, 0],
    [1, 1],
  ],
  symbol: 'none',
  lineStyle: { type: 'dashed', color: '#999999', width: 1 },
  silent: true,
};

/** Receiver operating characteristic. */
export function rocChart(curve: RankingCurve, area: number | undefined): string {
  const { length, truePositives, falsePositives } = curve;
  const positives = truePositives[length - 1] || 1;
  const negatives = falsePositives[length - 1] || 1;
  // The first point is [0, 0].
  const points = thin(length + 1, (i) => [
    (falsePositives[i - 1] ?? 0) / negatives,
    (truePositives[i - 1] ?? 0) / positives,
  ]);
  return renderChart({
    title: { text: `ROC curve${area === undefined ? '' : `, area ${area.toFixed(4)}`}`, left: 'center' },
    xAxis: axis('false positive rate'),
    yAxis: axis('true positive rate'),
    series: [{ type: 'line', data: points, symbol: 'none' }, DIAGONAL],
  });
}

/** Precision against recall. */
export function precisionRecallChart({ length, truePositives, falsePositives }: RankingCurve): string {
  const positives = truePositives[length - 1] || 1;
  const points = thin(length, (i) => {
    const above = truePositives[i] ?? 0;
    return [above / positives, above / (above + (falsePositives[i] ?? 0))];
  });
  return renderChart({
    title: { text: 'Precision and recall', left: 'center' },
    xAxis: axis('recall'),
    yAxis: axis('precision'),
    series: [{ type: 'line', data: points, symbol: 'none' }],
  });
}

/** Reliability diagram: observed share against predicted probability. */
export function calibrationChart(bins: readonly CalibrationBin[]): string {
  return renderChart({
    title: { text: 'Calibration', left: 'center' },
    xAxis: axis('predicted probability'),
    yAxis: axis('observed share'),
    series: [
      { type: 'line', data: bins.map((bin) => [bin.predicted, bin.observed]), symbolSize: 8 },
      DIAGONAL,
    ],
  });
}

/** Rows by actual and predicted class. @param counts row-major `[classes, classes]`, rows are the actual classes */
export function confusionChart(classNames: readonly string[], counts: readonly number[]): string {
  const size = classNames.length;
  const data = counts.map((count, index) => [index % size, Math.floor(index / size), count]);
  return renderChart({
    title: { text: 'Confusion matrix', left: 'center' },
    grid: { left: 110, right: 24, top: 56, bottom: 80 },
    xAxis: {
      type: 'category',
      data: [...classNames],
      name: 'predicted',
      nameLocation: 'middle',
      nameGap: 32,
    },
    yAxis: { type: 'category', data: [...classNames], name: 'actual', inverse: true },
    visualMap: {
      min: 0,
      max: Math.max(1, ...counts),
      calculable: false,
      show: false,
      inRange: { color: ['#f2f6fa', '#0072B2'] },
    },
    series: [{ type: 'heatmap', data, label: { show: size <= 12 } }],
  });
}

/** Distribution of the errors of a regression. */
export function residualChart(truth: Float64Array, predictions: Float64Array, bins = 40): string {
  const residuals = Float64Array.from(truth, (value, i) => value - (predictions[i] ?? 0)).sort();
  const low = residuals[Math.floor(residuals.length * 0.005)] ?? 0;
  const high = residuals[Math.ceil(residuals.length * 0.995) - 1] ?? 1;
  const width = (high - low || 1) / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const residual of residuals) {
    const bin = Math.floor((residual - low) / width);
    if (bin >= 0 && bin < bins) counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return renderChart({
    title: { text: 'Residuals (0.5 to 99.5 %)', left: 'center' },
    xAxis: {
      type: 'category',
      data: counts.map((_, i) => (low + (i + 0.5) * width).toPrecision(3)),
      name: 'truth − prediction',
      nameLocation: 'middle',
      nameGap: 32,
    },
    yAxis: { type: 'value', name: 'rows' },
    series: [{ type: 'bar', data: counts, barCategoryGap: '5%' }],
  });
}
