import type { PolicyOutcome } from '../../contracts/backtest.ts';
import type { MetricName } from '../../contracts/spec/metrics.ts';
import { directionOf, LEFT, policyColors, policyDashes, TIME_WIDTH, timeAxis } from './backtest-axes.ts';
import type { Chart } from './render.ts';

const HEIGHT = 320;
/** Pixels between lines that would cover each other. */
const APART = 3;

interface Point {
  policy: string;
  at: string;
  value: number;
  renewed: boolean;
}

/** The quality of each policy over time; a point where a new model serves. */
export function policyQualityChart(
  policies: readonly PolicyOutcome[],
  metric: MetricName,
): Chart | undefined {
  const points = policies.flatMap(({ policy, steps }) =>
    steps.flatMap(({ window, quality, model }, i): Point[] => {
      const value = quality[metric];
      if (value === undefined) return [];
      const middle = (Date.parse(window.from) + Date.parse(window.before)) / 2;
      const renewed = i > 0 && steps[i - 1]?.model !== model;
      return [{ policy, at: new Date(middle).toISOString(), value, renewed }];
    }),
  );
  if (points.length === 0) return undefined;
  const domain = domainOf(points);
  const x = { ...timeAxis(policies), field: 'at' };
  const y = {
    field: 'value',
    type: 'quantitative' as const,
    // The title of the chart says it; another one would move the axis away from that of the chart below.
    title: null,
    axis: LEFT,
    scale: { zero: false, nice: false, domain: [...domain] },
  };
  const color = { field: 'policy', type: 'nominal' as const, title: null, scale: policyColors(policies) };
  const dashes = policyDashes(policies);
  const strokeDash = { field: 'policy', type: 'nominal' as const, title: null, scale: dashes };
  return {
    description: policies
      .map(
        ({ policy, quality }) => `${policy}: mean ${metric} ${quality[metric]?.toPrecision(4) ?? 'unknown'}`,
      )
      .join('; '),
    spec: {
      title: {
        text: `${metric} of each window`,
        subtitle: `by all the truth; ${directionOf(metric)}; points: a new model serves; lines that coincide are drawn side by side`,
      },
      width: TIME_WIDTH,
      height: HEIGHT,
      data: { values: sideBySide(points, domain) },
      layer: [
        { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y, color, strokeDash } },
        {
          transform: [{ filter: { field: 'renewed', equal: true } }],
          mark: { type: 'point', size: 70, opacity: 1 },
          encoding: { x, y, color },
        },
      ],
    },
  };
}

function domainOf(points: readonly Point[]): readonly [number, number] {
  const values = points.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least || Math.abs(most) || 1) * 0.06;
  return [least - room, most + room];
}

/** Values that would be drawn onto each other, moved apart by a few pixels. */
function sideBySide(points: readonly Point[], [low, high]: readonly [number, number]): Point[] {
  const pixel = (high - low) / HEIGHT;
  return points.map((point) => {
    const same = points.filter(
      ({ at, value }) => at === point.at && Math.abs(value - point.value) < pixel * APART,
    );
    const place = same.indexOf(point) - (same.length - 1) / 2;
    // The first on top, as in the legend.
    return { ...point, value: point.value - place * APART * pixel };
  });
}
