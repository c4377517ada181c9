import type { Interval } from '../../../contracts/evaluation-report.ts';
import type { CheckState, DriftedColumn, Verdict } from '../../../contracts/monitoring.ts';
import { type TrendEntry, trendPoint } from '../../charts/alert-plot.ts';
import { type TimeChart, type TimeLine, timeChartSvg } from '../../charts/lines.ts';
import { count, figure, percent } from '../data-page.ts';
import { html, type Markup } from '../html.ts';

/** A state as a coloured word. */
export const pill = (state: CheckState): Markup => html`<span class="pill ${state}">${state}</span>`;

export const digits = (value: number | null | undefined, places = 3): string =>
  value === null || value === undefined ? '–' : value.toFixed(places);

export const intervalText = (interval: Interval | null | undefined): string =>
  interval ? `${figure(interval.low)} to ${figure(interval.high)}` : '–';

/** A p-value; a tiny one as a power. */
export const chance = (p: number | null | undefined): string =>
  p === null || p === undefined ? '–' : p === 0 ? '0' : p < 1e-4 ? p.toExponential(1) : p.toFixed(4);

const RANK: Record<CheckState, number> = { breached: 0, insufficient: 1, ok: 2, unlimited: 3 };

/** The breached first, else in their order. */
export const byState = (verdicts: readonly Verdict[]): Verdict[] =>
  [...verdicts].sort((a, b) => RANK[a.state] - RANK[b.state]);

/** A measure as a line over the windows. */
export const trendLine = (
  trend: readonly TrendEntry[],
  measure: string,
  look: Pick<TimeLine, 'name' | 'tone'> & { dashed?: boolean },
): TimeLine => ({ ...look, points: trend.map((entry) => trendPoint(entry, measure)) });

/** A chart, or nothing where none of its lines has a value. */
export const trendChart = (chart: TimeChart): Markup | '' => {
  const lines = chart.lines.filter(({ points }) => points.some(({ value }) => value !== null));
  return lines.length === 0 ? '' : html`<div>${timeChartSvg({ ...chart, lines })}</div>`;
};

/** How many rows a thing rests on. */
export const restsOn = (labels: number, word = 'labels'): string => `${count(labels)} ${word}`;

/** What of a column is new, in words. */
export const newCategoriesText = ({ newCategories }: DriftedColumn): string =>
  newCategories && newCategories.count > 0
    ? `${count(newCategories.count)} (${percent(newCategories.share)} of rows)`
    : '–';
