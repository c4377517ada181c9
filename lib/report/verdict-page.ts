import type { FairnessResult, RobustnessResult, SlicesResult } from '../../contracts/evaluation-report.ts';
import type { GateResult } from '../../contracts/reports.ts';
import type { GatesOutput } from '../../contracts/stages.ts';
import { verdictRows } from '../../contracts/verdict.ts';
import { undecidedGates } from '../../domain/gates.ts';
import { html, type Markup, page, table } from './html.ts';

const MARKS: Record<GateResult['verdict'], string> = {
  passed: 'pass',
  failed: 'fail',
  undecided: 'fail',
  insufficient: 'muted',
};

/** The verdict as a table: gate, required, got, interval, pass. */
export const verdictTable = (results: readonly GateResult[]): Markup =>
  table(
    ['gate', 'required', 'got', 'interval', 'verdict', ''],
    verdictRows(results).map(({ gate, required, got, interval, verdict, note }) => [
      gate,
      required,
      got,
      interval,
      html`<span class="${MARKS[verdict]}">${verdict}</span>`,
      note,
    ]),
  );

/** What whoever approves has to decide, before all else; nothing where there is no such gate. */
export function undecidedNotice(results: readonly GateResult[]): Markup {
  const undecided = undecidedGates(results);
  return undecided.length === 0
    ? html``
    : html`<p class="fail">You decide ${undecided.length === 1 ? 'a gate' : `${undecided.length} gates`} that no number could:</p><ul>${undecided.map((line) => html`<li>${line}</li>`)}</ul>`;
}

const values = (metrics: Record<string, number | undefined>): string =>
  Object.entries(metrics)
    .map(([name, value]) => `${name} ${value?.toFixed(4) ?? ''}`)
    .join(', ');

const sliceTable = (slices: SlicesResult['declared']): Markup =>
  table(
    ['slice', 'rows', 'metrics', ''],
    slices.map(({ name, rows, metrics, insufficient, found }) => [
      name,
      rows,
      values(metrics),
      insufficient
        ? insufficient.replace('_', ' ')
        : found
          ? `mean loss ${found.loss.toFixed(4)}, of the others ${found.lossOutside.toFixed(4)}, corrected p ${found.p.toExponential(1)}`
          : '',
    ]),
  );

/** A page with the verdict and what it rests on, for the MLflow run. */
export const verdictPage = (
  name: string,
  { results }: GatesOutput,
  slices: SlicesResult,
  fairness: readonly FairnessResult[],
  robustness: readonly RobustnessResult[],
): string =>
  page(
    `Verdict: ${name}`,
    html`<h1>Verdict on ${name}</h1>${undecidedNotice(results)}${verdictTable(results)}
${slices.declared.length > 0 ? html`<h2>Slices</h2>${sliceTable(slices.declared)}` : html``}
${slices.search ? html`<h2>Worst slices</h2><p class="muted">${slices.search.method}: ${slices.search.tried} slices of ${slices.search.features} columns tried on ${slices.search.rows} rows.</p>${slices.worst.length > 0 ? sliceTable(slices.worst) : html`<p>None stands out.</p>`}` : html``}
${fairness.map(
  ({ column, groups, measures, insufficient, oneClass = {} }) =>
    html`<h2>Groups by ${column}</h2><p>${values(measures)}</p>${table(
      [
        'group',
        'rows',
        'selection rate',
        'true positive rate',
        'false positive rate',
        'accuracy',
        'mean prediction',
        'mean absolute error',
      ],
      groups.map((group) => [
        group.name,
        group.rows,
        group.selectionRate,
        group.truePositiveRate,
        group.falsePositiveRate,
        group.accuracy,
        group.meanPrediction,
        group.meanAbsoluteError,
      ]),
    )}${insufficient.groups > 0 ? html`<p class="muted">${insufficient.groups} groups with too few rows (${insufficient.rows} in all) are left out.</p>` : html``}${Object.entries(
      oneClass,
    ).map(
      ([measure, left]) =>
        html`<p class="muted">${measure}: ${left.groups} groups without rows of a class that it needs (${left.rows} rows) are left out.</p>`,
    )}`,
)}
${robustness.map(
  ({ robustness: kind, by, metric, base, rows, features }) =>
    html`<h2>${metric} where a feature ${kind === 'missing' ? 'is missing' : `is shifted by ${by} standard deviations`}</h2><p class="muted">${metric} is ${base} on the same ${rows} rows as they are.</p>${table(
      ['feature', metric, 'loss'],
      features.map(({ feature, value, loss }) => [feature, value, loss]),
    )}`,
)}`,
  );
