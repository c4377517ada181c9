import type { SliceResult } from '../../../contracts/evaluation-report.ts';
import { fairnessMeasure, isRatio } from '../../../contracts/spec/metrics.ts';
import { count, dataTable, figure, percent } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import { intervalText, metricText, type ReportFacts } from './facts.ts';
import { charts } from './figures.ts';

const WHY_NOT = { few_rows: 'too few rows', one_class: 'one class only' } as const;

/** Parts of the rows by themselves: those that the spec names, and those that a search found to do badly. */
export function slicesSection(facts: ReportFacts): Markup {
  const { slices } = facts.evaluate;
  const { metric } = facts.spec.evaluation;
  const row = (slice: SliceResult): (string | Markup)[] => [
    slice.name,
    count(slice.rows),
    percent(slice.share),
    slice.insufficient
      ? html`<span class="pill insufficient">${WHY_NOT[slice.insufficient]}</span>`
      : metricText(slice.metrics[metric]),
    intervalText(slice.intervals[metric]),
  ];
  const headers = ['slice', 'rows', 'share', metric, 'interval'];
  return html`${charts(facts, ['slices'])}
${slices.declared.length === 0 ? html`<p>The pipeline declares no slices.</p>` : html`<h3>Declared slices</h3>${dataTable(slices.total > slices.declared.length ? `${slices.declared.length} of ${slices.total}: the worst and the largest` : '', headers, slices.declared.map(row), [1, 2, 3, 4])}`}
${
  slices.worst.length > 0
    ? html`<h3>Found by search</h3><p>The model does worse here than elsewhere, more than chance explains.</p>${dataTable(
        '',
        [...headers, 'mean loss inside / outside'],
        slices.worst.map((slice) => [
          ...row(slice),
          slice.found ? `${figure(slice.found.loss)} / ${figure(slice.found.lossOutside)}` : '',
        ]),
        [1, 2, 3, 4, 5],
      )}`
    : slices.search
      ? html`<p>A search of ${count(slices.search.tried)} slices of ${slices.search.features} column(s) on ${count(slices.search.rows)} rows found none that does worse than chance explains.</p>`
      : ''
}
${slices.search ? html`<p class="soft">${slices.search.method}</p>` : ''}`;
}

/** Groups that the spec compares; nothing where it names none. */
export function fairnessSection(facts: ReportFacts): Markup {
  const { fairness } = facts.evaluate;
  if (fairness.length === 0)
    return html`<p>The pipeline names no groups to compare (evaluation.fairness): nothing is known about it.</p>`;
  return html`${charts(facts, ['fairness-'])}${fairness.map(
    ({ column, measures, intervals, extremes, insufficient, oneClass = {} }) =>
      html`<h3>${column}</h3>${dataTable(
        '',
        ['measure', 'value', 'interval', 'at best', 'lowest group', 'highest group'],
        fairnessMeasure.options.flatMap((name) => {
          const value = measures[name];
          const between = extremes[name];
          return value === undefined
            ? []
            : [
                [
                  html`<code>${name}</code>`,
                  html`<b>${metricText(value)}</b>`,
                  intervalText(intervals[name]),
                  isRatio(name) ? '1' : '0',
                  between?.low ?? '',
                  between?.high ?? '',
                ],
              ];
        }),
        [1, 2, 3],
      )}${insufficient.groups === 0 ? '' : html`<p class="soft">${insufficient.groups} group(s) with ${count(insufficient.rows)} row(s) are too small to be compared.</p>`}${Object.entries(
        oneClass,
      ).map(
        ([measure, left]) =>
          html`<p class="soft">${measure}: ${left.groups} group(s) with ${count(left.rows)} row(s) have no row of a class that it needs, and are not compared.</p>`,
      )}`,
  )}`;
}

/** What happens where inputs are missing or move, and what the model takes. */
export function robustnessSection(facts: ReportFacts): Markup {
  const { robustness, footprint } = facts.evaluate;
  const latency = footprint?.latency;
  return html`${
    robustness.length === 0
      ? html`<p>No gate asks what happens where features are missing or shifted: it was not tried.</p>`
      : charts(facts, ['robustness-'])
  }${
    footprint
      ? html`<p>The model file has ${count(footprint.modelBytes)} bytes${latency ? html`; one row takes ${figure(latency.p50_ms)} ms (median), ${figure(latency.p95_ms)} ms (95 %), ${figure(latency.p99_ms)} ms (99 %)` : ''}.</p>`
      : ''
  }`;
}
