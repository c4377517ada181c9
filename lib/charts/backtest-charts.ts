import type { PolicyOutcome } from '../../contracts/backtest.ts';
import { lowerIsBetter, type MetricName } from '../../contracts/spec/metrics.ts';
import { type Chart, COLORS } from './render.ts';

const direction = (metric: MetricName): string =>
  lowerIsBetter(metric) ? 'lower is better' : 'higher is better';

/** The quality of each policy over time; a point where a new model came into production. */
export function policyQualityChart(
  policies: readonly PolicyOutcome[],
  metric: MetricName,
): Chart | undefined {
  const names = policies.map(({ policy }) => policy);
  const values = policies.flatMap(({ policy, steps }) =>
    steps.flatMap(({ window, quality, model }, i) => {
      const value = quality[metric];
      if (value === undefined) return [];
      return [{ policy, at: window.from, value, renewed: i > 0 && steps[i - 1]?.model !== model }];
    }),
  );
  if (values.length === 0) return undefined;
  const x = { field: 'at', type: 'temporal' as const, title: null, scale: { type: 'utc' as const } };
  const y = { field: 'value', type: 'quantitative' as const, title: metric, scale: { zero: false } };
  const color = {
    field: 'policy',
    type: 'nominal' as const,
    title: null,
    scale: { domain: names, range: names.map((_, i) => COLORS[i % COLORS.length] ?? COLORS[0]) },
  };
  return {
    description: policies
      .map(
        ({ policy, quality }) => `${policy}: mean ${metric} ${quality[metric]?.toPrecision(4) ?? 'unknown'}`,
      )
      .join('; '),
    spec: {
      title: {
        text: `${metric} of each window`,
        subtitle: `by all the truth; ${direction(metric)}; points: a new model serves`,
      },
      width: 860,
      height: 320,
      data: { values },
      layer: [
        { mark: { type: 'line', strokeWidth: 2 }, encoding: { x, y, color } },
        {
          transform: [{ filter: { field: 'renewed', equal: true } }],
          mark: { type: 'point', size: 90, opacity: 1 },
          encoding: { x, y, color },
        },
      ],
    },
  };
}

/** What each policy costs and brings: mean quality over the number of retrainings. */
export function policyCostChart(policies: readonly PolicyOutcome[], metric: MetricName): Chart | undefined {
  const values = policies.flatMap(({ policy, quality, runs }) => {
    const value = quality[metric];
    return value === undefined ? [] : [{ policy, value, runs: runs.length }];
  });
  if (values.length === 0) return undefined;
  return {
    description: values
      .map(({ policy, value, runs }) => `${policy}: ${value.toPrecision(4)} with ${runs}`)
      .join('; '),
    spec: {
      title: { text: 'What it costs, what it brings', subtitle: direction(metric) },
      data: { values },
      encoding: {
        x: {
          field: 'runs',
          type: 'quantitative',
          title: 'retrainings',
          axis: { tickMinStep: 1 },
          scale: { nice: true, padding: 20 },
        },
        y: {
          field: 'value',
          type: 'quantitative',
          title: `mean ${metric}`,
          scale: { zero: false, padding: 20 },
        },
      },
      layer: [
        { mark: { type: 'point', size: 90, opacity: 1 } },
        { mark: { type: 'text', align: 'left', dx: 9 }, encoding: { text: { field: 'policy' } } },
      ],
    },
  };
}
