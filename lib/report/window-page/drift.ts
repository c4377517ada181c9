import type { DriftedColumn, WindowReport } from '../../../contracts/monitoring.ts';
import type { TrendEntry } from '../../charts/alert-plot.ts';
import { picture } from '../comparison-section.ts';
import { count, dataTable, figure, percent } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import { chance, digits, newCategoriesText, trendChart, trendLine } from './parts.ts';

/** Features with a bar, and with a picture of their distribution. */
const MOST_BARS = 30;
const MOST_PICTURES = 10;
/** Rows of the table that are shown at once. */
const MOST_OPEN = 20;

/** The most drifted first. */
const byDrift = (columns: readonly DriftedColumn[]): DriftedColumn[] =>
  [...columns].sort(
    (a, b) =>
      Number(b.drifted) - Number(a.drifted) || (b.psi ?? -1) - (a.psi ?? -1) || (a.name < b.name ? -1 : 1),
  );

/** The features of the window against the reference’s. */
export function driftSection(report: WindowReport, trend: readonly TrendEntry[]): Markup {
  const { columns, multivariate, classifier } = report;
  if (columns.length === 0) return html`<p>Drift of the features is not watched.</p>`;
  const ordered = byDrift(columns);
  const drifted = columns.filter((column) => column.drifted).length;
  const limit = report.verdicts.find(({ check, of }) => check === 'data-drift' && of === '')?.limit;
  return html`<p>${drifted} of ${columns.length} features have drifted${limit === null || limit === undefined ? '' : ` (at most ${percent(limit)} may)`}, by ${count(report.rows)} rows against ${count(report.reference.rows)} of the reference.</p>
${psiBars(ordered)}
<div class="charts">${trendChart({
    title: 'Share of features that drifted',
    lines: [trendLine(trend, 'drift.share', { name: 'drifted', tone: 'first' })],
    levels: limit === null || limit === undefined ? [] : [{ value: limit, name: 'limit', bad: true }],
    format: percent,
  })}${trendChart({
    title: 'Reconstruction error, deviations from the reference',
    lines: [trendLine(trend, 'multivariate.deviations', { name: 'deviations', tone: 'first' })],
  })}</div>
${
  multivariate
    ? html`<p>All features together: ${multivariate.components} principal components give rows back with a mean error of <b>${figure(multivariate.error)}</b>; of the reference it is ${figure(multivariate.reference)} ± ${figure(multivariate.deviation)} from chunk to chunk (${count(multivariate.rows)} rows).</p>`
    : ''
}
${
  classifier
    ? html`<p>A model that is trained to tell the window from the reference has an ROC AUC of <b>${digits(classifier.auc)}</b> (0.5: it cannot; ${count(classifier.rows)} rows, cross-validated). It looks first at ${classifier.top.join(', ')}.</p>`
    : ''
}
${columns.length > MOST_OPEN ? html`<details><summary>All ${columns.length} features</summary>${driftTable(ordered)}</details>` : driftTable(ordered)}
<h3>Distributions of the features that moved most</h3>${pictures(ordered.slice(0, MOST_PICTURES))}`;
}

function psiBars(columns: readonly DriftedColumn[]): Markup {
  const shown = columns.slice(0, MOST_BARS);
  const top = Math.max(0.3, ...shown.map(({ psi }) => psi ?? 0));
  // One that moved altogether must not hide the others.
  const width = (psi: number): number => Math.min(100, Math.round((10_000 * Math.sqrt(psi / top)) / 1) / 100);
  return html`<ol class="drift">${shown.map(
    ({ name, psi, drifted }) =>
      html`<li class="${drifted ? 'drifted' : ''}"><span title="${name}">${name}</span><span class="bar" role="img" aria-label="PSI ${digits(psi)}"><span style="width:${psi === null ? 0 : width(psi)}%"></span></span><span class="value">${digits(psi)}</span></li>`,
  )}</ol><p class="soft">Population stability index, as long as its root: below 0.1 stable, above 0.2 a large change. Red: beyond a limit of the spec.${columns.length > shown.length ? ` The ${shown.length} that moved most of ${columns.length}.` : ''}</p>`;
}

/** Every statistic of columns. */
export const driftTable = (columns: readonly DriftedColumn[]): Markup =>
  dataTable(
    'p: of Kolmogorov-Smirnov or chi-square, corrected for all features. Wasserstein: in deviations of the reference.',
    [
      'column',
      '',
      'PSI',
      'Jensen-Shannon',
      'Wasserstein',
      'KS',
      'Cramér’s V',
      'p',
      'new categories',
      'missing, reference',
      'now',
    ],
    columns.map((column) => [
      column.name,
      column.drifted ? html`<span class="pill breached">drifted</span>` : '',
      digits(column.psi),
      digits(column.jensenShannon),
      digits(column.wasserstein),
      digits(column.ks?.statistic),
      digits(column.chiSquare?.cramersV),
      chance(column.adjustedPValue),
      newCategoriesText(column),
      percent(column.missing.reference),
      percent(column.missing.current),
    ]),
    [2, 3, 4, 5, 6, 7, 8, 9, 10],
  );

/** Distributions of columns, the reference filled and the window outlined. */
export const pictures = (columns: readonly DriftedColumn[]): Markup => {
  const known = columns.filter(({ bins }) => bins.length > 0);
  return known.length === 0
    ? html`<p class="soft">None has values on both sides.</p>`
    : html`<p class="soft">Filled: the reference. Outlined: this window. Each bar is a share of the rows with a value.</p><div class="columns">${known.map(picture)}</div>`;
};

/** Answers and truth against the reference’s. */
export function answersSection({ predictions, labels }: WindowReport, trend: readonly TrendEntry[]): Markup {
  if (predictions.length === 0)
    return html`<p>No answers of the reference are known to hold these against.</p>`;
  const all = labels ? [...predictions, labels] : predictions;
  return html`<div class="charts">${trendChart({
    title: 'PSI of the answers and of the truth',
    lines: [
      trendLine(trend, 'predictions.psi', { name: 'answers', tone: 'first' }),
      trendLine(trend, 'labels.psi', { name: 'truth', tone: 'second' }),
    ],
  })}</div>${pictures(all)}${driftTable(all)}`;
}
