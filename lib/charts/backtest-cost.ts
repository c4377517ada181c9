import type { PolicyOutcome } from '../../contracts/backtest.ts';
import type { MetricName } from '../../contracts/spec/metrics.ts';
import { directionOf, policyColors } from './backtest-axes.ts';
import { type Chart, INK } from './render.ts';

const SIZE = { width: 520, height: 300 } as const;
/** Pixels: a line of text, a character of it, and the way from a point to its name. */
const LINE = 15;
const CHARACTER = 7;
const BESIDE = 10;

interface Known {
  policy: string;
  runs: number;
  value: number;
}

/** What each policy costs and brings: mean quality over the number of retrainings. */
export function policyCostChart(policies: readonly PolicyOutcome[], metric: MetricName): Chart | undefined {
  const known = policies.flatMap(({ policy, quality, runs }): Known[] => {
    const value = quality[metric];
    return value === undefined ? [] : [{ policy, value, runs: runs.length }];
  });
  if (known.length === 0) return undefined;
  const values = known.map(({ value }) => value);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const room = (most - least || Math.abs(most) || 1) * 0.12;
  const y = [least - room, most + room] as const;
  const x = [0, Math.max(1, ...known.map(({ runs }) => runs)) * 1.05] as const;
  const encoded = (runs: string, value: string) => ({
    x: {
      field: runs,
      type: 'quantitative' as const,
      title: 'retrainings',
      axis: { tickMinStep: 1, format: 'd' },
      scale: { nice: false, domain: [...x] },
    },
    y: {
      field: value,
      type: 'quantitative' as const,
      title: `mean ${metric}`,
      scale: { zero: false, nice: false, domain: [...y] },
    },
  });
  return {
    description: known
      .map(({ policy, value, runs }) => `${policy}: ${value.toPrecision(4)} with ${runs}`)
      .join('; '),
    spec: {
      title: { text: 'What it costs, what it brings', subtitle: directionOf(metric) },
      ...SIZE,
      data: { values: labelled(known, x, y) },
      layer: [
        {
          mark: { type: 'rule', color: INK, opacity: 0.35 },
          encoding: { ...encoded('runs', 'value'), x2: { field: 'labelRuns' }, y2: { field: 'labelValue' } },
        },
        {
          mark: { type: 'point', size: 90, opacity: 1 },
          encoding: {
            ...encoded('runs', 'value'),
            color: { field: 'policy', type: 'nominal', legend: null, scale: policyColors(policies) },
          },
        },
        {
          mark: { type: 'text', align: 'left', baseline: 'middle', dx: 3 },
          encoding: { ...encoded('labelRuns', 'labelValue'), text: { field: 'policy' } },
        },
      ],
    },
  };
}

/** Where each name stands: beside its point, and below another name that is there already. */
function labelled(
  known: readonly Known[],
  [left, right]: readonly [number, number],
  [low, high]: readonly [number, number],
): (Known & { labelRuns: number; labelValue: number })[] {
  const across = (right - left) / SIZE.width;
  const down = (high - low) / SIZE.height;
  const taken: { at: number; to: number; height: number }[] = [];
  return [...known]
    .sort((a, b) => b.value - a.value || a.runs - b.runs)
    .map((one) => {
      const at = (one.runs - left) / across + BESIDE;
      const to = at + one.policy.length * CHARACTER;
      let height = (high - one.value) / down;
      // From above to below: each name that is there already is above, or covers this place.
      for (const other of [...taken].sort((a, b) => a.height - b.height))
        if (other.at < to && at < other.to && Math.abs(other.height - height) < LINE)
          height = other.height + LINE;
      taken.push({ at, to, height });
      return { ...one, labelRuns: left + at * across, labelValue: high - height * down };
    });
}
