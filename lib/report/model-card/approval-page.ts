import { html } from '../html.ts';
import { undecidedNotice } from '../verdict-page.ts';
import { cardPage } from './card.ts';
import type { ReportFacts } from './facts.ts';

/** The page that an approver reads: how to decide, then the model card. */
export function approvalPage(facts: ReportFacts): string {
  const { evaluate, run, modelName, version, spec } = facts;
  const candidate = evaluate.candidate.slice(0, 12);
  const { signed } = spec.approval;
  const review = signed
    ? '{"token":"SIGNED VOTE"}'
    : JSON.stringify({ decision: 'approve', by: 'YOUR NAME', reason: 'WHY', candidate });
  const who = signed ? '--key YOUR_KEY.json' : '--as "YOUR NAME"';
  return cardPage(
    `Approve ${modelName} version ${version}`,
    facts,
    html`<p class="soft">Your decision is asked for</p><h1>Approve ${modelName} version ${version}?</h1>`,
    html`<div class="call">${undecidedNotice(facts.gates.results)}<p>Candidate <code>${candidate}</code>, trained by ${evaluate.winner.trainer}. Read on, then say one of:</p>
<pre>perennial approve ${run.workflowId} ${who} --reason "WHY"
perennial reject ${run.workflowId} ${who} --reason "WHY"</pre>
<details><summary>By Temporal's own command</summary><pre>temporal workflow update execute --workflow-id ${run.workflowId} --name review --input '${review}'</pre></details></div>`,
  );
}
