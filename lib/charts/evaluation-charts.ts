import type { RankingCurve } from '../statistics/binary-scores.ts';
import type { CalibrationBin } from '../statistics/calibration.ts';
import { BLUE, BLUES, type Chart, COLORS, INK, ORANGE, shortName, thin } from './render.ts';

const share = (field: string, title: string) => ({
  field,
  type: 'quantitative' as const,
  title,
  scale: { domain: [0, 1] },
  axis: { tickCount: 5 },
});

const DIAGONAL = {
  data: {
    values: [
      { x: 0, y: 0 },
      { x: 1, y: 1 },
    ],
  },
  mark: { type: 'line' as const, strokeDash: [4, 4], strokeWidth: 1, color: INK, opacity: 0.5 },
};

/** Receiver operating characteristic. */
export function rocChart(curve: RankingCurve, area: number | undefined): Chart {
  const { length, truePositives, falsePositives } = curve;
  const positives = truePositives[length - 1] || 1;
  const negatives = falsePositives[length - 1] || 1;
  // The first point is [0, 0].
  const values = thin(length + 1, (i) => ({
    x: (falsePositives[i - 1] ?? 0) / negatives,
    y: (truePositives[i - 1] ?? 0) / positives,
  }));
  const words = area === undefined ? '' : `, area ${area.toFixed(4)}`;
  return {
    description: `ROC curve${words}: true positive rate against false positive rate.`,
    spec: {
      title: `ROC curve${words}`,
      encoding: { x: share('x', 'false positive rate'), y: share('y', 'true positive rate') },
      layer: [
        { data: { values }, mark: { type: 'area', color: BLUE, opacity: 0.08 } },
        DIAGONAL,
        { data: { values }, mark: { type: 'line', color: BLUE } },
      ],
    },
  };
}

/** Precision against recall; the dashed line is what guessing gives. */
export function precisionRecallChart({ length, truePositives, falsePositives }: RankingCurve): Chart {
  const positives = truePositives[length - 1] || 1;
  const negatives = falsePositives[length - 1] || 0;
  const values = thin(length, (i) => {
    const above = truePositives[i] ?? 0;
    return { x: above / positives, y: above / (above + (falsePositives[i] ?? 0)) };
  });
  const guessing = positives / (positives + negatives);
  return {
    description: `Precision against recall; guessing has a precision of ${guessing.toFixed(3)}.`,
    spec: {
      title: 'Precision and recall',
      encoding: { x: share('x', 'recall'), y: share('y', 'precision') },
      layer: [
        {
          data: { values: [{ y: guessing }] },
          mark: { type: 'rule', strokeDash: [4, 4], opacity: 0.5 },
          encoding: { x: { value: 0 }, x2: { value: 'width' } },
        },
        { data: { values }, mark: { type: 'line', color: BLUE } },
      ],
    },
  };
}

/** Reliability diagram: observed share against predicted probability; larger points stand for more rows. */
export function calibrationChart(bins: readonly CalibrationBin[]): Chart {
  const values = bins.map((bin) => ({ x: bin.predicted, y: bin.observed, rows: bin.rows }));
  return {
    description: `Reliability diagram of ${bins.length} bins: the share that came true against the predicted probability.`,
    spec: {
      title: 'Calibration',
      encoding: { x: share('x', 'predicted probability'), y: share('y', 'share that came true') },
      layer: [
        DIAGONAL,
        { data: { values }, mark: { type: 'line', color: BLUE } },
        {
          data: { values },
          mark: { type: 'point', opacity: 1 },
          encoding: {
            size: { field: 'rows', type: 'quantitative', scale: { range: [20, 200] }, legend: null },
          },
        },
      ],
    },
  };
}

/** How often each probability was given to rows of either class, in shares of the class. */
export function scoreChart(
  probabilities: Float64Array,
  positives: Uint8Array,
  names: { positive: string; negative: string },
  bins = 40,
): Chart {
  const counts = [new Float64Array(bins), new Float64Array(bins)];
  const totals = [0, 0];
  probabilities.forEach((probability, row) => {
    const member = positives[row] ?? 0;
    const bin = Math.min(bins - 1, Math.floor(probability * bins));
    const ofClass = counts[member];
    if (ofClass) ofClass[bin] = (ofClass[bin] ?? 0) + 1;
    totals[member] = (totals[member] ?? 0) + 1;
  });
  const values = counts.flatMap((ofClass, member) =>
    Array.from(ofClass, (count, bin) => ({
      from: bin / bins,
      to: (bin + 1) / bins,
      share: count / (totals[member] || 1),
      class: member === 1 ? names.positive : names.negative,
    })),
  );
  return {
    description: `Distribution of the predicted probability among rows of ${names.positive} and of ${names.negative}.`,
    spec: {
      title: 'Predicted probabilities by actual class',
      data: { values },
      mark: { type: 'bar', opacity: 0.55, binSpacing: 0 },
      encoding: {
        x: {
          field: 'from',
          bin: { binned: true, step: 1 / bins },
          type: 'quantitative',
          title: 'predicted probability',
          axis: { tickCount: 5, format: '.1f' },
        },
        x2: { field: 'to' },
        y: {
          field: 'share',
          type: 'quantitative',
          stack: null,
          title: 'share of the class',
          axis: { format: '%' },
        },
        color: {
          field: 'class',
          type: 'nominal',
          title: 'actual class',
          scale: { domain: [names.negative, names.positive], range: [BLUE, ORANGE] },
        },
      },
    },
  };
}

/** What each decision threshold would give. @param threshold in force, where it is known */
export function thresholdChart(curve: RankingCurve, scores: Float64Array, threshold?: number): Chart {
  const { length, truePositives, falsePositives } = curve;
  const positives = truePositives[length - 1] || 1;
  const values = thin(length, (i) => i, 200).flatMap((i) => {
    const found = truePositives[i] ?? 0;
    const precision = found / (found + (falsePositives[i] ?? 0) || 1);
    const recall = found / positives;
    const f1 = precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
    return Object.entries({ precision, recall, F1: f1 }).map(([name, y]) => ({ x: scores[i] ?? 0, y, name }));
  });
  return {
    description: 'Precision, recall and F1 at each decision threshold.',
    spec: {
      title: 'What each threshold gives',
      encoding: { x: share('x', 'threshold on the probability'), y: share('y', 'on the test split') },
      layer: [
        {
          data: { values },
          mark: { type: 'line' },
          encoding: {
            color: {
              field: 'name',
              type: 'nominal',
              title: null,
              scale: { domain: ['precision', 'recall', 'F1'], range: COLORS.slice(0, 3) },
            },
          },
        },
        ...(threshold === undefined
          ? []
          : [
              {
                data: { values: [{ x: threshold }] },
                mark: { type: 'rule' as const, strokeDash: [2, 3], opacity: 0.7 },
                encoding: { y: { value: 0 }, y2: { value: 'height' as const } },
              },
            ]),
      ],
    },
  };
}

/** Rows by actual and predicted class, shaded by the share of the actual class. @param counts row-major `[classes, classes]`, rows are the actual classes */
export function confusionChart(classNames: readonly string[], counts: readonly number[]): Chart {
  const size = classNames.length;
  const totals = classNames.map((_, actual) =>
    counts.slice(actual * size, (actual + 1) * size).reduce((sum, count) => sum + count, 0),
  );
  const values = counts.map((count, index) => {
    const actual = Math.floor(index / size);
    const part = count / (totals[actual] || 1);
    return { actual, predicted: index % size, count, part, light: part > 0.5 ? 1 : 0 };
  });
  const right = classNames.reduce((sum, _, k) => sum + (counts[k * size + k] ?? 0), 0);
  const rows = totals.reduce((sum, total) => sum + total, 0);
  const pixels = Math.max(240, Math.min(520, size * 46));
  // Places in the list as values: two classes may have names that look the same. Names stand at the ticks.
  const labels = (field: string, title: string) => ({
    field,
    type: 'ordinal' as const,
    title,
    axis: { ticks: false, domain: false, labels: false, titlePadding: 40 },
  });
  const names = classNames.map((name, place) => ({ name: shortName(name), place }));
  return {
    description: `Confusion matrix of ${size} classes: ${right} of ${rows} rows are classified rightly.`,
    spec: {
      title: { text: 'Confusion matrix', subtitle: 'rows; shaded by the share of the actual class' },
      width: pixels,
      height: Math.max(180, Math.min(520, size * 40)),
      layer: [
        {
          data: { values },
          mark: { type: 'rect' },
          encoding: {
            x: labels('predicted', 'predicted'),
            y: labels('actual', 'actual'),
            color: {
              field: 'part',
              type: 'quantitative',
              scale: { domain: [0, 1], range: [...BLUES] },
              legend: null,
            },
          },
        },
        ...(size <= 12
          ? [
              {
                data: { values },
                mark: { type: 'text' as const, fontSize: 12 },
                encoding: {
                  x: labels('predicted', 'predicted'),
                  y: labels('actual', 'actual'),
                  text: { field: 'count', type: 'quantitative' as const, format: ',' },
                  color: {
                    condition: { test: 'datum.light === 1', value: '#ffffff' },
                    value: '#12202e',
                  },
                },
              },
            ]
          : []),
        {
          data: { values: names },
          mark: { type: 'text', align: 'right', dx: -8, limit: 110 },
          encoding: { y: labels('place', 'actual'), x: { value: 0 }, text: { field: 'name' } },
        },
        {
          data: { values: names },
          mark: {
            type: 'text',
            baseline: 'top',
            dy: 8,
            limit: size <= 8 ? pixels / size - 4 : 60,
            ...(size <= 8 ? {} : { angle: 320, align: 'right' as const }),
          },
          encoding: { x: labels('place', 'predicted'), y: { value: 'height' }, text: { field: 'name' } },
        },
      ],
    },
  };
}

/** Distribution of the errors of a regression. */
export function residualChart(truth: Float64Array, predictions: Float64Array, bins = 40): Chart {
  const residuals = Float64Array.from(truth, (value, i) => value - (predictions[i] ?? 0)).sort();
  const low = residuals[Math.floor(residuals.length * 0.005)] ?? 0;
  const high = residuals[Math.ceil(residuals.length * 0.995) - 1] ?? 1;
  const width = (high - low || 1) / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const residual of residuals) {
    const bin = Math.min(bins - 1, Math.floor((residual - low) / width));
    if (bin >= 0 && residual <= high) counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return {
    description: `Distribution of truth minus prediction, from ${low.toPrecision(3)} to ${high.toPrecision(3)} (99 % of the rows).`,
    spec: {
      title: { text: 'Residuals', subtitle: '99 % of the rows; right of zero the prediction is too low' },
      layer: [
        {
          data: {
            values: counts.map((count, i) => ({ from: low + i * width, to: low + (i + 1) * width, count })),
          },
          mark: { type: 'bar', binSpacing: 0.5, color: BLUE },
          encoding: {
            x: {
              field: 'from',
              bin: { binned: true, step: width },
              type: 'quantitative',
              title: 'truth − prediction',
              axis: { format: '.3~s', tickCount: 6 },
            },
            x2: { field: 'to' },
            y: { field: 'count', type: 'quantitative', title: 'rows' },
          },
        },
        {
          data: { values: [{ x: 0 }] },
          mark: { type: 'rule', strokeDash: [4, 4], opacity: 0.6 },
          encoding: { x: { field: 'x', type: 'quantitative' } },
        },
      ],
    },
  };
}

/** Predictions against the truth as a map of rows: no point is one row. */
export function predictedActualChart(truth: Float64Array, predictions: Float64Array, bins = 36): Chart {
  const sorted = Float64Array.from([...truth, ...predictions]).sort();
  const low = sorted[Math.floor(sorted.length * 0.005)] ?? 0;
  const high = sorted[Math.ceil(sorted.length * 0.995) - 1] ?? 1;
  const width = (high - low || 1) / bins;
  const counts = new Map<number, number>();
  truth.forEach((value, row) => {
    const x = Math.floor(((predictions[row] ?? 0) - low) / width);
    const y = Math.floor((value - low) / width);
    if (x < 0 || y < 0 || x >= bins || y >= bins) return;
    counts.set(y * bins + x, (counts.get(y * bins + x) ?? 0) + 1);
  });
  const values = [...counts].map(([place, count]) => {
    const [x, y] = [place % bins, Math.floor(place / bins)];
    return {
      x: low + x * width,
      x2: low + (x + 1) * width,
      y: low + y * width,
      y2: low + (y + 1) * width,
      count,
    };
  });
  const axis = (field: string, title: string) => ({
    field,
    type: 'quantitative' as const,
    title,
    scale: { domain: [low, high], zero: false },
    axis: { format: '.3~s', tickCount: 6 },
  });
  return {
    description: `Truth against prediction between ${low.toPrecision(3)} and ${high.toPrecision(3)}; on the diagonal both are the same.`,
    spec: {
      title: 'Predicted and actual',
      layer: [
        {
          data: { values },
          mark: { type: 'rect' },
          encoding: {
            x: axis('x', 'predicted'),
            x2: { field: 'x2' },
            y: axis('y', 'actual'),
            y2: { field: 'y2' },
            color: {
              field: 'count',
              type: 'quantitative',
              scale: { type: 'sqrt', domainMin: 0, range: ['#cfe2f2', '#00456f'] },
              title: 'rows',
              legend: { gradientLength: 120, tickCount: 3 },
            },
          },
        },
        {
          data: { values: [{ a: low, b: high }] },
          mark: { type: 'rule', strokeDash: [4, 4], opacity: 0.6 },
          encoding: {
            x: { field: 'a', type: 'quantitative' },
            y: { field: 'a', type: 'quantitative' },
            x2: { field: 'b' },
            y2: { field: 'b' },
          },
        },
      ],
    },
  };
}

/** Precision and recall of each class. @param counts as in {@link confusionChart} */
export function classChart(classNames: readonly string[], counts: readonly number[]): Chart {
  const size = classNames.length;
  const sum = (places: number[]): number => places.reduce((total, at) => total + (counts[at] ?? 0), 0);
  const each = classNames.map((_, k) => k);
  const values = each.flatMap((k) => {
    const right = counts[k * size + k] ?? 0;
    const recall = right / (sum(each.map((other) => k * size + other)) || 1);
    const precision = right / (sum(each.map((other) => other * size + k)) || 1);
    return [
      { place: k, measure: 'precision', y: precision },
      { place: k, measure: 'recall', y: recall },
    ];
  });
  const y = {
    field: 'place',
    type: 'ordinal' as const,
    title: null,
    axis: { labels: false, ticks: false, domain: false },
  };
  return {
    description: `Precision and recall of ${size} classes.`,
    spec: {
      title: 'Each class',
      height: Math.max(120, size * 26),
      width: 320,
      layer: [
        {
          data: { values },
          mark: { type: 'point', size: 70 },
          encoding: {
            y,
            x: share('y', 'on the test split'),
            color: { field: 'measure', type: 'nominal', title: null, scale: { range: [BLUE, ORANGE] } },
            shape: { field: 'measure', type: 'nominal', title: null },
          },
        },
        {
          data: { values: classNames.map((name, place) => ({ name: shortName(name), place })) },
          mark: { type: 'text', align: 'right', dx: -8, limit: 120 },
          encoding: { y, x: { value: 0 }, text: { field: 'name' } },
        },
      ],
    },
  };
}
