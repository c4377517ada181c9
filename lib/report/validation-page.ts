import type { ColumnComparison } from '../../contracts/distribution-report.ts';
import type { TableProfile } from '../../contracts/profile.ts';
import type { ExpectationResult } from '../../contracts/reports.ts';
import type { RuleExamples, ValidationReport } from '../../contracts/validation-report.ts';
import { columnCards } from './column-cards.ts';
import { comparisonSection } from './comparison-section.ts';
import { count, dataPage, dataTable, facts, percent, shareBar } from './data-page.ts';
import { html, type Markup } from './html.ts';

/** What {@link validationPage} shows. */
export interface ValidationPageFacts {
  /** What the data are called, such as the pipeline's name. */
  name: string;
  report: ValidationReport;
  /** Of the table that was checked; left out, the page has no section of columns. */
  profile?: TableProfile;
  /** The table against the champion's training data, where that was compared. */
  comparisons?: readonly ColumnComparison[];
}

/**
 * The page of a validation, for people: what failed first, with examples, then every rule, then how the columns
 * look. One self-contained file that loads nothing. Example rows come masked from the engine, and stay as they are.
 *
 * @example
 * await writeFile('validation.html', validationPage({ name: 'flights', report, profile }));
 */
export function validationPage({ name, report, profile, comparisons = [] }: ValidationPageFacts): string {
  const failed = report.results
    .map((result, index) => ({ result, examples: report.examples.find((item) => item.result === index) }))
    .filter(({ result }) => !result.passed)
    .sort(
      (a, b) =>
        Number(a.result.severity === 'warn') - Number(b.result.severity === 'warn') ||
        b.result.share - a.result.share,
    );
  return dataPage(
    `Validation of ${name}`,
    html`<h1>Validation of ${name}</h1>
<p class="soft">${count(report.table.rows)} rows, ${count(report.table.columns.length)} columns, as of ${report.asOf}, checked by ${report.engine}.</p>
${verdict(report)}
${facts([
  ['rules passed', `${count(report.results.length - failed.length)} of ${count(report.results.length)}`],
  ['rows that go on', count(report.kept)],
  ['rows in quarantine', count(report.quarantined)],
  ['rows dropped', count(report.dropped)],
])}
${failed.length === 0 ? '' : html`<h2>What failed</h2>${failed.map(({ result, examples }) => failure(result, examples))}`}
<h2>All rules</h2>${ruleTable(report.results)}
${comparisons.length === 0 ? '' : html`<h2>Against the champion’s training data</h2>${comparisonSection(comparisons)}`}
${profile ? html`<h2>Columns</h2>${columnCards(profile)}` : ''}`,
  );
}

function verdict({ results, passed }: ValidationReport): Markup {
  const errors = results.filter((result) => !result.passed && result.severity === 'error').length;
  const warnings = results.filter((result) => !result.passed && result.severity === 'warn').length;
  const warned = `${count(warnings)} ${warnings === 1 ? 'warning' : 'warnings'}`;
  if (!passed)
    return html`<p class="verdict bad">Failed: ${count(errors)} ${errors === 1 ? 'rule does' : 'rules do'} not hold${warnings > 0 ? `, and ${warned}` : ''}</p>`;
  return warnings > 0
    ? html`<p class="verdict warn">Passed, with ${warned}</p>`
    : html`<p class="verdict good">Passed</p>`;
}

const POLICY: Record<ExpectationResult['policy'], string> = {
  stop: '',
  drop: 'Violating rows are dropped.',
  quarantine: 'Violating rows go into quarantine.',
};

function failure(result: ExpectationResult, examples: RuleExamples | undefined): Markup {
  const tone = result.severity === 'error' ? 'bad' : 'warn';
  const counted = `${count(result.violations)} of ${count(result.rows)} rows (${percent(result.share)})`;
  return html`<article class="${tone}"><h3>${result.expectation}<span class="badge ${tone}">${result.severity === 'error' ? 'error' : 'warning'}</span></h3>
<p>${result.observed || (result.share > 0 ? counted : 'does not hold')}${result.limit ? html` <span class="soft">where the limit is</span> ${result.limit}` : ''}</p>${result.share > 0 ? shareBar(result.share, true) : ''}
<p class="soft">${[saysSource(result) ? '' : `Source ${result.on}.`, POLICY[result.policy], result.note ?? ''].filter(Boolean).join(' ')}</p>${
    examples && examples.rows.length > 0 ? exampleTable(examples) : ''
  }</article>`;
}

const exampleTable = ({ columns, rows }: RuleExamples): Markup =>
  dataTable(
    rows.length === 1 ? 'The first violating row' : `The first ${rows.length} violating rows`,
    ['row', ...columns],
    rows.map(({ row, values }) => [count(row), ...columns.map((column) => cell(values[column]))]),
    [0],
  );

const cell = (value: string | number | boolean | null | undefined): Markup | string =>
  value === null || value === undefined ? html`<span class="soft">missing</span>` : String(value);

/** Its own words say which source a rule is about, a name that people gave it need not. */
const saysSource = ({ on, expectation }: ExpectationResult): boolean =>
  on === null || expectation.endsWith(` on ${on}`);

const ruleTable = (results: readonly ExpectationResult[]): Markup =>
  results.length === 0
    ? html`<p>The spec names no expectations.</p>`
    : dataTable(
        'In the order of the spec',
        ['rule', 'observed', 'limit', 'violating rows', 'share', 'result'],
        results.map((result) => [
          html`${result.expectation}${saysSource(result) ? '' : html` <span class="soft">on ${result.on}</span>`}`,
          html`${result.observed}${result.passed && result.note ? html` <span class="soft">${result.note}</span>` : ''}`,
          result.limit,
          count(result.violations),
          result.share > 0 ? html`${percent(result.share)}${shareBar(result.share, !result.passed)}` : '0 %',
          badge(result),
        ]),
        [3],
      );

const badge = ({ passed, severity }: ExpectationResult): Markup =>
  passed
    ? html`<span class="good">passed</span>`
    : html`<span class="${severity === 'error' ? 'bad' : 'warn'}">${severity === 'error' ? 'failed' : 'warning'}</span>`;
