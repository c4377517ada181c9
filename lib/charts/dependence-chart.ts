import type { Dependence } from '../../contracts/explanation.ts';
import { BLUE, type Chart, COLORS, shortName } from './render.ts';

/** Partial dependence of a column, with single rows in the background, and the curves of slices. */
export function dependenceChart(curve: Dependence, outputs: readonly string[], answerName: string): Chart {
  const { column, kind, grid, means, slices, rows } = curve;
  const category = kind === 'category';
  const at = (index: number): number | string =>
    category ? String(grid[index]) : xOf(kind, grid[index] ?? null);
  const several = outputs.length > 1;
  const series = several
    ? outputs
        .slice(0, COLORS.length)
        .map((name, k) => ({ name: name.replace(/^probability_/, ''), values: means[k] ?? [] }))
    : [
        { name: 'all rows', values: means[0] ?? [] },
        ...slices.slice(0, 4).map(({ slice, means: ofSlice }) => ({ name: slice, values: ofSlice })),
      ];
  const lines = series.flatMap(({ name, values }, order) =>
    values.map((y, index) => ({ x: at(index), y, name: `${order}`, series: name })),
  );
  const single = several
    ? []
    : rows.flatMap((values, row) => values.map((y, index) => ({ x: at(index), y, row })));
  const range = (means[0] ?? []).reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)] as const,
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY] as const,
  );
  const x = category
    ? {
        field: 'x',
        type: 'ordinal' as const,
        title: null,
        sort: null,
        axis: { labelAngle: -40, labelLimit: 100, labelOverlap: false },
      }
    : kind === 'date'
      ? {
          field: 'x',
          type: 'temporal' as const,
          title: column,
          scale: { type: 'utc' as const },
          axis: { tickCount: 4 },
        }
      : {
          field: 'x',
          type: 'quantitative' as const,
          title: kind === 'share' ? `${column}, share of rows below` : column,
          scale: { zero: false, nice: false },
          axis: { tickCount: 5, ...(kind === 'share' ? { format: '.0%' } : {}) },
        };
  const y = {
    field: 'y',
    type: 'quantitative' as const,
    title: answerName,
    scale: { zero: false },
    axis: { tickCount: 5 },
  };
  const color = {
    field: 'series',
    type: 'nominal' as const,
    title: null,
    sort: null,
    scale: {
      domain: series.map(({ name }) => name),
      range: series.map((_, k) => COLORS[k % COLORS.length] ?? BLUE),
    },
    legend: series.length > 1 ? { columns: 2, labelLimit: 150 } : null,
  };
  return {
    description: `Partial dependence on ${column}: the mean answer lies between ${range[0].toPrecision(3)} and ${range[1].toPrecision(3)}.`,
    spec: {
      title: shortName(column),
      width: 300,
      height: 190,
      layer: [
        ...(single.length > 0 && !category
          ? [
              {
                data: { values: single },
                mark: { type: 'line' as const, strokeWidth: 0.8, opacity: 0.25, color: '#808a94' },
                encoding: { x, y, detail: { field: 'row', type: 'nominal' as const } },
              },
            ]
          : []),
        {
          data: { values: lines },
          mark: category ? { type: 'point', size: 70, opacity: 1 } : { type: 'line', strokeWidth: 2.2 },
          encoding: {
            x,
            y,
            color,
            ...(category ? {} : { detail: { field: 'name', type: 'nominal' as const } }),
          },
        },
      ],
    },
  };
}

const xOf = (kind: Dependence['kind'], value: number | string | null): number =>
  kind === 'date' ? Number(value) * 1000 : Number(value);
