import type { Attribution, AttributionUnit } from '../../contracts/explanation.ts';
import { UNIT_WORDS } from './explanation-words.ts';
import { BLUE, type Chart, COLORS, ORANGE, shortName } from './render.ts';

/** Bars of a chart at the most; the rest is told in words. */
const MOST_BARS = 15;
const BAR_HEIGHT = 19;

/** How much worse the metric becomes where a column is shuffled; whiskers are one standard deviation of the repeats. */
export function importanceChart(
  columns: readonly { column: string; mean: number; sd: number }[],
  metric: string,
): Chart {
  const values = columns.slice(0, MOST_BARS).map(({ column, mean, sd }, place) => ({
    column: `${place}`,
    name: column,
    mean,
    low: mean - sd,
    high: mean + sd,
  }));
  const [first] = columns;
  const rest = columns.length - values.length;
  return {
    description: `Permutation importance of ${values.length} columns; the most important is ${first?.column ?? 'none'}.`,
    spec: {
      title: {
        text: 'What the model relies on',
        subtitle: `loss of ${metric} where the column is shuffled${rest > 0 ? `; ${rest} more columns matter less` : ''}`,
      },
      width: 340,
      height: values.length * BAR_HEIGHT + 10,
      layer: [
        {
          data: { values },
          mark: { type: 'bar', color: BLUE, cornerRadiusEnd: 2, height: { band: 0.7 } },
          encoding: {
            y: place(values.length),
            x: { field: 'mean', type: 'quantitative', title: `loss of ${metric}`, axis: { tickCount: 5 } },
          },
        },
        {
          data: { values },
          mark: { type: 'rule', strokeWidth: 1.5, opacity: 0.8 },
          encoding: {
            y: place(values.length),
            x: { field: 'low', type: 'quantitative' },
            x2: { field: 'high' },
          },
        },
        names(values, values.length),
      ],
    },
  };
}

/** Mean absolute contribution of columns to single answers. */
export function attributionChart(
  columns: readonly { column: string; mean: number }[],
  unit: AttributionUnit,
): Chart {
  const values = columns
    .slice(0, MOST_BARS)
    .map(({ column, mean }, at) => ({ column: `${at}`, name: column, mean }));
  const [first] = columns;
  return {
    description: `Mean absolute contribution of ${values.length} columns; the largest is that of ${first?.column ?? 'none'}.`,
    spec: {
      title: {
        text: 'What moves single predictions',
        subtitle: `mean size of a contribution, ${UNIT_WORDS[unit]}`,
      },
      width: 340,
      height: values.length * BAR_HEIGHT + 10,
      layer: [
        {
          data: { values },
          mark: { type: 'bar', color: COLORS[2], cornerRadiusEnd: 2, height: { band: 0.7 } },
          encoding: {
            y: place(values.length),
            x: { field: 'mean', type: 'quantitative', title: UNIT_WORDS[unit], axis: { tickCount: 5 } },
          },
        },
        names(values, values.length),
      ],
    },
  };
}

/** How one answer comes about: from the base, column by column, to the answer. */
export function waterfallChart(
  { base, answer, contributions }: Attribution,
  why: string,
  unit: AttributionUnit,
  most = 8,
): Chart {
  const sorted = [...contributions].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const shown = sorted.slice(0, most).filter(({ value }) => value !== 0);
  const rest = sorted.slice(shown.length);
  const restValue = rest.reduce((sum, { value }) => sum + value, 0);
  const steps = [
    ...shown.map(({ column, value, error }) => ({ name: column, value, error })),
    ...(rest.length > 0 ? [{ name: `${rest.length} other columns`, value: restValue, error: 0 }] : []),
  ];
  let at = base;
  const values = steps.map(({ name, value, error }, index) => {
    const from = at;
    at += value;
    return {
      column: `${index}`,
      name,
      from,
      to: at,
      low: at - error,
      high: at + error,
      direction: value >= 0 ? 'up' : 'down',
      text: `${value >= 0 ? '+' : '−'}${Math.abs(value).toPrecision(2)}`,
      end: Math.max(from, at) + error,
    };
  });
  const errors = values.some(({ low, high }) => low !== high);
  return {
    description: `${why}: from ${base.toPrecision(3)} on average to ${answer.toPrecision(3)}; the largest contribution is that of ${shown[0]?.column ?? 'none'}.`,
    spec: {
      title: {
        text: why.charAt(0).toUpperCase() + why.slice(1),
        subtitle: `from ${base.toPrecision(3)} on average to ${answer.toPrecision(3)} (${UNIT_WORDS[unit]})`,
      },
      width: 300,
      height: values.length * 22 + 8,
      layer: [
        {
          data: { values: [{ base }] },
          mark: { type: 'rule', strokeDash: [3, 3], opacity: 0.5 },
          encoding: { x: { field: 'base', type: 'quantitative' } },
        },
        {
          data: { values },
          mark: { type: 'bar', height: { band: 0.62 } },
          encoding: {
            y: place(values.length),
            x: {
              field: 'from',
              type: 'quantitative',
              title: UNIT_WORDS[unit],
              scale: { zero: false, padding: 24 },
              axis: { tickCount: 5 },
            },
            x2: { field: 'to' },
            color: {
              field: 'direction',
              type: 'nominal',
              legend: null,
              scale: { domain: ['up', 'down'], range: [ORANGE, BLUE] },
            },
          },
        },
        ...(errors
          ? [
              {
                data: { values },
                mark: { type: 'rule' as const, opacity: 0.8 },
                encoding: {
                  y: place(values.length),
                  x: { field: 'low', type: 'quantitative' as const },
                  x2: { field: 'high' },
                },
              },
            ]
          : []),
        {
          data: { values },
          mark: { type: 'text', align: 'left', dx: 4 },
          encoding: {
            y: place(values.length),
            x: { field: 'end', type: 'quantitative' },
            text: { field: 'text' },
          },
        },
        names(values, values.length),
      ],
    },
  };
}

/** Permutation importance on slices beside that on all rows, as a map. */
export function sliceImportanceChart(
  slices: readonly { slice: string; importance: readonly { column: string; mean: number }[] }[],
  order: readonly string[],
  metric: string,
): Chart {
  const columns = order.slice(0, 10);
  const values = slices.flatMap(({ importance }, slice) =>
    columns.map((name, at) => ({
      slice,
      column: `${at}`,
      mean: importance.find(({ column }) => column === name)?.mean ?? 0,
    })),
  );
  const most = Math.max(1e-12, ...values.map(({ mean }) => mean));
  const width = Math.max(160, Math.min(420, slices.length * 80));
  const x = {
    field: 'slice',
    type: 'ordinal' as const,
    title: null,
    axis: { labels: false, ticks: false, domain: false, orient: 'top' as const },
  };
  return {
    description: `Permutation importance of ${columns.length} columns on ${slices.length} slices.`,
    spec: {
      title: {
        text: 'Does it rely on the same in every slice?',
        subtitle: `loss of ${metric} where the column is shuffled`,
        offset: 34,
      },
      width,
      height: columns.length * 24,
      layer: [
        {
          data: { values },
          mark: { type: 'rect' },
          encoding: {
            x,
            y: place(columns.length),
            color: {
              field: 'mean',
              type: 'quantitative',
              scale: { domain: [0, most], clamp: true, range: ['#eef4fa', '#0072B2'] },
              legend: null,
            },
          },
        },
        {
          data: { values: values.map((value) => ({ ...value, light: value.mean > most / 2 ? 1 : 0 })) },
          mark: { type: 'text' },
          encoding: {
            x,
            y: place(columns.length),
            text: { field: 'mean', type: 'quantitative', format: '.3f' },
            color: { condition: { test: 'datum.light === 1', value: '#ffffff' }, value: '#12202e' },
          },
        },
        names(
          columns.map((name, at) => ({ column: `${at}`, name })),
          columns.length,
        ),
        {
          data: { values: slices.map(({ slice }, at) => ({ slice: at, name: slice })) },
          mark: { type: 'text', baseline: 'bottom', dy: -6, limit: width / slices.length - 6 },
          encoding: { x, y: { value: 0 }, text: { field: 'name' } },
        },
      ],
    },
  };
}

/** Rows of a chart by their place: two columns may have names that look the same, so names are drawn apart. */
const place = (count: number) => ({
  field: 'column',
  type: 'ordinal' as const,
  title: null,
  scale: { domain: Array.from({ length: count }, (_, index) => `${index}`) },
  axis: { labels: false, ticks: false, domain: false },
});

const names = (values: readonly { column: string; name: string }[], count: number) => ({
  data: { values: values.map(({ column, name }) => ({ column, name: shortName(name) })) },
  mark: { type: 'text' as const, align: 'right' as const, dx: -8, limit: 150 },
  encoding: { y: place(count), x: { value: 0 }, text: { field: 'name' } },
});
