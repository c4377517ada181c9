import { lowerIsBetter } from '../../../contracts/spec/evaluation.ts';
import { count, percent } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import { intervalText, metricText, type ReportFacts } from './facts.ts';
import { charts } from './figures.ts';

/** How many gates passed, as a word and a colour. */
export function verdict({ gates: { results, passed } }: ReportFacts): { text: string; tone: string } {
  const failed = results.filter((result) => result.verdict === 'failed').length;
  const open = results.filter((result) => result.verdict === 'undecided').length;
  if (results.length === 0) return { text: 'No gates', tone: 'warn' };
  if (failed > 0) return { text: `${failed} of ${results.length} gates failed`, tone: 'bad' };
  if (open > 0) return { text: `${open} of ${results.length} gates left to the approver`, tone: 'warn' };
  return passed
    ? { text: `All ${results.length} gates passed`, tone: 'good' }
    : { text: 'The gates did not pass', tone: 'bad' };
}

/** What changes against the version in production, in one sentence. */
export function changeWords({ spec, evaluate }: ReportFacts): string {
  const { metric, confidence } = spec.evaluation;
  const { champion } = evaluate;
  const [before, after] = [champion?.test[metric], evaluate.test[metric]];
  if (!champion) return 'There is no champion yet: this would be the first version in production.';
  if (before === undefined || after === undefined)
    return `Version ${champion.version} is in production, but it cannot be compared: ${champion.notComparable ?? `it has no ${metric}`}.`;
  const difference = champion.difference[metric];
  const sure =
    difference === undefined
      ? ''
      : `; with ${percent(confidence)} confidence the difference on such rows lies between ${intervalText(difference).replace(' to ', ' and ')}`;
  return `${metric} on the test split goes from ${metricText(before)} (version ${champion.version}) to ${metricText(after)}${sure}.`;
}

/** What an approver reads first: the verdict, the metric that counts, against what it stands. */
export function summary(facts: ReportFacts): Markup {
  const { spec, evaluate, split, explanation } = facts;
  const { metric, confidence } = spec.evaluation;
  const { winner, test, intervals, baseline } = evaluate;
  const trivial = baseline[metric];
  const { text, tone } = verdict(facts);
  const needs = (explanation?.importance ?? [])
    .filter(({ mean }) => mean > 0)
    .slice(0, 3)
    .map(({ column }) => column);
  const interval = intervalText(intervals[metric]);
  return html`<div class="hero"><div>
<span class="verdict ${tone}">${text}</span>
<p class="big">${metricText(test[metric])}</p>
<p class="what">${metric} on ${count(split.test.rows)} untouched rows; ${lowerIsBetter(metric) ? 'lower' : 'higher'} is better</p>
${interval === '' ? '' : html`<p class="what">${percent(confidence)} interval: ${interval}</p>`}
</div><div>${charts(facts, ['compared'])}
<ul><li>${changeWords(facts)}</li>
${trivial === undefined ? '' : html`<li>A model that has learned nothing has ${metricText(trivial)}.</li>`}
<li>Chosen: <b>${winner.name}</b> (${winner.trainer}) of ${facts.train.trained.length + facts.train.failed.length} candidate(s).</li>
${needs.length === 0 ? '' : html`<li>It relies most on ${needs.map((name, i) => html`${i === 0 ? '' : i === needs.length - 1 ? ' and ' : ', '}<b>${name}</b>`)}.</li>`}
</ul></div></div>`;
}
