import type { FairnessResult, RobustnessResult, SliceResult } from '../../contracts/evaluation-report.ts';
import { lowerIsBetter, type MetricName } from '../../contracts/spec/evaluation.ts';
import type { EvaluateOutput } from '../../contracts/stages.ts';
import type { SearchReport } from '../../contracts/trials.ts';
import { BLUE, type Chart, COLORS, ORANGE, shortName } from './render.ts';

const MOST_ROWS = 16;
const ROW_HEIGHT = 26;

interface Row {
  name: string;
  value: number;
  low?: number | undefined;
  high?: number | undefined;
  kind?: string;
}

/** Values with intervals, one below the other. */
function intervalChart(
  rows: readonly Row[],
  words: { title: string; subtitle: string; axis: string; description: string },
  reference?: number,
): Chart {
  const values = rows.map((row, place) => ({ ...row, place }));
  const kinds = [...new Set(values.flatMap(({ kind }) => kind ?? []))];
  const y = {
    field: 'place',
    type: 'ordinal' as const,
    title: null,
    axis: { labels: false, ticks: false, domain: false, grid: true },
  };
  const color =
    kinds.length > 1
      ? {
          field: 'kind',
          type: 'nominal' as const,
          title: null,
          scale: { domain: kinds, range: [BLUE, ORANGE, COLORS[2]].slice(0, kinds.length) },
        }
      : { value: BLUE };
  return {
    description: words.description,
    spec: {
      title: { text: words.title, subtitle: words.subtitle },
      width: 330,
      height: Math.max(60, rows.length * ROW_HEIGHT),
      layer: [
        ...(reference === undefined
          ? []
          : [
              {
                data: { values: [{ x: reference }] },
                mark: { type: 'rule' as const, strokeDash: [4, 4], opacity: 0.6 },
                encoding: { x: { field: 'x', type: 'quantitative' as const } },
              },
            ]),
        {
          data: { values: values.filter(({ low, high }) => low !== undefined && high !== undefined) },
          mark: { type: 'rule', strokeWidth: 2.5 },
          encoding: {
            y,
            x: { field: 'low', type: 'quantitative', title: words.axis, scale: { zero: false } },
            x2: { field: 'high' },
            color,
          },
        },
        {
          data: { values },
          mark: { type: 'point', size: 80, opacity: 1 },
          encoding: {
            y,
            x: {
              field: 'value',
              type: 'quantitative',
              title: words.axis,
              scale: { zero: false, padding: 12 },
              axis: { tickCount: 5 },
            },
            color,
          },
        },
        {
          data: { values: values.map(({ name, place }) => ({ name: shortName(name), place })) },
          mark: { type: 'text', align: 'right', dx: -8, limit: 200 },
          encoding: { y, x: { value: 0 }, text: { field: 'name' } },
        },
      ],
    },
  };
}

const direction = (metric: MetricName): string =>
  lowerIsBetter(metric) ? 'lower is better' : 'higher is better';

/** The candidate beside the champion and the trivial baseline, on the same test rows. */
export function comparedChart(
  { test, intervals, baseline, champion, winner }: EvaluateOutput,
  metric: MetricName,
): Chart | undefined {
  const value = test[metric];
  if (value === undefined) return undefined;
  const rows: Row[] = [{ name: `candidate (${winner.name})`, value, ...intervals[metric] }];
  const [before, trivial] = [champion?.test[metric], baseline[metric]];
  if (champion && before !== undefined)
    rows.push({ name: `champion (version ${champion.version})`, value: before });
  if (trivial !== undefined) rows.push({ name: 'trivial baseline', value: trivial });
  return intervalChart(
    rows,
    {
      title: `${metric} on the test split`,
      subtitle: direction(metric),
      axis: metric,
      description: rows.map((row) => `${row.name}: ${row.value.toPrecision(4)}`).join('; '),
    },
    undefined,
  );
}

/** A metric on slices, with intervals; the dashed line is the value on all rows. */
export function sliceChart(
  slices: readonly SliceResult[],
  metric: MetricName,
  overall: number | undefined,
): Chart | undefined {
  const rows = slices.flatMap(({ name, metrics, intervals, found }): Row[] => {
    const value = metrics[metric];
    return value === undefined
      ? []
      : [{ name, value, ...intervals[metric], kind: found ? 'found by search' : 'declared' }];
  });
  if (rows.length === 0) return undefined;
  const sorted = rows.sort((a, b) => (lowerIsBetter(metric) ? b.value - a.value : a.value - b.value));
  return intervalChart(
    sorted.slice(0, MOST_ROWS),
    {
      title: `${metric} by slice`,
      subtitle: `the worst first; ${direction(metric)}; dashed: all rows`,
      axis: metric,
      description: `${metric} on ${sorted.length} slices, from ${sorted[0]?.value.toPrecision(3)} (${sorted[0]?.name}) on.`,
    },
    overall,
  );
}

/** Rates of the groups of one column beside each other. */
export function fairnessChart({ column, groups }: FairnessResult): Chart | undefined {
  const rates = [
    ['positive answers', 'selectionRate'],
    ['true positive rate', 'truePositiveRate'],
    ['false positive rate', 'falsePositiveRate'],
    ['accuracy', 'accuracy'],
    ['mean prediction', 'meanPrediction'],
    ['mean absolute error', 'meanAbsoluteError'],
  ] as const;
  const binary = groups.some(({ selectionRate }) => selectionRate !== null);
  const values = groups.slice(0, MOST_ROWS).flatMap((group, place) =>
    rates.flatMap(([name, key], order) => {
      const value = group[key];
      if (value === null || (binary && key === 'accuracy')) return [];
      return [{ place, name, order, value }];
    }),
  );
  const shown = rates.filter(([name]) => values.some((value) => value.name === name)).map(([name]) => name);
  if (shown.length === 0 || groups.length < 2) return undefined;
  const y = {
    field: 'place',
    type: 'ordinal' as const,
    title: null,
    axis: { labels: false, ticks: false, domain: false, grid: true },
  };
  return {
    description: `${shown.join(', ')} of ${groups.length} groups of ${column}.`,
    spec: {
      title: { text: `Groups of ${column}`, subtitle: 'the farther apart, the more unlike they are treated' },
      width: 330,
      height: Math.max(60, Math.min(MOST_ROWS, groups.length) * ROW_HEIGHT),
      layer: [
        {
          data: { values },
          mark: { type: 'point', size: 80, opacity: 1 },
          encoding: {
            y,
            x: { field: 'value', type: 'quantitative', title: null, axis: { tickCount: 5 } },
            color: {
              field: 'name',
              type: 'nominal',
              title: null,
              scale: { domain: shown, range: [...COLORS].slice(0, shown.length) },
            },
            shape: { field: 'name', type: 'nominal', title: null, scale: { domain: shown } },
          },
        },
        {
          data: {
            values: groups.slice(0, MOST_ROWS).map(({ name }, place) => ({ name: shortName(name), place })),
          },
          mark: { type: 'text', align: 'right', dx: -8, limit: 200 },
          encoding: { y, x: { value: 0 }, text: { field: 'name' } },
        },
      ],
    },
  };
}

/** What a metric loses where one feature is missing or shifted. */
export function robustnessChart({ robustness, by, metric, features }: RobustnessResult): Chart | undefined {
  const rows = features.flatMap(({ feature, loss }): Row[] =>
    loss === null ? [] : [{ name: feature, value: loss }],
  );
  if (rows.length === 0) return undefined;
  const what = robustness === 'missing' ? 'is missing' : `moves by ${by} standard deviation(s)`;
  return intervalChart(
    rows.slice(0, MOST_ROWS),
    {
      title: `Where one feature ${what}`,
      subtitle: `loss of ${metric}, the largest first`,
      axis: `loss of ${metric}`,
      description: `Loss of ${metric} where one feature ${what}: the largest is ${rows[0]?.value.toPrecision(3)} (${rows[0]?.name}).`,
    },
    0,
  );
}

/** The best value so far over the trials of a search, in the order of their start. */
export function searchChart({ trials, metric }: SearchReport): Chart | undefined {
  const done = trials.flatMap((trial, index) =>
    trial.value === null ? [] : [{ x: index + 1, y: trial.value, candidate: trial.candidate }],
  );
  if (done.length < 2) return undefined;
  const lower = lowerIsBetter(metric);
  let best = lower ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  const soFar = done.map(({ x, y }) => {
    best = lower ? Math.min(best, y) : Math.max(best, y);
    return { x, y: best };
  });
  const candidates = [...new Set(done.map(({ candidate }) => candidate))];
  const ys = done.map(({ y }) => y).sort((a, b) => (lower ? a - b : b - a));
  // A trial that went wrong altogether would flatten all others.
  const worst = ys[Math.floor(ys.length * 0.9)] ?? ys.at(-1) ?? 0;
  const x = {
    field: 'x',
    type: 'quantitative' as const,
    title: 'trial',
    axis: { tickMinStep: 1, tickCount: 8 },
  };
  const y = {
    field: 'y',
    type: 'quantitative' as const,
    title: `${metric}, validation`,
    scale: { zero: false, domain: [Math.min(worst, best), Math.max(worst, best)], clamp: true, nice: true },
  };
  return {
    description: `${done.length} trials; the best ${metric} on validation rows is ${best.toPrecision(4)}.`,
    spec: {
      title: { text: 'The search', subtitle: `each trial, and the best so far; ${direction(metric)}` },
      layer: [
        {
          data: { values: done },
          mark: { type: 'point', size: 55, opacity: 0.85 },
          encoding: {
            x,
            y,
            color: {
              field: 'candidate',
              type: 'nominal',
              title: null,
              scale: {
                domain: candidates,
                range: candidates.map((_, k) => COLORS[k % COLORS.length] ?? BLUE),
              },
            },
          },
        },
        {
          data: { values: soFar },
          mark: { type: 'line', interpolate: 'step-after', opacity: 0.7, color: '#808a94' },
          encoding: { x, y },
        },
      ],
    },
  };
}

/** Of each trial what it took and what it gave. */
export function effortChart({ trials, metric }: SearchReport): Chart | undefined {
  const values = trials.flatMap(({ value, seconds, candidate }) =>
    value === null || seconds <= 0 ? [] : [{ x: seconds, y: value, candidate }],
  );
  if (values.length < 3) return undefined;
  const candidates = [...new Set(values.map(({ candidate }) => candidate))];
  return {
    description: `${metric} on validation rows of ${values.length} trials against the seconds that they took.`,
    spec: {
      title: { text: 'What trials took and gave', subtitle: direction(metric) },
      data: { values },
      mark: { type: 'point', size: 55, opacity: 0.85 },
      encoding: {
        x: {
          field: 'x',
          type: 'quantitative',
          title: 'seconds',
          scale: { type: 'log' },
          axis: { tickCount: 5, format: '~g' },
        },
        y: { field: 'y', type: 'quantitative', title: `${metric}, validation`, scale: { zero: false } },
        color: {
          field: 'candidate',
          type: 'nominal',
          title: null,
          scale: { domain: candidates, range: candidates.map((_, k) => COLORS[k % COLORS.length] ?? BLUE) },
        },
      },
    },
  };
}
