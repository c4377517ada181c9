import { BLUE, type Chart } from './render.ts';

/** The middle 99 % of sorted numbers, rounded outwards to one or two digits of the range: ends that are no row's own. */
function ends(sorted: Float64Array): { low: number; high: number } {
  const low = sorted[Math.floor(sorted.length * 0.005)] ?? 0;
  const high = sorted[Math.ceil(sorted.length * 0.995) - 1] ?? 1;
  const power = Math.floor(Math.log10(high - low || Math.abs(low) || 1)) - 1;
  // A power below one is divided by its inverse, which is whole: 3 / 10 has no noise, 3 * 0.1 has.
  const [up, down] = power < 0 ? [10 ** -power, 1] : [1, 10 ** power];
  return {
    low: (Math.floor((low * up) / down) * down) / up,
    high: (Math.ceil((high * up) / down) * down) / up,
  };
}

/** Distribution of the errors of a regression. */
export function residualChart(truth: Float64Array, predictions: Float64Array, bins = 40): Chart {
  const residuals = Float64Array.from(truth, (value, i) => value - (predictions[i] ?? 0)).sort();
  const { low, high } = ends(residuals);
  const width = (high - low || 1) / bins;
  const counts = new Array<number>(bins).fill(0);
  for (const residual of residuals) {
    const bin = Math.min(bins - 1, Math.floor((residual - low) / width));
    if (bin >= 0 && residual <= high) counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return {
    description: `Distribution of truth minus prediction, from ${low} to ${high} (99 % of the rows or more).`,
    spec: {
      title: {
        text: 'Residuals',
        subtitle: '99 % of the rows or more; right of zero the prediction is too low',
      },
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
  const { low, high } = ends(sorted);
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
    description: `Truth against prediction between ${low} and ${high}; on the diagonal both are the same.`,
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
