import { count } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import type { ReportFacts } from './facts.ts';

/** A test split with fewer rows gives wide intervals. */
const FEW_ROWS = 1_000;

/** What a reader must not take from this page: what was not tested, what is thin, what went wrong. */
export function limitsSection(facts: ReportFacts): Markup {
  const items = limits(facts);
  return html`<ul class="notes">${items.map((item) => html`<li>${item}</li>`)}</ul>`;
}

function limits({
  spec,
  split,
  evaluate,
  validate,
  explanation,
  notExplained,
  code,
  train,
  gates,
}: ReportFacts): string[] {
  const { slices, fairness, robustness, champion } = evaluate;
  const said: string[] = [];
  if (spec.split.method !== 'time')
    said.push(
      'The test rows are from the same time as the training rows: how the model does on later data was not tested.',
    );
  if (split.test.rows < FEW_ROWS)
    said.push(`The test split has ${count(split.test.rows)} rows only: small differences say little.`);
  if (slices.insufficient > 0)
    said.push(
      `${slices.insufficient} declared slice(s) have too few rows, or one class: nothing is known of them.`,
    );
  if (slices.declared.length === 0)
    said.push('No slices are declared: only all rows together were judged against the gates.');
  if (fairness.length === 0) said.push('No groups were compared.');
  const small = fairness.filter(({ insufficient }) => insufficient.groups > 0).map(({ column }) => column);
  if (small.length > 0) said.push(`Groups of ${small.join(', ')} that are too small were not compared.`);
  const alike = fairness.filter(({ oneClass }) => oneClass !== undefined).map(({ column }) => column);
  if (alike.length > 0)
    said.push(
      `Groups of ${alike.join(', ')} that have rows of one class alone were not compared in every way.`,
    );
  if (robustness.length === 0) said.push('Missing or shifted features were not tried.');
  if (!champion) said.push('There is no version in production to compare with.');
  else if (champion.notComparable)
    said.push(`The version in production cannot be compared: ${champion.notComparable}.`);
  const undecided = gates.results.filter(
    ({ verdict }) => verdict === 'undecided' || verdict === 'insufficient',
  );
  if (undecided.length > 0) said.push(`${undecided.length} gate(s) could not be judged: see the verdict.`);
  const warned = validate.results.filter(({ passed }) => !passed);
  if (warned.length > 0)
    said.push(`${warned.length} expectation(s) of the data were not met, with warnings.`);
  for (const { kind, on } of split.overlap.filter(({ passed }) => !passed))
    said.push(`The parts have rows in common (${kind}${on ? ` of ${on}` : ''}).`);
  if (train.failed.length > 0) said.push(`${train.failed.length} candidate(s) failed and were not compared.`);
  if (!explanation) said.push(notExplained ?? 'The model was not explained.');
  if (code.commit === null) said.push('The code is in no git repository: it cannot be had again from here.');
  else if (code.dirty) said.push('The code had changes that are in no commit.');
  said.push('Importance and dependence say what the model does, not what causes what.');
  return said;
}
