import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../domain/random.ts';
import { predictedActualChart, residualChart } from '../../lib/charts/regression-charts.ts';

const random = seededRandom(11);
const truth = Float64Array.from({ length: 900 }, () => 1000 + 4000 * random());
const predictions = truth.map((value) => value + 30 * (random() - 0.5));

describe('the ends of the charts of a regression', () => {
  it('are round numbers beyond the rows, which are nobody’s own', () => {
    expect(predictedActualChart(truth, predictions).description).toContain('between 1000 and 5000;');
    expect(residualChart(truth, predictions).description).toContain('from -15 to 15 (');
    const small = residualChart(
      truth.map((value) => value / 1e6),
      predictions.map((value) => value / 1e6),
    );
    expect(small.description).toContain('from -0.000015 to 0.000015 (');
  });

  it('of one value are around it', () => {
    const same = Float64Array.of(7, 7, 7);
    expect(predictedActualChart(same, same).description).toContain('between 7 and 7;');
  });
});
