import type { RankingCurve } from '../statistics/binary-scores.ts';
import type { CalibrationBin } from '../statistics/calibration.ts';
import { BLUE, type Chart, COLORS, INK, ORANGE, thin } from './render.ts';

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
        {
          data: { values },
          mark: { type: 'area', color: BLUE, opacity: 0.08 },
          // Points of one false positive rate would be piled up.
          encoding: { y: { ...share('y', 'true positive rate'), stack: null } },
        },
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
