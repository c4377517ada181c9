import type { GateResult } from '../../../contracts/reports.ts';
import { lowerIsBetter } from '../../../contracts/spec/evaluation.ts';
import { count, percent } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import { intervalText, metricText, type ReportFacts } from './facts.ts';
import { charts } from './figures.ts';

/** How many gates passed, as a word and a colour. What was not judged did not pass, though it stops no run. */
export function verdict({ gates: { results } }: Pick<ReportFacts, 'gates'>): { text: string; tone: string } {
  const having = (verdict: GateResult['verdict']): number =>
    results.filter((result) => result.verdict === verdict).length;
  const [failed, open, unjudged] = [having('failed'), having('undecided'), having('insufficient')];
  if (results.length === 0) return { text: 'No gates', tone: 'warn' };
  if (failed > 0) return { text: `${failed} of ${results.length} gates failed`, tone: 'bad' };
  if (open + unjudged === 0) return { text: `All ${results.length} gates passed`, tone: 'good' };
  const rest = [
    ...(open > 0 ? [`${open} left to the approver`] : []),
    ...(unjudged > 0 ? [`${unjudged} not judged`] : []),
  ];
  return {
    text: `${having('passed')} of ${results.length} gates passed, ${rest.join(', ')}`,
    tone: 'warn',
  };
}

/** What changes against the version in production, in one sentence. */
function changeWords({ spec, evaluate }: ReportFacts): string {
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
