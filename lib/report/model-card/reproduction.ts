import { trialLabel } from '../../../contracts/trials.ts';
import { preparedFor } from '../../../domain/prepared-features.ts';
import { dataTable } from '../data-page.ts';
import { html, type Markup } from '../html.ts';
import { type ReportFacts, versionText } from './facts.ts';

/** From the model back to the commit and the rows, and the commands that make it again. */
export function reproductionSection(facts: ReportFacts): Markup {
  const { run, code, ingest, prepared, evaluate, spec } = facts;
  const { winner } = evaluate;
  const features = preparedFor(prepared, winner.features);
  const digest = (text: string): Markup => html`<code>${text}</code>`;
  return html`<pre>perennial reproduce ${versionText(facts)}
perennial lineage ${versionText(facts)}</pre>
<p>The first trains it again from the stored snapshot and says whether the file is the same; the second shows what it was made from, and what else came from that.</p>
${dataTable(
  '',
  ['what', 'which'],
  [
    ['model (sha256)', digest(evaluate.candidate)],
    ['data', digest(ingest.digest)],
    ['training rows', digest(facts.split.train.artifact.sha256)],
    ['test rows', digest(facts.split.test.artifact.sha256)],
    ['features', digest(features.preprocess.sha256)],
    [
      'code',
      code.commit
        ? html`${digest(code.commit)}${code.dirty ? ' with uncommitted changes' : ''}`
        : 'not in a git repository',
    ],
    ['seed', String(spec.training.seed)],
    ['trainer', html`${winner.trainer}, ${winner.members.map(trialLabel).join(', ')}`],
    ...Object.entries(winner.libraries).map(([name, version]) => [name, version]),
    ['workflow', html`${digest(run.workflowId)} run ${digest(run.runId)}`],
  ],
)}`;
}
