import type { SearchEnd } from '../../../contracts/trials.ts';
import { count, dataTable, figure } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import { metricText, type ReportFacts } from './facts.ts';
import { charts } from './figures.ts';

const ENDS: Record<SearchEnd, string> = {
  trials: 'all trials of the budget were used',
  time: 'the time of the budget was used up',
  cost: 'the money of the budget was used up',
  space: 'no candidate had anything left to try',
  stopped: 'somebody stopped it',
};

/** The candidates that were compared on validation rows, and the search behind them. */
export function candidatesSection(facts: ReportFacts): Markup {
  const { train, evaluate, spec } = facts;
  const { metric } = spec.evaluation;
  const { search, trained, failed } = train;
  const of = (name: string) => search.candidates.find((candidate) => candidate.name === name);
  const trials = (name: string): string => {
    const one = of(name);
    return one ? count(one.trained + one.stopped + one.failed) : '';
  };
  const { used } = search;
  return html`<p>${count(used.trials)} trial(s) in ${figure(Math.round(used.seconds))} s${used.cost > 0 ? `, cost ${figure(used.cost)}` : ''}; ${search.ended === null ? 'it goes on' : ENDS[search.ended]}.</p>
${dataTable(
  '',
  ['candidate', 'trainer', `${metric}, validation`, 'trials', 'iterations', 'seconds', ''],
  [
    ...trained.map((item) => [
      item.name,
      item.trainer,
      metricText(item.validation[metric]),
      trials(item.name),
      count(item.bestIteration),
      figure(Number(item.seconds.toFixed(1))),
      item.name === evaluate.winner.name ? html`<span class="pill passed">chosen</span>` : '',
    ]),
    ...failed.map((item) => [
      item.name,
      item.trainer,
      '–',
      trials(item.name),
      '',
      '',
      html`<span class="pill failed">failed</span> ${item.error.slice(0, 300)}`,
    ]),
  ],
  [2, 3, 4, 5],
)}
${search.notes.map((note) => html`<p>${note}</p>`)}
${charts(facts, ['search', 'effort'])}
${parameters(facts)}`;
}

function parameters({ evaluate: { winner } }: ReportFacts): Markup {
  const rows = Object.entries(winner.parameters).map(([name, value]) => [
    html`<code>${name}</code>`,
    String(value),
  ]);
  return rows.length === 0
    ? html``
    : html`<details><summary>Parameters of the chosen model</summary>${dataTable('', ['parameter', 'value'], rows)}</details>`;
}
