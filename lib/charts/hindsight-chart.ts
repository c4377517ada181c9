import type { Hindsight } from '../../contracts/hindsight.ts';
import { lowerIsBetter } from '../../contracts/spec/metrics.ts';
import { BLUE, type Chart, INK, ORANGE } from './render.ts';

/**
 * The quality of what was answered, and of what the version would have answered, window by window, with intervals; rules
 * where another version came.
 *
 * @returns `undefined` where no window has the metric
 */
export function hindsightChart({ version, metric, windows, changes, means }: Hindsight): Chart | undefined {
  const names = ['as answered', `version ${version} alone`] as const;
  const values = windows.flatMap(({ window, answered, asked }) =>
    [answered, asked].flatMap(({ metrics, intervals }, i) => {
      const value = metrics[metric];
      if (value === undefined) return [];
      const { low = value, high = value } = intervals[metric] ?? {};
      return [{ at: middleOf(window), who: names[i] ?? '', value, low, high }];
    }),
  );
  if (values.length === 0) return undefined;
  const rules = changes.slice(1).map((change) => ({ at: change.at, name: `version ${change.version}` }));
  const x = { field: 'at', type: 'temporal' as const, title: null, scale: { type: 'utc' as const } };
  const y = { type: 'quantitative' as const, title: metric, scale: { zero: false } };
  const color = {
    field: 'who',
    type: 'nominal' as const,
    title: null,
    scale: { domain: [...names], range: [BLUE, ORANGE] },
  };
  const said = (value: number | null): string => value?.toPrecision(4) ?? 'unknown';
  return {
    description: `mean ${metric}: ${names[0]} ${said(means.answered)}; ${names[1]} ${said(means.asked)}`,
    spec: {
      title: {
        text: `${metric} of each window`,
        subtitle: `${lowerIsBetter(metric) ? 'lower' : 'higher'} is better; bands: intervals of 95 %; dashed: another version comes`,
      },
      width: 860,
      height: 340,
      layer: [
        {
          data: { values },
          mark: { type: 'area', opacity: 0.15 },
          encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color },
        },
        {
          data: { values },
          mark: { type: 'line', strokeWidth: 2, point: true },
          encoding: { x, y: { ...y, field: 'value' }, color },
        },
        {
          data: { values: rules },
          mark: { type: 'rule', strokeDash: [4, 4], color: INK, opacity: 0.6 },
          encoding: { x },
        },
        {
          data: { values: rules },
          mark: { type: 'text', align: 'left', dx: 5, baseline: 'top', color: INK },
          encoding: { x, y: { value: 4 }, text: { field: 'name' } },
        },
      ],
    },
  };
}

const middleOf = ({ from, before }: { from: string; before: string }): string =>
  new Date((Date.parse(from) + Date.parse(before)) / 2).toISOString();
