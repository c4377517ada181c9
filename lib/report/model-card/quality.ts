import type { Interval } from '../../../contracts/evaluation-report.ts';
import { lowerIsBetter } from '../../../contracts/spec/evaluation.ts';
import { verdictRows } from '../../../contracts/verdict.ts';
import { count, dataTable, figure, percent } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import { intervalText, metricNames, metricText, type ReportFacts } from './facts.ts';
import { charts } from './figures.ts';

/** All metrics on the untouched rows, beside those on training rows, of the baseline and of the champion. */
export function metricsSection(facts: ReportFacts): Markup {
  const { spec, evaluate } = facts;
  const { test, intervals, train, baseline, champion } = evaluate;
  return html`<p>Measured once, on rows that neither training nor the choice of the model has seen.</p>
${dataTable(
  `Intervals hold with ${percent(spec.evaluation.confidence)} confidence (bootstrap of the test rows).`,
  [
    'metric',
    'test',
    'interval',
    'training',
    'baseline',
    ...(champion ? [`champion (${champion.version})`, 'difference, interval'] : []),
  ],
  metricNames(test, train).map((name) => [
    html`<code>${name}</code> <span class="soft">${lowerIsBetter(name) ? '↓' : '↑'}</span>`,
    html`<b>${metricText(test[name])}</b>`,
    intervalText(intervals[name]),
    metricText(train[name]),
    metricText(baseline[name]),
    ...(champion ? [metricText(champion.test[name]), intervalText(champion.difference[name])] : []),
  ]),
  [1, 2, 3, 4, 5, 6],
)}
<p class="soft">↑ higher is better, ↓ lower is better.</p>
${charts(facts, ['roc', 'precision-recall', 'confusion', 'classes', 'scores', 'threshold', 'predicted-actual', 'residuals'])}${classesTable(facts)}`;
}

/** Precision and recall of each class in numbers. */
function classesTable({ details }: ReportFacts): Markup | string {
  if (!details || details.classes.length === 0) return '';
  const measured = (value: number, interval: Interval | undefined): string =>
    `${metricText(value)}${interval ? ` (${intervalText(interval)})` : ''}`;
  return html`<details><summary>All classes in numbers</summary>${dataTable(
    '',
    ['class', 'precision', 'recall', 'F1', 'rows'],
    details.classes.map(({ name, precision, recall, f1, support, intervals }) => [
      name,
      measured(precision, intervals?.precision),
      measured(recall, intervals?.recall),
      measured(f1, intervals?.f1),
      count(support),
    ]),
    [1, 2, 3, 4],
  )}</details>`;
}

const VERDICT_WORDS = {
  passed: 'passed',
  failed: 'failed',
  undecided: 'approver decides',
  insufficient: 'too few rows',
} as const;

/** The verdict: gate, required, got, interval, pass. */
export function gatesSection({ gates }: ReportFacts): Markup {
  if (gates.results.length === 0) return html`<p>The pipeline has no gates.</p>`;
  const rows = verdictRows(gates.results).map(({ gate, required, got, interval, verdict, note }) => [
    html`${gate}${note === '' ? '' : html`<br><span class="soft">${note}</span>`}`,
    required,
    html`<b>${got === '' ? '–' : got}</b>`,
    interval,
    html`<span class="pill ${verdict}">${VERDICT_WORDS[verdict]}</span>`,
  ]);
  return dataTable('', ['gate', 'required', 'got', 'interval', 'verdict'], rows, [2, 3]);
}

/** Whether probabilities can be taken at their word. */
export function calibrationSection(facts: ReportFacts): Markup {
  const { evaluate, details, spec } = facts;
  const error = evaluate.test.expected_calibration_error;
  const fit = details?.calibration;
  return html`${
    error === undefined
      ? ''
      : html`<p>On average the predicted probability is ${percent(error)} away from what came true (expected calibration error).</p>`
  }${
    fit
      ? html`<p>A slope of ${figure(fit.slope)} and an intercept of ${figure(fit.intercept)} on the log-odds; 1 and 0 would be perfect${fit.slope < 0.9 ? ': the model is too sure of itself' : fit.slope > 1.1 ? ': the model is too careful' : ''}.</p>`
      : ''
  }${spec.training.calibration === 'none' ? '' : html`<p>Probabilities were corrected by ${spec.training.calibration} calibration.</p>`}${charts(facts, ['calibration'])}`;
}
