import type { CheckState, Verdict, WindowReport } from '../../../contracts/monitoring.ts';
import type { TrendEntry } from '../../charts/alert-plot.ts';
import { count, dataPage, dataTable, facts, figure } from '../data-page.ts';
import { html, type Markup, Markup as Safe } from '../html.ts';
import { answersSection, driftSection } from './drift.ts';
import { operationsSection, skewSection } from './operations.ts';
import { byState, digits, intervalText, pill } from './parts.ts';
import { conceptSection, qualitySection, windowText } from './quality.ts';
import { WINDOW_STYLE } from './style.ts';

/** Verdicts that are shown at once; the others fold away. */
const MOST_OPEN = 25;

/**
 * The report of a window: one page, light and dark, with nothing loaded from anywhere. It holds values of the data (bins,
 * categories), and no row.
 *
 * @param trend the windows up to this one, the oldest first; it may end with this one
 */
export function windowPage(report: WindowReport, trend: readonly TrendEntry[]): string {
  const { endpoint, window, warnings } = report;
  const sections = [
    { id: 'verdicts', title: 'Verdicts', body: verdictSection(report) },
    { id: 'quality', title: 'Quality', body: qualitySection(report, trend) },
    { id: 'concept', title: 'Concept drift', body: conceptSection(report) },
    { id: 'answers', title: 'Answers and truth', body: answersSection(report, trend) },
    { id: 'drift', title: 'Features', body: driftSection(report, trend) },
    { id: 'slices', title: 'Slices', body: slicesSection(report) },
    { id: 'skew', title: 'Training-serving skew', body: skewSection(report) },
    { id: 'operations', title: 'Operations', body: operationsSection(report, trend) },
  ];
  return dataPage(
    `${endpoint}, ${windowText(window)}`,
    html`<style>${new Safe(WINDOW_STYLE)}</style><header><p class="soft">Monitoring report, window ${window.index}</p><h1>${endpoint}</h1><p>${windowText(window)} (UTC)</p>${summary(report)}</header>
${warnings.length === 0 ? '' : html`<article class="warn"><ul class="notes">${warnings.map((warning) => html`<li>${warning}</li>`)}</ul></article>`}
<nav class="contents" aria-label="Contents">${sections.map(({ id, title }) => html`<a href="#${id}">${title}</a>`)}</nav>
${sections.map(({ id, title, body }) => html`<section><h2 id="${id}">${title}</h2>${body}</section>`)}`,
  );
}

const TONES: Record<'breached' | 'insufficient' | 'ok', string> = {
  breached: 'bad',
  insufficient: 'warn',
  ok: 'good',
};

function summary({ verdicts, rows, quality, columns, versions, reference }: WindowReport): Markup {
  const states = (state: CheckState): number => verdicts.filter((verdict) => verdict.state === state).length;
  const state = states('breached') > 0 ? 'breached' : states('insufficient') > 0 ? 'insufficient' : 'ok';
  const words = {
    breached: `${states('breached')} beyond the limit`,
    insufficient: `${states('insufficient')} with too little data to say`,
    ok: 'within all limits',
  }[state];
  const answered = Object.entries(versions)
    .map(([version, own]) => `version ${version} (${count(own)} rows)`)
    .join(', ');
  return html`<p class="verdict ${TONES[state]}">${words}</p><p class="soft">Answered by ${answered || 'none'}; held against ${reference.words}.</p>${facts(
    [
      ['rows', count(rows)],
      ['labels', count(quality.labels)],
      ['features drifted', `${columns.filter(({ drifted }) => drifted).length} of ${columns.length}`],
      ['limits kept', `${states('ok')} of ${states('ok') + states('breached') + states('insufficient')}`],
    ],
  )}`;
}

function verdictSection({ verdicts }: WindowReport): Markup {
  if (verdicts.length === 0) return html`<p>Nothing was judged.</p>`;
  const ordered = byState(verdicts);
  const limited = ordered.filter(({ state }) => state !== 'unlimited');
  const shown = limited.slice(0, MOST_OPEN);
  const folded = ordered.filter((verdict) => !shown.includes(verdict));
  const table = (some: readonly Verdict[]): Markup =>
    dataTable(
      '',
      ['', 'check', 'slice', 'got', 'limit', 'interval', 'rests on', 'in words'],
      some.map(({ state, check, of, slice, observed, limit, interval, rows, words }) => [
        pill(state),
        html`<span class="check">${check.replaceAll('-', ' ')}</span>${of === '' ? '' : html` <code>${of}</code>`}`,
        slice ?? '',
        figure(observed),
        figure(limit),
        intervalText(interval),
        count(rows),
        words,
      ]),
      [3, 4, 5, 6],
    );
  return html`${shown.length > 0 ? table(shown) : html`<p>The spec sets no limits.</p>`}${folded.length > 0 ? html`<details><summary>${folded.length} more${folded.every(({ state }) => state === 'unlimited') ? ', of which nothing is asked' : ''}</summary>${table(folded)}</details>` : ''}`;
}

function slicesSection({ slices, verdicts }: WindowReport): Markup {
  if (slices.length === 0)
    return html`<p>No slices are watched (<code>monitoring.slices</code>), or none has enough rows.</p>`;
  const limited = verdicts.find(({ check }) => check === 'quality')?.of;
  const metrics = [...new Set(slices.flatMap(({ quality }) => Object.keys(quality.metrics)))];
  const telling = [...new Set([limited, 'roc_auc', 'brier_score', 'accuracy', 'mean_absolute_error'])]
    .filter((name) => name !== undefined && metrics.includes(name))
    .slice(0, 3);
  return dataTable(
    'Real quality with its interval; PSI of the answers against the reference’s in the same slice',
    ['slice', 'rows', 'labels', ...telling.map((name) => String(name)), 'PSI of the answers', ''],
    slices.map(({ name, rows, quality, predictions }) => {
      const values: Record<string, number> = quality.metrics;
      const breached = verdicts.some(({ slice, state }) => slice === name && state === 'breached');
      return [
        name,
        count(rows),
        count(quality.labels),
        ...telling.map((metric) => {
          const interval = quality.intervals[metric ?? ''];
          return html`${figure(values[metric ?? ''])}${interval ? html` <span class="soft">(${intervalText(interval)})</span>` : ''}`;
        }),
        digits(predictions[0]?.psi),
        breached ? pill('breached') : '',
      ];
    }),
    [1, 2, ...telling.map((_, i) => i + 3), telling.length + 3],
  );
}
