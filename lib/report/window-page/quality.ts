import type { ObservedWindow, WindowReport } from '../../../contracts/monitoring.ts';
import type { MetricName } from '../../../contracts/spec/metrics.ts';
import type { TrendEntry } from '../../charts/alert-plot.ts';
import type { TimeChart } from '../../charts/lines.ts';
import { count, dataTable, figure } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import { intervalText, restsOn, trendChart, trendLine } from './parts.ts';

/** Charts at the most, and what they show where nobody set a limit. */
const MOST_CHARTS = 4;
const TELLING: readonly MetricName[] = [
  'roc_auc',
  'brier_score',
  'accuracy',
  'macro_f1',
  'f1',
  'root_mean_squared_error',
  'mean_absolute_error',
  'r2',
];

/** A window’s moments in words. */
export const windowText = ({ from, before }: ObservedWindow): string =>
  `${moment(from)} to ${moment(before)}`;

export const moment = (text: string): string =>
  text
    .replace('T', ' ')
    .replace(/(?::00)?(?:\.\d+)?Z$/, '')
    .replace(/ 00:00$/, '');

/** What is known of the quality, and what is estimated. */
export function qualitySection(report: WindowReport, trend: readonly TrendEntry[]): Markup {
  const { quality, estimated, referenceQuality, labelled } = report;
  const known =
    quality.labels > 0 && labelled
      ? html`<p>By ${restsOn(quality.labels)} of ${count(quality.rows)} rows from ${windowText(labelled)}.</p>`
      : html`<p><b>No truth is known yet</b>${labelled ? html` of the ${count(quality.rows)} rows from ${windowText(labelled)}` : ''}.</p>`;
  const guess = estimated
    ? html`<p>Estimated by the confidence of ${count(estimated.rows)} answers of this window, corrected by ${restsOn(estimated.labels)} of the reference. The estimate holds as long as the concept does: a new meaning of the same inputs it cannot see.</p>`
    : '';
  return html`${known}${guess}<div class="charts">${metricsOf(report).map((metric) => trendChart(chartOf(report, trend, metric)))}</div>${qualityTable(report)}${
    Object.keys(referenceQuality).length === 0
      ? html`<p class="soft">The reference has no labelled rows.</p>`
      : ''
  }`;
}

/** Those with limits first. */
function metricsOf({ verdicts, quality, estimated, referenceQuality }: WindowReport): string[] {
  const limited = verdicts
    .filter(({ check, slice }) => check === 'quality' && slice === null)
    .map(({ of }) => of);
  const known = new Set(
    [quality.metrics, estimated?.metrics ?? {}, referenceQuality].flatMap((metrics) => Object.keys(metrics)),
  );
  return [...new Set([...limited, ...TELLING])].filter((name) => known.has(name)).slice(0, MOST_CHARTS);
}

function chartOf(report: WindowReport, trend: readonly TrendEntry[], metric: string): TimeChart {
  const limits = report.verdicts.filter(
    ({ check, of, slice, limit }) => check === 'quality' && of === metric && slice === null && limit !== null,
  );
  const reference = Object.entries(report.referenceQuality).find(([name]) => name === metric)?.[1];
  return {
    title: metric,
    lines: [
      trendLine(trend, `quality.${metric}`, { name: 'real', tone: 'first' }),
      trendLine(trend, `estimated.${metric}`, { name: 'estimated', tone: 'second', dashed: true }),
    ],
    levels: [
      ...(reference === undefined ? [] : [{ value: reference, name: 'reference' }]),
      ...limits.slice(0, 1).map(({ limit }) => ({ value: limit ?? 0, name: 'limit', bad: true })),
    ],
    marks: conceptMarks(report, trend),
  };
}

/** Where the error was found to have changed: of earlier windows the window, of this one the moment. */
function conceptMarks(
  { concept, window }: WindowReport,
  trend: readonly TrendEntry[],
): { at: number; name: string }[] {
  const earlier = trend.filter(
    (one) => one.window.index < window.index && (one.measures['concept.changes'] ?? 0) > 0,
  );
  const moments = [
    ...earlier.map((one) => (one.labelled ?? one.window).from),
    ...(concept?.changes ?? []).map(({ at }) => at),
  ].map((at) => Date.parse(at));
  const first = Math.min(...trend.map((one) => Date.parse((one.labelled ?? one.window).from)));
  return moments.filter((at) => at >= first).map((at) => ({ at, name: 'concept drift' }));
}

/** Where another version answered what the truth is about than what is estimated, each is held to its own reference. */
function qualityTable({ quality, estimated, referenceQuality, estimateReference }: WindowReport): Markup {
  const own: Record<string, number> = estimateReference ?? {};
  const reference: Record<string, number> = referenceQuality;
  const real: Record<string, number> = quality.metrics;
  const expected: Record<string, number> = estimated?.metrics ?? {};
  const names = [...new Set([reference, real, expected].flatMap((metrics) => Object.keys(metrics)))];
  const hasOwn = estimateReference !== undefined && estimated !== null;
  return dataTable(
    'Intervals of 95 %: of real metrics by the bootstrap, of estimates by how much the truth may vary',
    [
      ...['metric', 'reference', 'real', 'interval', 'estimated', 'interval'],
      ...(hasOwn ? ['reference of the estimate'] : []),
    ],
    names.map((name) => [
      html`<code>${name}</code>`,
      figure(reference[name]),
      figure(real[name]),
      intervalText(quality.intervals[name]),
      figure(expected[name]),
      intervalText(estimated?.intervals[name]),
      ...(hasOwn ? [figure(own[name])] : []),
    ]),
    [1, 2, 3, 4, 5, 6],
  );
}

/** Changes of the error over time. */
export function conceptSection({ concept }: WindowReport): Markup {
  if (!concept) return html`<p>Concept drift is not watched, or no truth is known yet.</p>`;
  const { detector, labels, changes } = concept;
  return changes.length === 0
    ? html`<p>${detector} saw ${restsOn(labels)} and found no change of the error.</p>`
    : dataTable(
        `${detector} saw ${restsOn(labels)}`,
        ['the error changed at', 'mean error before', 'after'],
        changes.map(({ at, before, after }) => [moment(at), figure(before), figure(after)]),
        [1, 2],
      );
}
