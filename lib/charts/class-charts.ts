import { BLUE, BLUES, type Chart, ORANGE, shortName } from './render.ts';

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
  const labels = (field: string, title: string | null) => ({
    field,
    type: 'ordinal' as const,
    title,
    axis: { ticks: false, domain: false, labels: false, titlePadding: 40 },
  });
  const names = classNames.map((name, place) => ({ name: shortName(name), place }));
  return {
    description: `Confusion matrix of ${size} classes: ${right} of ${rows} rows are classified rightly.`,
    spec: {
      title: {
        text: 'Confusion matrix',
        subtitle: 'downwards: actual, across: predicted; shaded by share of the actual class',
      },
      width: pixels,
      height: Math.max(180, Math.min(520, size * 40)),
      layer: [
        {
          data: { values },
          mark: { type: 'rect' },
          encoding: {
            x: labels('predicted', 'predicted'),
            y: labels('actual', null),
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
                  y: labels('actual', null),
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
          encoding: { y: labels('place', null), x: { value: 0 }, text: { field: 'name' } },
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
            x: {
              field: 'y',
              type: 'quantitative',
              title: 'on the test split',
              scale: { domain: [0, 1] },
              axis: { tickCount: 5 },
            },
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
