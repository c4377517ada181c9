import { expect, it } from 'vitest';
import { rocChart } from '../../lib/charts/evaluation-charts.ts';
import { renderChart } from '../../lib/charts/render.ts';
import { BinaryScores } from '../../lib/statistics/binary-scores.ts';

const heightOf = (svg: string): number => Number(/ height="(\d+)"/.exec(svg)?.[1]);

it('the ROC curve of many rows with one false positive rate stays in its frame', async () => {
  const chart = (probabilities: number[]) => {
    const positives = Uint8Array.from(probabilities, (_, i) => (i % 2 === 0 ? 1 : 0));
    return renderChart(rocChart(new BinaryScores(positives, Float64Array.from(probabilities)).curve(), 1));
  };
  // All positives come first: twenty points with a false positive rate of 0.
  const steep = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 0.5 + i / 100 : i / 100));
  expect(heightOf(await chart(steep))).toBe(heightOf(await chart([0.9, 0.1])));
});
