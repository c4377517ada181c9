import type { PolicyOutcome } from '../../contracts/backtest.ts';
import { lowerIsBetter, type MetricName } from '../../contracts/spec/metrics.ts';
import { COLORS } from './render.ts';

/** Width of what is drawn over time, and of the names and numbers before it: two charts lie below each other. */
export const TIME_WIDTH = 860;
const EXTENT = 120;

/** @example directionOf('brier_score') // 'lower is better' */
export const directionOf = (metric: MetricName): string =>
  lowerIsBetter(metric) ? 'lower is better' : 'higher is better';

/** Axis of time: the same in both charts. */
export const timeAxis = (policies: readonly PolicyOutcome[]) => {
  const windows = policies[0]?.steps ?? [];
  const [from = '', before = ''] = [windows[0]?.window.from, windows.at(-1)?.window.before];
  return {
    type: 'temporal' as const,
    title: null,
    scale: { type: 'utc' as const, domain: [from, before] },
  };
};

/** Room before the chart. */
export const LEFT = { minExtent: EXTENT, maxExtent: EXTENT } as const;

/** Each policy has a colour, the same in all charts. */
export const policyColors = (policies: readonly PolicyOutcome[]) => ({
  domain: policies.map(({ policy }) => policy),
  range: policies.map((_, i) => COLORS[i % COLORS.length] ?? COLORS[0]),
});

/** More policies than colours are told apart by their dashes. */
const DASHES = [
  [1, 0],
  [7, 3],
] as const;

/** How the line of each policy is drawn. */
export const policyDashes = (policies: readonly PolicyOutcome[]) => ({
  domain: policies.map(({ policy }) => policy),
  range: policies.map((_, i) => [...(DASHES[Math.floor(i / COLORS.length)] ?? DASHES[0])]),
});
