import type { Attribution, ExplainedRow, ExplanationReport } from '../../contracts/explanation.ts';
import type { ColumnBatch } from '../onnx/tabular-session.ts';
import type { Explainer } from './explainer.ts';

/**
 * Attributions of several rows, added up: how much each column moves answers. They hold where those of each row make what
 * the model answers.
 */
export async function attributed(
  explainer: Explainer,
  batch: ColumnBatch,
  rows: Uint32Array,
  { mayShowRows }: { mayShowRows: boolean },
): Promise<{ attributions: ExplanationReport['attributions']; hold: boolean }> {
  const sums = new Map<string, number>();
  const first: Attribution[] = [];
  let [largestGap, outputs, hold] = [0, 1, true];
  for (const row of rows) {
    const { attributions, gap, holds } = await explainer.explainRow(batch, row);
    outputs = attributions.length;
    largestGap = Math.max(largestGap, gap);
    hold &&= holds;
    for (const { contributions } of attributions)
      for (const { column, value } of contributions)
        sums.set(column, (sums.get(column) ?? 0) + Math.abs(value));
    if (attributions[0]) first.push(attributions[0]);
  }
  const attributions = {
    method: explainer.method,
    unit: explainer.unit,
    confidence: explainer.confidence,
    rows: rows.length,
    columns: [...sums]
      .map(([column, sum]) => ({ column, mean: sum / Math.max(1, rows.length * outputs) }))
      .sort((a, b) => b.mean - a.mean || (a.column < b.column ? -1 : 1)),
    largestGap,
    examples: mayShowRows ? examples(first) : [],
  };
  return { attributions, hold };
}

/** The rows with the highest, the middle and the lowest answer of the first output. */
function examples(rows: readonly Attribution[]): ExplainedRow[] {
  const sorted = [...rows].sort((a, b) => b.answer - a.answer);
  const at = (share: number, why: string): ExplainedRow[] => {
    const attribution = sorted[Math.round(share * (sorted.length - 1))];
    return attribution ? [{ why, attribution }] : [];
  };
  if (sorted.length < 3) return [];
  return [
    ...at(0, 'the highest answer'),
    ...at(0.5, 'an answer in the middle'),
    ...at(1, 'the lowest answer'),
  ];
}
