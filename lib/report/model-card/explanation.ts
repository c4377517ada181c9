import { UNIT_WORDS } from '../../charts/explanation-words.ts';
import { count, dataTable, figure, percent } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import type { ReportFacts } from './facts.ts';
import { charts } from './figures.ts';

/** What the model relies on, how its answers depend on it, and what single predictions owe to what. */
export function explanationSection(facts: ReportFacts): Markup {
  const { explanation, notExplained } = facts;
  if (!explanation) return html`<p>${notExplained ?? 'This run has no explanation.'}</p>`;
  const { attributions, metric, importance } = explanation;
  const exact = attributions.method === 'tree';
  return html`<p>On ${count(explanation.rows)} of ${count(explanation.of)} test rows. Columns that say the same share their importance: the model can do with either.</p>
${charts(facts, ['importance', 'attributions'])}
${explanation.notes.map((note) => html`<p class="soft">${note}</p>`)}
<h3>How answers depend on a column</h3>
<p>The mean answer with the column set to one value after the other, all else as it is${explanation.dependence.some(({ rows }) => rows.length > 0) ? '; grey lines are single rows' : ''}. Where columns go together, some of these rows could not be.</p>
${charts(facts, ['dependence-'], 'small')}
${charts(facts, ['slice-importance'])}
${
  attributions.examples.length === 0
    ? ''
    : html`<h3>Three predictions, explained</h3>
<p>What each column adds to the average answer, in ${UNIT_WORDS[attributions.unit]}. ${exact ? 'Exact (TreeSHAP).' : `Estimated; whiskers hold with ${percent(attributions.confidence)} confidence.`} The parts add up to the answer.</p>${charts(facts, ['example-'], 'small')}`
}
<details><summary>All columns in numbers</summary>${dataTable(
    `Loss of ${metric} where the column is shuffled: mean and standard deviation of ${explanation.repeats} repeats. Contributions: mean size over ${count(attributions.rows)} rows.`,
    ['column', 'loss', '±', `contribution (${UNIT_WORDS[attributions.unit]})`],
    importance.map(({ column, mean, sd }) => [
      column,
      figure(mean),
      figure(sd),
      figure(attributions.columns.find((one) => one.column === column)?.mean ?? 0),
    ]),
    [1, 2, 3],
  )}</details>`;
}
