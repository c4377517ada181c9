import { preparedFor } from '../../../domain/prepared-features.ts';
import { count, dataTable } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import type { ReportFacts } from './facts.ts';

const SPLIT_WORDS = {
  time: 'by time: the test rows are the latest',
} as Record<string, string>;

/** Sources, the parts they were split into, and the rows that were left out. */
export function dataSection({ ingest, split, spec, validate }: ReportFacts): Markup {
  const rows = [split.train, split.validation, split.test].reduce((sum, part) => sum + part.rows, 0);
  const part = (name: string, part: { rows: number; artifact: { sha256: string } }) => [
    name,
    count(part.rows),
    html`<code>${part.artifact.sha256.slice(0, 16)}</code>`,
  ];
  return html`${dataTable(
    '',
    ['source', 'kind', 'rows', 'from', 'digest'],
    ingest.sources.map((source) => [
      source.name,
      source.kind,
      count(source.snapshot.rows),
      source.origin,
      html`<code>${source.sourceSha256.slice(0, 16)}</code>`,
    ]),
    [2],
  )}
<p>${count(ingest.table.rows)} rows with ${ingest.table.columns.length} columns after the join; digest <code>${ingest.digest.slice(0, 16)}</code>. Split ${SPLIT_WORDS[spec.split.method] ?? `by the method ${spec.split.method}`}, ${count(rows)} rows in all${split.unused > 0 ? `; ${count(split.unused)} rows belong to no part` : ''}.</p>
${dataTable('', ['part', 'rows', 'digest'], [part('training', split.train), part('validation', split.validation), part('test', split.test)], [1])}
${
  ingest.setAside.length === 0
    ? ''
    : dataTable(
        'Rows set aside before anything else.',
        ['reason', 'rows'],
        ingest.setAside.map((item) => [item.reason, count(item.rows)]),
        [1],
      )
}
${validate.dropped + validate.quarantined === 0 ? '' : html`<p>The checks dropped ${count(validate.dropped)} rows and quarantined ${count(validate.quarantined)}.</p>`}`;
}

/** What the data were held against. */
export function checksSection({ validate }: ReportFacts): Markup {
  if (validate.results.length === 0) return html`<p>The pipeline has no expectations.</p>`;
  return dataTable(
    '',
    ['expectation', 'observed', 'expected', ''],
    validate.results.map((result) => [
      result.expectation,
      result.observed,
      result.limit,
      result.passed
        ? html`<span class="pill passed">holds</span>`
        : html`<span class="pill ${result.severity === 'warn' ? 'undecided' : 'failed'}">${result.severity === 'warn' ? 'warning' : 'fails'}</span>`,
    ]),
  );
}

/** The columns that the model takes. */
export function featuresSection({ evaluate, prepared }: ReportFacts): Markup {
  const features = preparedFor(prepared, evaluate.winner.features);
  const { inputs } = evaluate.signature;
  return html`<p>${inputs.length} columns become ${count(features.featureCount)} numbers (features of the kind ${evaluate.winner.features}), by the same graph in training and in serving.</p>
<details><summary>Columns</summary>${dataTable(
    '',
    ['column', 'kind', 'may be missing'],
    inputs.map(({ name, kind, optional }) => [name, kind, optional ? 'yes' : 'no']),
  )}</details>
${features.notes.map((note) => html`<p class="soft">${note}</p>`)}`;
}

/** Personal columns, and what was done to them. */
export function privacySection({
  protect: { actions, findings, anonymity, warnings, sensitive },
}: ReportFacts): Markup {
  return html`${
    actions.length === 0
      ? html`<p>No column was changed; ${findings.length} column(s) may hold personal data.</p>`
      : dataTable(
          '',
          ['personal column', 'what was done'],
          actions.map(({ column, action }) => [column, action]),
        )
  }
<p>${sensitive ? 'The rows that the model was trained on are of people: they are encrypted at rest.' : 'No personal values are left in the rows that the model was trained on.'}</p>
${anonymity ? html`<p>k-anonymity over ${anonymity.quasiIdentifiers.join(', ')}: ${anonymity.k} (at least ${anonymity.min} asked for).</p>` : ''}
${warnings.map((warning) => html`<p class="soft">${warning}</p>`)}`;
}
