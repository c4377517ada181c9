/** Indices of scores from high to low, and a reader of score ties. Typed arrays keep a million rows cheap. */
function descending(scores: Float64Array): Uint32Array {
  const order = new Uint32Array(scores.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  return order.sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
}

/** One point of a ranking curve: counts of positives and negatives with a score of at least `threshold`. */
export interface RankingPoint {
  threshold: number;
  truePositives: number;
  falsePositives: number;
}

/**
 * The counts at every distinct score, from the highest on; equal scores are one point.
 *
 * @param positives 1 where the row is of the positive class, else 0; `[n]`
 * @param scores `[n]`, higher means more likely positive
 */
export function rankingCurve(positives: Uint8Array, scores: Float64Array): RankingPoint[] {
  const points: RankingPoint[] = [];
  let truePositives = 0;
  let falsePositives = 0;
  const order = descending(scores);
  for (let i = 0; i < order.length; i++) {
    const row = order[i] ?? 0;
    if (positives[row]) truePositives++;
    else falsePositives++;
    const score = scores[row] ?? 0;
    if (i === order.length - 1 || scores[order[i + 1] ?? 0] !== score)
      points.push({ threshold: score, truePositives, falsePositives });
  }
  return points;
}

/**
 * Area under the ROC curve, ties counted half (Hanley and McNeil 1982); equals scikit-learn's `roc_auc_score`.
 *
 * @returns `undefined` where one of the classes has no row
 * @example rocAuc(curve)
 */
export function rocAuc(curve: readonly RankingPoint[]): number | undefined {
  const last = curve.at(-1);
  if (!last || last.truePositives === 0 || last.falsePositives === 0) return undefined;
  let area = 0;
  let previous: RankingPoint = { threshold: Number.POSITIVE_INFINITY, truePositives: 0, falsePositives: 0 };
  for (const point of curve) {
    area +=
      ((point.falsePositives - previous.falsePositives) * (point.truePositives + previous.truePositives)) / 2;
    previous = point;
  }
  return area / (last.truePositives * last.falsePositives);
}

/**
 * Average precision, the step-wise area under the precision-recall curve; equals scikit-learn's
 * `average_precision_score`.
 *
 * @returns `undefined` where there is no positive row
 */
export function averagePrecision(curve: readonly RankingPoint[]): number | undefined {
  const total = curve.at(-1)?.truePositives ?? 0;
  if (total === 0) return undefined;
  let sum = 0;
  let before = 0;
  for (const { truePositives, falsePositives } of curve) {
    sum += ((truePositives - before) / total) * (truePositives / (truePositives + falsePositives));
    before = truePositives;
  }
  return sum;
}
